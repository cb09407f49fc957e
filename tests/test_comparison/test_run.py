"""Methods side by side on the same images: figures, costs, what is kept and what is named when it cannot be used."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from basicsr.archs.srresnet_arch import MSRResNet

from facesr_ext.cli.main import main
from facesr_ext.comparison.examine import read_comparison
from facesr_ext.comparison.results import Comparison, ResultFolder
from facesr_ext.comparison.run import run_comparison
from facesr_ext.comparison.statistics import mean_interval
from facesr_ext.data.image_io import list_images, read_image, write_image
from facesr_ext.errors import OptionError
from facesr_ext.faces.drawn.face import DrawnFaces
from facesr_ext.host.source import OptionFile
from facesr_ext.inference.restorer import Restorer
from facesr_ext.runs.checkpoints import META_KEY

PHOTOS = Path(os.environ.get('FACESR_TEST_DATA', '')) / 'fsrnet_celeba_x8'
needs_photos = pytest.mark.skipif(
    'FACESR_TEST_DATA' not in os.environ or not PHOTOS.is_dir(), reason='FACESR_TEST_DATA names no photographs'
)
BICUBIC = {'network_g': {'type': 'Bicubic', 'scale': 4}}


def options(**changes: Any) -> dict[str, Any]:
    """Three methods without weights on four drawn faces of 64 px, 4x."""
    return {
        'name': 'trial',
        'scale': 4,
        'num_gpu': 0,
        'degradation': {'preset': 'bicubic_x4'},
        'datasets': {'faces': {'dataroot_gt': 'builtin', 'image_size': 64, 'num_faces': 4}},
        'methods': {
            'bicubic': BICUBIC,
            'nearest': {'network_g': {'type': 'Nearest', 'scale': 4}, 'label': 'Nearest neighbour'},
        },
        'val': {'metrics': {'psnr_rgb': {'type': 'psnr_rgb'}, 'ssim_y': {'type': 'ssim_y'}}},
        **changes,
    }


def run(folder: Path, **changes: Any) -> Comparison:
    file = read_comparison(OptionFile('compare.yml', yaml.safe_dump(options(**changes), sort_keys=False)))
    return run_comparison(file, ResultFolder(folder))[0]


def save_network(path: Path, **metadata: Any) -> MSRResNet:
    torch.manual_seed(1)
    net = MSRResNet(num_feat=8, num_block=1)
    torch.save({'params': net.state_dict(), **({META_KEY: metadata} if metadata else {})}, path)
    return net


def test_every_method_gets_the_same_images(tmp_path: Path) -> None:
    save_network(tmp_path / 'net.pth', arch={'type': 'MSRResNet', 'num_feat': 8, 'num_block': 1}, scale=4)
    found = run(tmp_path, methods={**options()['methods'], 'net': {'checkpoint': str(tmp_path / 'net.pth')}})
    assert [m.name for m in found.ran('faces')] == ['bicubic', 'nearest', 'net'] and not found.notes
    assert found.method('nearest').label == 'Nearest neighbour' and found.method('bicubic').parameters == 0
    assert found.method('net').parameters == sum(p.numel() for p in MSRResNet(num_feat=8, num_block=1).parameters())
    folder, one = ResultFolder(tmp_path), found.sets[0]
    assert len(one.images) == 4 and one.size == (64, 64) and one.lq == "MATLAB's bicubic / 4, 8 bit"
    for name in one.images:
        lq, gt = (read_image(folder.image('faces', what, name)) for what in ('LQ', 'GT'))
        assert lq.shape == (16, 16, 3) and gt.shape == (64, 64, 3)
        assert (read_image(folder.image('faces', 'net', name)) == Restorer(tmp_path / 'net.pth').restore(lq)).all()
    psnr = {m: np.mean(found.values['faces'][m]['psnr_rgb']) for m in ('bicubic', 'nearest')}
    assert psnr['bicubic'] > psnr['nearest'] > 15
    cost = found.costs['faces']['net']
    assert cost.macs and cost.memory and len(cost.seconds) == 4 and min(cost.seconds) > 0


def test_figures_are_those_of_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same GT, LQ and metrics as BasicSR's test runner gives."""
    from facesr_ext.cli.run import run_pipeline
    from tests.support import OPTIONS

    monkeypatch.chdir(tmp_path)
    words = ['-opt', str(OPTIONS / 'test' / 'bicubic.yml'), '--force_yml', 'num_gpu=0', 'val:save_img=false']
    run_pipeline('test', [*words, 'datasets:test_1:num_faces=4', 'datasets:test_1:image_size=64'])
    table = (tmp_path / 'results' / 'bicubic_x4' / 'visualization' / 'faces.csv').read_text().splitlines()
    column = table[0].split(',').index('psnr_rgb')
    found = run(tmp_path / 'compared')
    values = found.values['faces']['bicubic']['psnr_rgb']
    assert [f'{value:#.6g}' for value in values] == [line.split(',')[column] for line in table[1:5]]


def test_what_is_known_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(tmp_path)
    made: list[int] = []
    restore = Restorer.restore_batch

    def counted(*args: Any) -> torch.Tensor:
        made.append(1)
        return restore(*args)

    monkeypatch.setattr(Restorer, 'restore_batch', counted)
    assert run(tmp_path).values == first.values and not made
    more = options()['val']['metrics'] | {'psnr_y': {'type': 'psnr_y'}}
    again = run(tmp_path, val={'metrics': more})
    assert not made  # the results are there as images
    assert again.values['faces']['bicubic']['psnr_rgb'] == first.values['faces']['bicubic']['psnr_rgb']
    run(tmp_path, methods={**options()['methods'], 'lanczos': {'network_g': {'type': 'Lanczos', 'scale': 4}}})
    assert len(made) == 1 + 4  # one image warms up
    run(tmp_path, methods={'bicubic': {**BICUBIC, 'self_ensemble': True}})
    assert len(made) == 2 * 5


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    whole = run(tmp_path / 'whole')
    run(tmp_path / 'part', datasets={'faces': {**options()['datasets']['faces'], 'max_images': 2}})
    for path in (tmp_path / 'part' / 'cache').iterdir():
        path.write_bytes(path.read_bytes()[:-20])  # killed while it wrote a line
    (tmp_path / 'part' / 'images' / 'faces' / 'nearest' / 'builtin_1_00000.png').write_bytes(b'broken')
    assert run(tmp_path / 'part').values == whole.values
    for path in (tmp_path / 'part' / 'cache').iterdir():
        assert all(json.loads(line) for line in path.read_text().splitlines()[2:])


def test_changed_results_are_measured_anew(tmp_path: Path) -> None:
    save_network(tmp_path / 'net.pth', arch={'type': 'MSRResNet', 'num_feat': 8, 'num_block': 1}, scale=4)
    methods = {'net': {'checkpoint': str(tmp_path / 'net.pth')}}
    before = run(tmp_path, methods=methods).values['faces']['net']['psnr_rgb']
    content = torch.load(tmp_path / 'net.pth', weights_only=True)
    content['params']['conv_last.bias'] += 0.1
    torch.save(content, tmp_path / 'net.pth')
    after = run(tmp_path, methods=methods).values['faces']['net']['psnr_rgb']
    assert all(a != b for a, b in zip(before, after, strict=True))


def test_stored_lq_make_a_set_of_their_own(tmp_path: Path) -> None:
    faces = DrawnFaces(3, 5, 64)
    for i in range(3):
        write_image(tmp_path / 'gt' / f'{i}.png', faces[i].image)
        write_image(tmp_path / 'lq' / f'{i}.png', faces[i].image)  # enlarged, and perfect
    one = {'dataroot_gt': str(tmp_path / 'gt'), 'dataroot_lq': str(tmp_path / 'lq'), 'lq_enlarged': True}
    found = run(tmp_path / 'out', datasets={'own': one})
    assert [s.name for s in found.sets] == ['own', 'own_stored']
    assert found.values['own_stored']['bicubic']['psnr_rgb'] == [math.inf] * 3  # an enlarged LQ is bicubic's result
    assert max(found.values['own']['bicubic']['psnr_rgb']) < 50
    assert 'takes the small LQ' in found.problems['own_stored']['nearest']
    assert [s.name for s in run(tmp_path / 'made', datasets={'own': {**one, 'lq': 'made'}}).sets] == ['own']
    stored = run(tmp_path / 'stored', datasets={'own': one}, degradation=None)
    assert [s.name for s in stored.sets] == ['own'] and 'as stored in' in stored.sets[0].lq


def test_what_cannot_be_used_is_named_and_the_rest_done(tmp_path: Path) -> None:
    faces = DrawnFaces(3, 5, 64)
    for i in range(3):
        write_image(tmp_path / 'gt' / f'{i}.png', faces[i].image)
    (tmp_path / 'gt' / '1.png').write_bytes(b'broken')
    save_network(tmp_path / 'stock.pth')
    found = run(
        tmp_path / 'out',
        datasets={
            'own': {'dataroot_gt': str(tmp_path / 'gt')},
            'gone': {'dataroot_gt': str(tmp_path / 'nowhere')},
            'other': {'dataroot_gt': str(tmp_path / 'gt'), 'scale': 2, 'degradation': {'type': 'BicubicDegradation'}},
        },
        methods={
            'bicubic': BICUBIC,
            'lost': {'checkpoint': str(tmp_path / 'lost.pth')},
            'untrained': {'opt': 'options/srresnet.yml'},
            'heavy': {'network_g': {'type': 'NAFSR'}},
            'eight': {'network_g': {'type': 'Bicubic', 'scale': 8}},
        },
    )
    assert found.sets[0].images == ('0', '2') and any('1.png' in note for note in found.notes)
    assert 'nowhere' in found.sets[1].problem and found.ran('own') and not found.ran('other')
    problems = found.problems['own']
    assert 'there is no checkpoint' in problems['lost'] and 'has weights' in problems['heavy']
    assert 'srresnet.yml' in problems['untrained'] and 'scale 8' in problems['eight']
    assert 'scale 4' in found.problems['other']['bicubic']


def test_nothing_to_compare_ends_it(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match='none can be used'):
        run(tmp_path, methods={'lost': {'checkpoint': 'lost.pth'}})
    with pytest.raises(OptionError, match='nowhere'):
        run(tmp_path, datasets={'own': {'dataroot_gt': 'nowhere'}})


def test_one_image_alone_has_no_interval(tmp_path: Path) -> None:
    found = run(tmp_path, datasets={'faces': {**options()['datasets']['faces'], 'num_faces': 1}})
    interval = mean_interval(found.values['faces']['bicubic']['psnr_rgb'])
    assert interval.num == 1 and math.isnan(interval.low)


def test_lq_without_gt_is_restored_and_not_measured(tmp_path: Path) -> None:
    for i, face in enumerate(DrawnFaces(2, 5, 32)[i].image for i in range(2)):
        write_image(tmp_path / 'lq' / f'{i}.png', face)
    found = run(tmp_path / 'out', datasets={'inputs': {'dataroot_lq': str(tmp_path / 'lq'), 'image_size': 16}})
    assert len(list_images(tmp_path / 'out' / 'images' / 'inputs' / 'bicubic')) == 2
    assert all(math.isnan(value) for value in found.values['inputs']['bicubic']['psnr_rgb'])
    assert not (tmp_path / 'out' / 'images' / 'inputs' / 'GT').exists()


def train_small(monkeypatch: pytest.MonkeyPatch, folder: Path, *changes: str) -> list[str]:
    """Trains the smallest ESPCN for two iterations below a folder; returns its overrides."""
    from facesr_ext.cli.run import run_pipeline
    from tests.support import OPTIONS

    monkeypatch.chdir(folder)
    forced = ['num_gpu=0', 'train:total_iter=2', 'datasets:train:num_faces=8', 'datasets:train:num_worker_per_gpu=0']
    forced += ['datasets:train:persistent_workers=false', 'val:val_freq=2', 'datasets:val:num_faces=1', *changes]
    forced += ['logger:save_checkpoint_freq=2', 'logger:use_tb_logger=false']
    run_pipeline('train', ['-opt', str(OPTIONS / 'espcn.yml'), '--force_yml', *forced])
    return forced


def test_a_recipe_stands_for_the_run_that_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several runs a method has the mean of each image, and each run's mean is told."""
    train_small(monkeypatch, tmp_path)
    train_small(monkeypatch, tmp_path, 'name=espcn_x4_seed1', 'manual_seed=1')
    method = {'opt': 'options/espcn.yml'}  # shipped, and not below this folder
    three = {**method, 'seeds': 3}
    found = run(tmp_path / 'out', methods={'bicubic': BICUBIC, 'one': method, 'three': three})
    assert found.method('one').files == ('experiments/espcn_x4/models/net_g_latest.pth',)
    first = found.values['faces']['one']['psnr_rgb']
    seeds = found.seeds['faces']['three']['psnr_rgb']
    assert seeds[0] == pytest.approx(np.mean(first)) and seeds[1] != seeds[0] and len(seeds) == 2
    assert np.mean(found.values['faces']['three']['psnr_rgb']) == pytest.approx(np.mean(seeds))
    assert any('three_seed2' in note and 'espcn_x4_seed2' in note for note in found.notes)
    assert [m.name for m in found.methods] == ['bicubic', 'one', 'three']


def test_a_checkpoint_of_others_is_recognised(tmp_path: Path) -> None:
    pytest.importorskip('spandrel')
    from basicsr.archs.rrdbnet_arch import RRDBNet

    torch.save({'params_ema': RRDBNet(3, 3, 4, 16, 1, 32).state_dict()}, tmp_path / 'esrgan.pth')
    found = run(tmp_path, methods={'bicubic': BICUBIC, 'esrgan': {'checkpoint': str(tmp_path / 'esrgan.pth')}})
    assert found.method('esrgan').network == 'ESRGAN' and 'esrgan' in found.values['faces']


def test_a_checkpoint_of_others_by_its_option_file(tmp_path: Path) -> None:
    net = save_network(tmp_path / 'stock.pth')
    section = {'network_g': {'type': 'MSRResNet', 'num_feat': 8, 'num_block': 1, 'upscale': 4}, 'scale': 4}
    (tmp_path / 'stock.yml').write_text(yaml.safe_dump(section))
    method = {'checkpoint': str(tmp_path / 'stock.pth'), 'arch': str(tmp_path / 'stock.yml')}
    found = run(tmp_path, methods={'net': method})
    assert found.method('net').parameters == sum(p.numel() for p in net.parameters())


@needs_photos
def test_bicubic_is_the_published_figure(tmp_path: Path) -> None:
    """23.55 dB PSNR-Y on the first 200 of FSRNet's CelebA pairs, 23.53 from their published LR."""
    one = {'dataroot_gt': str(PHOTOS / 'HR'), 'dataroot_lq': str(PHOTOS / 'LR_bicubic'), 'lq_enlarged': True}
    found = run(
        tmp_path,
        scale=8,
        degradation={'preset': 'bicubic_x8'},
        datasets={'celeba': {**one, 'max_images': 200}},
        methods={'bicubic': {'network_g': {'type': 'Bicubic', 'scale': 8}}},
        val={'metrics': {'psnr_y': {'type': 'psnr_y'}}, 'save_img': False},
    )
    means = {name: np.mean(rows['bicubic']['psnr_y']) for name, rows in found.values.items()}
    assert means == pytest.approx({'celeba': 23.55, 'celeba_stored': 23.53}, abs=0.006)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'methods': {}}, r'methods: must have at least so many entries: 1'),
        ({'reference': 'bicubi'}, r'reference: must be one of methods: bicubic, nearest'),
        ({'methods': {'a/b': BICUBIC}}, r'names a folder'),
        ({'methods': {'b': {**BICUBIC, 'opt': 'x.yml'}}}, r'methods:b: must have one of checkpoint, opt, network_g'),
        ({'methods': {'b': {'network_g': {'type': 'Bicubik'}}}}, r'did you mean Bicubic'),
        ({'methods': {'b': {'network_g': {'type': 'Bicubic', 'factor': 4}}}}, r'network_g:factor: unknown key'),
        ({'val': {'metrics': {'psnr': {'type': 'psnr_rbg'}}}}, r'did you mean psnr_rgb'),
        ({'degradation': {'preset': 'bicubic_x8'}}, r'degradation: reduces by 8, but scale is 4'),
        ({'pictures': {'by': 'psnr'}}, r'pictures:by: is no metric of val:metrics; did you mean psnr_rgb'),
        ({'pictures': {'zoom': [0.5, 0, 0.2, 1]}}, r'pictures:zoom: must be left, top, right, bottom'),
        ({'datasets': {'x': {'image_size': 64}}}, r'datasets:x: must have dataroot_gt, dataroot_lq or both'),
        ({'scale': None}, r'datasets:faces:scale: is missing'),
        ({'model_type': 'FaceSRModel'}, r'model_type: unknown key'),
    ],
)
def test_a_fault_of_the_file_is_told_with_its_key(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message):
        run(tmp_path, **changes)


def test_models_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_network(tmp_path / 'net.pth', arch={'type': 'MSRResNet', 'num_feat': 8, 'num_block': 1}, scale=4)
    with pytest.raises(SystemExit) as end:
        main(['compare', 'net.pth', '--max-images', '3', '--size', '64', '--metric', 'psnr_rgb', '--name', 'mine'])
    assert not end.value.code
    found = Comparison.read(tmp_path / 'results' / 'mine' / 'comparison.json')
    assert [m.name for m in found.methods] == ['bicubic', 'net'] and len(found.sets[0].images) == 3
    assert (tmp_path / 'results' / 'mine' / 'index.html').is_file()
