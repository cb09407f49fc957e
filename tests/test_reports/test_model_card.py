"""Model cards and OpenModelDB records: of a real training, of a file that says nothing, and what is refused."""

from __future__ import annotations

import hashlib
import json
import math
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from facesr_ext.archs.srresnet_arch import SRResNet
from facesr_ext.cli.main import main
from facesr_ext.comparison.card_figures import card_figures
from facesr_ext.comparison.results import Comparison, MethodFacts, MetricFacts, SetFacts
from facesr_ext.comparison.statistics import mean_interval
from facesr_ext.errors import CheckpointError, DatasetError, OptionError
from facesr_ext.reports.model_card import card_text, write_card
from facesr_ext.reports.model_facts import Told, read_facts
from facesr_ext.reports.open_model_db import faults, model_id, model_record
from facesr_ext.runs.checkpoints import load_checkpoint, save_atomic
from tests.support import OPTIONS, read_table, small_options, write_options

RunPython = Callable[..., 'subprocess.CompletedProcess[str]']
TOLD = Told('FFHQ, CC BY-NC-SA 4.0', 'Apache-2.0', 'An Author', 'https://example.org/x.pth')


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory, run_python: RunPython) -> Path:
    """A training of two iterations, validated on three faces."""
    folder = tmp_path_factory.mktemp('card')
    opt = small_options(OPTIONS / 'srresnet.yml')
    opt['datasets']['val']['num_faces'] = 3
    write_options(opt, folder / 'x.yml')
    run_python(['-m', 'facesr_ext', 'train', '-opt', 'x.yml'], cwd=folder)
    return folder / 'experiments' / opt['name']


def _require_record(record: dict[str, Any], identifier: str) -> None:
    """What the data base's schema asks for, written down anew."""
    for key, kind in {
        'name': str, 'author': str, 'tags': list, 'description': str, 'date': str, 'architecture': str, 'scale': int,
        'inputChannels': int, 'outputChannels': int, 'resources': list, 'images': list,
    }.items():  # fmt: skip
        assert isinstance(record[key], kind), key
    assert re.fullmatch(r'\d+x-[a-zA-Z0-9]+(?:-[a-zA-Z0-9]+)*', identifier)
    assert identifier.startswith(f'{record["scale"]}x-') and 1 <= record['scale'] <= 16
    assert re.fullmatch('[a-zA-Z0-9]+(?:-[a-zA-Z0-9]+)*', record['author'])
    assert record['license'] is None or re.fullmatch('[a-zA-Z0-9.-]+', record['license'])
    assert record['size'] is None or (record['size'] and all(isinstance(size, str) and size for size in record['size']))
    assert re.fullmatch(r'\d{4}-\d\d-\d\d', record['date']) and record['description'] == record['description'].strip()
    assert record['tags'] and all(re.fullmatch('[a-z-]+', tag) for tag in record['tags'])
    for resource in record['resources']:
        assert resource['platform'] == 'pytorch' and resource['type'] in ('pth', 'safetensors')
        assert resource['size'] >= 1 and re.fullmatch('[0-9a-f]{64}', resource['sha256']) and resource['urls']
    for key in ('trainingIterations', 'trainingBatchSize', 'trainingHRSize', 'datasetSize'):
        assert key not in record or (isinstance(record[key], int) and record[key] >= 1)
    assert isinstance(record.get('trainingOTF', True), bool) and isinstance(record.get('dataset', ''), str)


def test_card_of_a_training(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'out'
    with pytest.raises(SystemExit) as ended:
        main(['report', '--card', str(run), '-o', str(out), '--licence', 'Apache-2.0', '--author', 'An Author'])
    told = capsys.readouterr()
    assert ended.value.code == 0 and str(out / 'README.md') in told.out and 'urls are missing (--url)' in told.err
    checkpoint = run / 'models' / 'net_g_latest.pth'
    data = checkpoint.read_bytes()
    front, body = (out / 'README.md').read_text().removeprefix('---\n').split('\n---\n', 1)
    settings = yaml.safe_load(front)
    assert settings['license'] == 'apache-2.0' and settings['pipeline_tag'] == 'image-to-image'
    rows = read_table(run / 'visualization' / 'val_2.csv')
    values = [float(row['psnr_rgb']) for row in rows]
    measured = settings['model-index'][0]['results'][0]
    assert measured['dataset']['name'] == 'val' and len(rows) == 3
    named = {metric['name']: metric for metric in measured['metrics']}
    assert named['psnr_rgb'] == {'type': 'psnr', 'name': 'psnr_rgb', 'value': pytest.approx(sum(values) / 3, rel=1e-5)}
    _, low, high, _ = mean_interval(values)
    arch = {key: value for key, value in load_checkpoint(checkpoint)['facesr_ext']['arch'].items() if key != 'type'}
    parameters = sum(parameter.numel() for parameter in SRResNet(**arch).parameters())
    for part in (
        '# srresnet', '| network | SRResNet |', 'num_feat: 4, num_block: 1', f'| parameters | {parameters:,d} |',
        f'{len(data):,d} bytes', f'`{hashlib.sha256(data).hexdigest()}`', '| scale | 4 |', '| iterations | 2 |',
        '| data | faces drawn by facesr_ext, no photographs, 4 images |', 'preset: bicubic_x4', '| source | unknown |',
        '| optimiser | type: Adam, lr: 8e-05', '| size of the HR images | 64x64 px |', '| licence | Apache-2.0 |',
        f'| val | 3 | psnr_rgb | {sum(values) / 3:#.4g} | {low:#.4g} to {high:#.4g} |', 'validation of the training',
        'no evidence of who somebody is', 'drawn faces alone',
    ):  # fmt: skip
        assert part in body, part


def test_record_is_what_the_data_base_takes(run: Path, tmp_path: Path) -> None:
    facts = read_facts(run / 'models' / 'net_g_latest.pth', TOLD)
    _, path = write_card(facts, card_figures(facts), tmp_path)
    record = json.loads(path.read_text())
    assert path.stem == model_id(facts) == '4x-' + facts.name.replace('_', '-')
    _require_record(record, path.stem)
    assert faults(record, path.stem) == []
    assert record['author'] == 'An-Author' and record['dataset'] == TOLD.data and record['trainingOTF'] is True
    assert (record['trainingIterations'], record['trainingBatchSize'], record['trainingHRSize']) == (2, 2, 64)
    assert record['datasetSize'] == 4 and record['size'] == ['4nf', '1nb'] and record['architecture'] == 'srresnet'
    assert record['resources'][0]['size'] == facts.size and 'val, 3 images: psnr' in record['description']
    write_card(facts, (), tmp_path)  # of the same file: replaced unasked
    (tmp_path / 'README.md').write_text('mine')
    with pytest.raises(OptionError, match='there already'):
        write_card(facts, (), tmp_path)
    write_card(facts, (), tmp_path, force=True)


def test_what_a_file_does_not_say_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / 'theirs.pth'
    torch.save({'params': {'a': torch.zeros(3, 4), 'b': torch.zeros(5)}}, path)
    facts = read_facts(path)
    text = card_text(facts, card_figures(facts))
    rows = dict(re.findall(r'^\| ([\w -]+) \| (.*) \|$', text, re.M))
    for key in ('network', 'arguments', 'scale', 'input', 'output', 'author', 'licence', 'data', 'terms of the data'):
        assert rows[key] == 'unknown', key
    assert rows['degradation'] == rows['iterations'] == 'unknown' and rows['parameters'].startswith('17 numbers')
    assert 'A network that the file does not describe.' in text and 'nothing was measured' in text
    assert yaml.safe_load(text.split('---')[1])['license'] == 'unknown'
    assert 'drawn' not in text and 'Restorer' not in text
    record = model_record(facts)
    assert record['scale'] is None and record['author'] is None and 'trainingOTF' not in record
    assert {fault.split(' ')[0] for fault in faults(record, model_id(facts))} == {
        'theirs', 'author', 'architecture', 'scale', 'resources:',
    }  # fmt: skip
    odd = read_facts(path, Told(licence='as you like'))
    assert yaml.safe_load(card_text(odd, ()).split('---')[1]) == {
        **yaml.safe_load(text.split('---')[1]), 'license': 'other', 'license_name': 'as you like',
    }  # fmt: skip
    assert model_record(odd)['license'] is None


def test_paths_of_a_machine_stay_out(tmp_path: Path) -> None:
    meta = {'trained_on': {'dataroot_gt': ['/home/me/secret/ffhq', '/home/me/celeba'], 'image_size': None}, 'scale': 2}
    save_atomic({'params': {'a': torch.zeros(1)}, 'facesr_ext': meta}, tmp_path / 'x.pth')
    text = card_text(read_facts(tmp_path / 'x.pth'), ())
    assert '| data | images of a folder named ffhq, celeba |' in text and 'secret' not in text


# ---- figures ------------------------------------------------------------------------------------------------------


def _table(path: Path) -> list[float]:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = [20.0, 22.0, 27.0]
    lines = [f'{i},{value},{value - 1},0.1' for i, value in enumerate(values)]
    path.write_text('\n'.join(['name,psnr_y,psnr_y_bicubic,l_g_pix', *lines, 'mean,23,22,0.1']) + '\n')
    return values


def test_figures_of_tests(run: Path, tmp_path: Path) -> None:
    facts = read_facts(run)
    path = tmp_path / 'results' / 'x' / 'visualization' / 'celeba.csv'
    values = _table(path)
    for source in (path, tmp_path / 'results' / 'x'):
        (figure,) = card_figures(facts, [source])
        assert (figure.set, figure.metric, figure.num) == ('celeba', 'psnr_y', 3) and figure.baseline == 22
        assert (figure.mean, figure.low, figure.high) == tuple(mean_interval(values))[:3]
    with pytest.raises(OptionError, match='holds no figures; name results/NAME'):
        card_figures(facts, [tmp_path])
    path.write_text('a,b\n1,2\n')
    with pytest.raises(DatasetError, match='is no table of a validation or test'):
        card_figures(facts, [path])


def test_figures_of_comparisons(run: Path, tmp_path: Path) -> None:
    facts = read_facts(run)
    ours = MethodFacts('ours', 'ours', files=(str(facts.path),), sha256=facts.sha256)
    found = Comparison(
        'six', 'bicubic',
        methods=[MethodFacts('bicubic', 'bicubic'), ours],
        sets=[SetFacts('celeba', 'bicubic', 4, ('a', 'b'))],
        metrics=[MetricFacts('psnr_y', 'psnr_y', True)],
        values={'celeba': {'bicubic': {'psnr_y': [20.0, 21.0]}, 'ours': {'psnr_y': [22.0, math.nan]}}},
    )  # fmt: skip
    found.write(tmp_path)
    for source in (tmp_path, tmp_path / 'comparison.json'):
        (figure,) = card_figures(facts, [source])
        assert (figure.mean, figure.num, figure.baseline, figure.source) == (22, 1, 20.5, 'comparison six')
        assert math.isnan(figure.low)  # one image has no interval
    assert '| celeba | 1 | psnr_y | 22.00 | unknown | 20.50 | comparison six |' in card_text(facts, [figure])
    other = tmp_path / 'other.pth'
    torch.save({'params': {'a': torch.zeros(1)}}, other)
    with pytest.raises(OptionError, match=r'has no figures of .*other.pth \(SHA-256\); it has: .*net_g_latest'):
        card_figures(read_facts(other), [tmp_path])


def test_refusals(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CheckpointError, match='there is no checkpoint'):
        read_facts(tmp_path / 'none.pth')
    for words, message in (
        (['--licence', 'MIT'], '--card: only a model card takes'),
        (['--card', '--lq', str(tmp_path)], '--lq: a model card shows no images'),
    ):
        with pytest.raises(SystemExit) as ended:
            main(['report', str(run), '-o', str(tmp_path / 'o'), *words])
        assert ended.value.code == 2 and message in capsys.readouterr().err
