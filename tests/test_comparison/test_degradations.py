"""Degradations side by side: what each figure says, who is named when it cannot be used, what is written."""

from __future__ import annotations

import csv
import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from facesr_ext.cli.main import main
from facesr_ext.comparison.examine import findings, is_comparison, of_degradations, read_degradations
from facesr_ext.comparison.open_degradations import open_hr_sets, open_pool
from facesr_ext.comparison.results import Comparison, ResultFolder
from facesr_ext.comparison.run_degradations import run_degradations
from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.degradations.presets import PRESETS, build_degradation
from facesr_ext.errors import OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.host.packaged import find_packaged
from facesr_ext.host.source import OptionFile
from facesr_ext.metrics import kid_metric, lpips_metric, metric_info
from facesr_ext.metrics.needs import built_once
from tests.support import OPTIONS, write_degradation_net

NOISE = {
    'type': 'FirstOrderDegradation', 'kernel_sizes': [3], 'blur_sigma': [0.2, 0.2], 'downscale_range': [0.25, 0.25],
    'gaussian_noise_prob': 1.0, 'noise_range': [10.0, 10.0], 'gray_noise_prob': 1.0,
    'jpeg_range': [100.0, 100.0],
}  # fmt: skip
"""White noise of one strength, and hardly anything else."""


def options(**changes: Any) -> dict[str, Any]:
    """Bicubic and white noise of one strength on three drawn faces of 64 px, 4x."""
    return {
        'name': 'trial',
        'scale': 4,
        'num_gpu': 0,
        'datasets': {'faces': {'dataroot_gt': 'builtin', 'image_size': 64, 'num_faces': 3}},
        'degradations': {'noise': {'degradation': NOISE, 'label': 'White noise'}},
        'beside': ['bicubic'],
        'draws': 6,
        'pictures': {'num': 1},
        **changes,
    }


def source(**changes: Any) -> OptionFile:
    return OptionFile('compare.yml', yaml.safe_dump(options(**changes), sort_keys=False))


def run(folder: Path, **changes: Any) -> Comparison:
    return run_degradations(read_degradations(source(**changes)), ResultFolder(folder))[0]


def mean(found: Comparison, name: str, measure: str) -> float:
    return float(np.mean(found.values['faces'][name][measure]))


def test_noise_is_no_structure_and_bicubic_has_no_spread(tmp_path: Path) -> None:
    found = run(tmp_path)
    assert found.what == 'degradation' and found.reference == 'noise'
    assert [m.label for m in found.ran('faces')] == ['White noise', 'Bicubic']
    assert found.sets[0].size == (64, 64) and len(found.sets[0].images) == 3
    assert 5 < mean(found, 'noise', 'std_z') < 12 and mean(found, 'noise', 'structure') < 12
    assert mean(found, 'noise', 'structure_z') < 0.4 * mean(found, 'noise', 'std_z')
    assert mean(found, 'noise', 'noise') > 1.5 * mean(found, 'bicubic', 'noise')
    assert mean(found, 'noise', 'tint_z') < 0.2 * mean(found, 'noise', 'std_z')
    for measure in ('std_z', 'structure_z', 'tint_z', 'noise_z', 'sharpness_z', 'blockiness_z'):
        assert mean(found, 'bicubic', measure) == 0 and mean(found, 'noise', measure) > 0
    assert math.isnan(mean(found, 'bicubic', 'structure'))
    assert mean(found, 'bicubic', 'content') < mean(found, 'noise', 'content') < 6


def test_a_network_is_measured_by_its_own_z(tmp_path: Path) -> None:
    write_degradation_net(tmp_path / 'net.pth', 4, residual=True, fold=2)
    net = {'net': {'checkpoint': str(tmp_path / 'net.pth')}, 'noise': options()['degradations']['noise']}
    found = run(tmp_path, degradations=net)
    facts = found.method('net')
    assert facts.network == 'DegradationNet' and facts.parameters and len(facts.sha256) == 64
    assert mean(found, 'net', 'std_z') > 0
    degradation = build_degradation({'type': 'LearnedDegradation', 'checkpoint': str(tmp_path / 'net.pth')}, 4)
    faces = open_hr_sets(read_degradations(source()))[0]
    _, stem, hr = next(faces.read([]))
    seeds = [zlib.crc32(text.encode()) for text in (stem, *(f'{stem} {number}' for number in range(1, 6)))]
    draws = torch.cat([degradation(hr, torch.Generator().manual_seed(seed)) for seed in seeds])
    expected = float((draws * 255).round().std(0).mean())
    assert found.values['faces']['net']['std_z'][0] == pytest.approx(expected, rel=1e-5)


def test_what_is_known_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(tmp_path, pictures={'num': 0})
    monkeypatch.setattr('facesr_ext.comparison.draws.measured', lambda *_: pytest.fail('measured again'))
    assert repr(run(tmp_path, pictures={'num': 0}).values) == repr(first.values)
    monkeypatch.undo()
    more = run(tmp_path, pictures={'num': 0}, draws=7)
    assert mean(more, 'noise', 'std_z') != mean(first, 'noise', 'std_z')


def test_what_cannot_be_used_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    write_degradation_net(tmp_path / 'net8.pth', 8, noise='per_layer')
    write_degradation_net(tmp_path / 'plane.pth', 4, noise='plane', size=32)
    entries = {
        'lost': {'checkpoint': str(tmp_path / 'lost.pth')},
        'other_scale': {'checkpoint': str(tmp_path / 'net8.pth')},
        'other_size': {'checkpoint': str(tmp_path / 'plane.pth')},
        'enlarged': {'degradation': {'type': 'BicubicDegradation', 'enlarge': True}},
    }
    sets = {**options()['datasets'], 'gone': {'dataroot_gt': str(tmp_path / 'gone')}}
    real = {'gone': {'dataroot_lq': str(tmp_path / 'gone')}}
    found = run(tmp_path, degradations=entries, datasets=sets, real=real, reference='bicubic')
    assert [m.name for m in found.ran('faces')] == ['bicubic']
    assert 'there is no file' in found.method('lost').problem
    assert 'reduces by 8, but scale is 4' in found.method('other_scale').problem
    assert 'not of 64x64 px' in found.problems['faces']['other_size']
    assert 'leave out enlarge' in found.problems['faces']['enlarged']
    assert 'gone' in found.sets[1].problem and any('real LR gone could not be used' in note for note in found.notes)
    with pytest.raises(OptionError, match='there is no file'):
        run(tmp_path, degradations={'lost': entries['lost']}, beside=[])


@pytest.mark.skipif(find_packaged('vgg16-397923af.pth') is None, reason='no weights of VGG-16')
def test_kid_is_smaller_to_pictures_of_its_own_kind(tmp_path: Path) -> None:
    pool = {'dataroot_gt': 'builtin', 'num_faces': 10, 'degradation': NOISE}
    real = {'noisy': pool, 'clean': {**pool, 'degradation': {'preset': 'bicubic_x4'}}}
    datasets = {'faces': {'dataroot_gt': 'builtin', 'image_size': 64, 'num_faces': 8}}
    found = run(tmp_path, real=real, datasets=datasets, draws=2, pictures={'num': 0})
    kid = {name: {key: one.value for key, one in row.items()} for name, row in found.whole['faces'].items()}
    assert kid['noise']['kid noisy'] < kid['bicubic']['kid noisy']
    assert kid['bicubic']['kid clean'] < kid['noise']['kid clean']
    figure = found.whole['faces']['noise']['kid noisy']
    assert figure.low < figure.high
    assert sum(note.startswith('real LR') and 'KID of one half to the other' in note for note in found.notes) == 2


def test_without_weights_a_column_is_empty_and_a_note_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    for module in ('facesr_ext.host.weights', 'facesr_ext.host.packaged'):
        monkeypatch.setattr(f'{module}.find_packaged', lambda *_: None)
    monkeypatch.setattr('facesr_ext.host.weights.search_places', lambda name: [tmp_path / name])
    metric_info._told.clear()
    monkeypatch.setattr(lpips_metric, '_lpips', built_once(lpips_metric.LPIPS))
    monkeypatch.setattr(kid_metric, '_vgg16', built_once(kid_metric.build_features))
    pool = {'dataroot_gt': 'builtin', 'num_faces': 3, 'degradation': {'preset': 'held_out'}}
    found = run(tmp_path / 'out', real={'pool': pool}, draws=2, pictures={'num': 0})
    assert math.isnan(mean(found, 'noise', 'lpips_z')) and mean(found, 'noise', 'std_z') > 0
    assert found.whole['faces'] == {}
    assert any(note.startswith('kid_vgg16') for note in found.notes)
    assert any(note.startswith('lpips_alex') for note in found.notes)


def test_real_faces_are_brought_to_the_size_of_the_lr_faces(tmp_path: Path) -> None:
    for i in range(2):
        write_image(tmp_path / f'{i}.png', render_face(5, i, 40).image[:, :32])
    file = read_degradations(source(real={'mine': {'dataroot_lq': str(tmp_path)}}))
    pool = open_pool('mine', file.real['mine'], 4, 16)
    assert [tuple(face.shape) for _, _, face in pool.read([])] == [(1, 3, 16, 16)] * 2
    made = {'dataroot_gt': 'builtin', 'num_faces': 2, 'degradation': {'preset': 'held_out'}}
    pool = open_pool('made', read_degradations(source(real={'made': made})).real['made'], 4, 16)
    faces = [face for _, _, face in pool.read([])]
    assert tuple(faces[0].shape) == (1, 3, 16, 16) and torch.equal(faces[0], next(pool.read([]))[2])


def test_the_command_writes_tables_pictures_and_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path('mine.yml').write_text(yaml.safe_dump(options(draws=3), sort_keys=False))
    with pytest.raises(SystemExit) as ended:
        main(['compare', '-opt', 'mine.yml'])
    assert not ended.value.code
    folder = ResultFolder(Path('results/trial'))
    found = Comparison.read(folder.root / 'comparison.json')
    assert found.what == 'degradation' and found.metrics[0].higher_is_better is None
    json.loads((folder.root / 'comparison.json').read_text())
    table = list(csv.DictReader(folder.table('faces').open()))
    assert [row['method'] for row in table] == ['noise', 'bicubic'] and float(table[1]['std_z']) == 0
    assert table[0]['std_z_mark'] == table[0]['quality_rank'] == '' and table[1]['content_mark'] == 'best'
    report, page = folder.report.read_text(), folder.page.read_text()
    assert '| Degradation | std_z, levels |' in report and '## Degradations' in report
    assert 'Quality rank' not in report and 'Cost' not in report
    assert '2 degradations on 1 set' in page and 'draws1_faces.png' in report
    assert page.count('each degradation makes of it') >= 1
    sheet = read_image(folder.picture('draws1_faces'))
    assert sheet.shape[1] == 4 * (96 + 2)  # the HR face and three draws, pixels of 6 x 6


def test_faults_are_named_with_their_key(tmp_path: Path) -> None:
    assert of_degradations(source()) and is_comparison(source())
    wrong = {
        'degradations': {
            'two': {'checkpoint': 'x.pth', 'opt': 'y.yml'}, 'typo': {'degradation': {'preset': 'realesrgen'}},
        },
    }  # fmt: skip
    assert 'not checkpoint and opt' in str(findings(source(**wrong))[0])
    told = findings(source(degradations={'typo': wrong['degradations']['typo']}))
    assert [finding.key[:2] for finding in told if finding.level == 'error'] == [('degradations', 'typo')]
    for changes, key in (
        ({'draws': 1}, 'draws'),
        ({'degradations': {'bicubic': {'degradation': NOISE}}}, 'beside'),
        ({'reference': 'nobody'}, 'reference'),
        ({'real': {'pool': {'dataroot_gt': 'builtin'}}}, 'real'),
        ({'methods_': {}}, 'methods_'),
    ):
        assert [f.key[0] for f in findings(source(**changes)) if f.level == 'error'] == [key]


def test_what_is_missing_is_told_before_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = {'kid_vgg16': ['vgg16.pth is missing'], 'identity_distance': ['dlib is not installed']}
    monkeypatch.setattr('facesr_ext.comparison.examine.missing_needs', lambda section: lost.get(section['type'], []))
    told = findings(source(real={'pool': {'dataroot_lq': str(tmp_path)}}))
    assert {finding.level for finding in told} == {'warning'}
    assert sorted(finding.message for finding in told) == [
        'identity: dlib is not installed; its column stays empty',
        'kid pool: vgg16.pth is missing; its column stays empty',
    ]


def test_the_held_out_mixture_is_in_no_recipe_and_varies() -> None:
    recipes = [path for path in OPTIONS.rglob('*.yml') if path.parent.name != 'compare']
    assert recipes and not any('held_out' in path.read_text(encoding='utf-8') for path in recipes)
    assert {'realesrgan', 'held_out'} <= set(PRESETS)
    for scale, size in ((4, 64), (8, 128)):
        hr = torch.from_numpy(render_face(1, 0, size).image).permute(2, 0, 1)[None] / 255
        lq = build_degradation({'preset': 'held_out'}, scale)(
            hr.expand(12, -1, -1, -1), torch.Generator().manual_seed(0)
        )
        assert lq.shape == (12, 3, 16, 16) and float((lq * 255).std(0).mean()) > 3
