"""Restorer: what ``python -m basicsr.test`` saves, from a checkpoint alone."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from basicsr.archs.rrdbnet_arch import RRDBNet
from basicsr.archs.srresnet_arch import MSRResNet

from facesr_ext import Restorer
from facesr_ext.archs.fsrnet_arch import FSRNet
from facesr_ext.archs.nafsr_arch import NAFSR
from facesr_ext.cli.run import run_pipeline
from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.errors import CheckpointError, DatasetError, OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.imaging import imresize, quantize, to_images, to_tensor, with_coordinates
from facesr_ext.models.forward import enlarge
from facesr_ext.models.tiles import Tiling
from facesr_ext.runs.checkpoints import load_checkpoint, read_weights
from facesr_ext.runs.folder import late_checkpoints
from tests.support import OPTIONS, SMALL_NETS, small_options, write_options

MSR = {'type': 'MSRResNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_block': 1, 'upscale': 4}
FSR = {'type': 'FSRNet', 'scale': 4, 'num_feat': 4, 'num_encoder_block': 1, 'num_coarse_block': 1,
       'num_decoder_block': 1, 'hg_num': 1, 'hg_depth': 2, 'hg_feat': 8}  # fmt: skip
NAF = {'type': 'NAFSR', 'scale': 4, **SMALL_NETS['NAFSR'], 'coords': True}


def _face(index: int, size: int) -> np.ndarray:
    return render_face(0, index, 64).image[:size, 20 : 20 + size]


def _weights(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Weights whose result differs from the enlarged LQ: MSRResNet begins with small ones."""
    factor = 4 if isinstance(net, MSRResNet) else 1
    return {key: v * factor if v.ndim == 4 else v for key, v in net.state_dict().items()}


def _run(name: str, net: dict[str, Any], folder: Path) -> Path:
    """A run with its last six checkpoints, whose weights and averaged weights differ."""
    torch.manual_seed(0)
    cls: Any = {'MSRResNet': MSRResNet, 'FSRNet': FSRNet, 'NAFSR': NAFSR}[net['type']]
    arguments = {key: value for key, value in net.items() if key != 'type'}
    meta = {'arch': net, 'scale': 4, 'input': 'enlarged' if net['type'] == 'FSRNet' else 'small'}
    models = folder / 'experiments' / name / 'models'
    models.mkdir(parents=True)
    for iteration in (2, 4, 6, 8, 10, 'latest'):
        params, ema = (_weights(cls(**arguments)) for _ in range(2))
        torch.save({'params': params, 'params_ema': ema, 'facesr_ext': meta}, models / f'net_g_{iteration}.pth')
    return models.parent


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, and LQ pictures of two sizes."""
    folder = tmp_path_factory.mktemp('runs')
    _run('msr', MSR, folder)
    _run('fsr', FSR, folder)
    _run('naf', NAF, folder)
    for i, size in enumerate((24, 24, 40)):
        write_image(folder / 'lq' / f'{i}.png', _face(i, size))
    return folder


def _tested(place: Path, run: str, net: dict[str, Any], monkeypatch: pytest.MonkeyPatch, **val: Any) -> list[Any]:
    """The pictures that BasicSR's test pipeline saves."""
    monkeypatch.chdir(place)
    name = f'{run}_{len(list(place.glob("results/*")))}'
    opt = small_options(OPTIONS / 'test' / 'bicubic.yml')
    data = {
        'name': 'lq',
        'type': 'SingleImageDataset',
        'dataroot_lq': str(place / 'lq'),
        'io_backend': {'type': 'disk'},
    }
    path = {'pretrain_network_g': f'experiments/{run}/models/net_g_latest.pth', 'strict_load_g': True}
    opt.update(name=name, scale=4, network_g=dict(net), path=path, datasets={'test_1': data})
    opt['val'] = {'save_img': True, 'suffix': 'x', **val}
    run_pipeline('test', ['-opt', str(write_options(opt, place / 'test.yml'))])
    return [read_image(place / 'results' / name / 'visualization' / 'lq' / f'{i}_x.png') for i in range(3)]


@pytest.mark.parametrize(
    ('val', 'arguments'),
    [
        ({}, {}),
        ({'self_ensemble': True}, {'self_ensemble': True}),
        ({'average_last': 3}, {'average_last': 3}),
        ({'tile': {'size': 32, 'overlap': 8}, 'self_ensemble': True}, {'tile': 32, 'self_ensemble': True}),
    ],
    ids=('plain', 'self-ensemble', 'average', 'tiles'),
)
@pytest.mark.parametrize(('run', 'net'), [('msr', MSR), ('fsr', FSR), ('naf', NAF)])
def test_equals_the_test_pipeline_bit_for_bit(
    run: str,
    net: dict[str, Any],
    val: dict[str, Any],
    arguments: dict[str, Any],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = _tested(place, run, net, monkeypatch, **val)
    lqs = [read_image(place / 'lq' / f'{i}.png') for i in range(3)]
    results = Restorer(place / 'experiments' / run, device='cpu', **arguments).restore(lqs)
    for result, saved in zip(results, expected, strict=True):
        assert result.dtype == np.uint8 and np.array_equal(result, saved)


def test_bicubics_file_takes_enlarged_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As FSRNet's are published; the figures are those of the small LQ, which is enlarged in the test."""
    monkeypatch.chdir(tmp_path)
    for i in range(2):
        gt = render_face(0, i, 64).image
        small = quantize(imresize(to_tensor(gt)[None], (16, 16)))
        for name, image in (('gt', gt), ('small', to_images(small)[0]), ('big', to_images(enlarge(small, 4))[0])):
            write_image(tmp_path / name / f'{i}.png', image)
    for name, forced in (('small', []), ('big', ['network_g:scale=1', 'datasets:test_1:lq_enlarged=true'])):
        pairs = ['type=PairedFaceDataset', 'dataroot_gt=gt', f'dataroot_lq={name}', 'image_size=~']
        words = [f'name={name}', 'num_gpu=0', *forced, *(f'datasets:test_1:{pair}' for pair in pairs)]
        run_pipeline('test', ['-opt', str(OPTIONS / 'test' / 'bicubic.yml'), '--force_yml', *words])
    tables = [(tmp_path / f'results/{name}/visualization/faces.csv').read_text() for name in ('small', 'big')]
    assert tables[0] == tables[1]


def test_the_test_pipeline_lets_several_through_together(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _tested(place, 'msr', MSR, monkeypatch, batch_size=2, self_ensemble=True)
    lqs = [read_image(place / 'lq' / f'{i}.png') for i in range(3)]
    restorer = Restorer(place / 'experiments' / 'msr', device='cpu', self_ensemble=True, batch_size=2)
    sizes: list[int] = []
    restorer.net.register_forward_hook(lambda net, inputs, out: sizes.append(len(inputs[0])))
    for result, saved in zip(restorer.restore(lqs), expected, strict=True):
        assert np.array_equal(result, saved)
    assert sizes == [2, 2, 1, 1]


def test_self_ensemble_is_the_mean_before_rounding_and_mirrors_with_the_picture(place: Path) -> None:
    run = place / 'experiments' / 'msr'
    lq = np.random.default_rng(0).random((24, 24, 3), np.float32)
    plain, twice = (Restorer(run, device='cpu', self_ensemble=on) for on in (False, True))
    (a,), (b,) = plain.restore([lq]), plain.restore([lq[:, ::-1]])
    (mean,) = twice.restore([lq])
    assert mean.dtype == np.float32 and np.abs(a - b[:, ::-1]).max() > 1e-4
    inside = (a > 0) & (a < 1) & (b[:, ::-1] > 0) & (b[:, ::-1] < 1)  # clamped after the mean
    assert np.abs(mean - (a + b[:, ::-1]) / 2)[inside].max() < 1e-6
    assert np.allclose(twice.restore([lq[:, ::-1]])[0], mean[:, ::-1], atol=1e-6)


def test_tiles_and_the_mirrored_picture_know_their_place_in_the_face(place: Path) -> None:
    run = place / 'experiments' / 'naf'
    seen: list[torch.Tensor] = []
    lq = _face(0, 40)
    restorer = Restorer(run, device='cpu', tile=Tiling(24, 8), self_ensemble=True)
    restorer.net.register_forward_hook(lambda net, inputs, out: seen.append(inputs[0]))
    restorer.restore([lq])
    whole = with_coordinates(torch.from_numpy(lq).permute(2, 0, 1)[None].float() / 255)
    assert len(seen) == 8
    assert torch.equal(seen[0], whole[..., :24, :24]) and torch.equal(seen[-2], whole[..., -24:, -24:])
    swapped, kept = seen[1].flip(-1), [0, 1, 2, 4]
    assert torch.equal(swapped[:, kept], seen[0][:, kept])
    assert torch.equal(swapped[:, 3], -seen[0][:, 3])  # x counts from the other side in the mirrored face


def test_mean_of_checkpoints_takes_the_averaged_weights(place: Path) -> None:
    models = place / 'experiments' / 'msr' / 'models'
    files = late_checkpoints(models / 'net_g_latest.pth', 3)
    assert [Path(f).name for f in files] == ['net_g_6.pth', 'net_g_8.pth', 'net_g_10.pth']
    assert [Path(f).name for f in late_checkpoints(models / 'net_g_6.pth', 2)] == ['net_g_4.pth', 'net_g_6.pth']
    state, used, _ = read_weights(files)
    assert used == 'params_ema, mean of 3'
    emas = [load_checkpoint(f)['params_ema'] for f in files]
    for key, value in state.items():
        expected = torch.stack([ema[key].double() for ema in emas]).mean(0)
        assert value.dtype == torch.float32 and torch.allclose(value.double(), expected, atol=1e-7)
    same = read_weights([files[0]] * 3).state
    assert all(torch.equal(same[key], emas[0][key]) for key in same)
    loaded = Restorer(files, device='cpu').net.state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_mean_of_counters_is_the_last_ones(tmp_path: Path) -> None:
    """BatchNorm counts its batches in whole numbers."""
    paths = [str(tmp_path / f'net_g_{i}.pth') for i in (1, 2)]
    for path, value in zip(paths, (1, 4), strict=True):
        torch.save({'params': {'count': torch.tensor(value), 'mean': torch.tensor(float(value))}}, path)
    state, used, _ = read_weights(paths)
    assert state['count'].item() == 4 and state['mean'].item() == 2.5 and used == 'params, mean of 2'


def test_mean_refuses_what_does_not_belong_together(place: Path) -> None:
    runs = place / 'experiments'
    latest = [runs / name / 'models' / 'net_g_latest.pth' for name in ('msr', 'fsr')]
    with pytest.raises(CheckpointError, match='another network than .*msr.*only checkpoints of one'):
        Restorer(latest, arch=MSR)
    with pytest.raises(CheckpointError, match='average_last: 9, but .* has 5 numbered checkpoints'):
        Restorer(runs / 'msr', average_last=9)
    with pytest.raises(CheckpointError, match='not named as the checkpoints of a run'):
        late_checkpoints('net.pth', 2)


def test_stock_files_need_to_be_told_what_they_are(place: Path, tmp_path: Path) -> None:
    torch.save({'params': MSRResNet(3, 3, 8, 1, 4).state_dict()}, tmp_path / 'stock.pth')
    with pytest.raises(CheckpointError, match=r'not written by facesr_ext\. Name it: .*--arch options/x\.yml.*arch=\{'):
        Restorer(tmp_path / 'stock.pth')
    recipe = write_options({'name': 'stock', 'scale': 4, 'network_g': MSR}, tmp_path / 'x.yml')
    lq = _face(0, 24)
    results = [Restorer(tmp_path / 'stock.pth', arch=arch).restore([lq])[0] for arch in (MSR, recipe)]
    assert results[0].shape == (96, 96, 3) and np.array_equal(*results)
    with pytest.raises(OptionError, match='has no section network_g'):
        Restorer(tmp_path / 'stock.pth', arch=write_options({'name': 'none'}, tmp_path / 'none.yml'))
    with pytest.raises(OptionError, match='is no option file'):
        Restorer(tmp_path / 'stock.pth', arch=tmp_path / 'stock.pth')
    with pytest.raises(CheckpointError, match='does not fit MSRResNet'):
        Restorer(tmp_path / 'stock.pth', arch={**MSR, 'num_block': 2})


def test_basicsrs_networks_state_scale_and_grid(tmp_path: Path) -> None:
    arch = {'type': 'RRDBNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1, 'num_grow_ch': 4}
    torch.manual_seed(0)
    net = RRDBNet(3, 3, scale=2, num_feat=4, num_block=1, num_grow_ch=4)
    torch.save({'params': net.state_dict()}, tmp_path / 'x2.pth')
    restorer = Restorer(tmp_path / 'x2.pth', arch={**arch, 'scale': 2}, device='cpu')
    assert restorer.scale == 2 and restorer.restore(_face(0, 23)).shape == (46, 46, 3)  # it takes even sizes alone


def test_sizes_that_the_network_does_not_take_are_filled_up(place: Path) -> None:
    restorer = Restorer(place / 'experiments' / 'fsr', device='cpu')
    assert restorer.info.sizes.multiple_of > 4 and restorer.info.input == 'enlarged'
    (result,) = restorer.restore([render_face(0, 0, 64).image[:23, :41]])
    assert result.shape == (92, 164, 3)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'batch_size': 0}, 'batch_size: must be a number from 1 on, not 0'),
        ({'batch_size': 1.5}, 'batch_size: must be a number from 1 on, not 1.5'),
        ({'batch_size': True}, 'batch_size: must be a number from 1 on, not True'),
        ({'batch_size': '2'}, "batch_size: must be a number from 1 on, not '2'"),
        ({'scale': 0}, 'scale: must be a number from 1 on, not 0'),
        ({'scale': 4.0}, 'scale: must be a number from 1 on, not 4.0'),
        ({'average_last': -1}, 'average_last: must be a number from 1 on, not -1'),
        ({'tile': 0}, 'tile: must be a number from 1 on, or Tiling'),
        ({'tile': '64'}, "tile: must be a number from 1 on, or Tiling.* not '64'"),
        ({'tile': (64, 16)}, r'tile: must be a number from 1 on, or Tiling.* not \(64, 16\)'),
        ({'device': 'cuda:99'}, "device: 'cuda:99' is none; say cpu, cuda"),
        ({'device': 'meta'}, 'device: meta computes nothing'),
        ({'arch': ['MSRResNet']}, 'arch: must be a section or an option file'),
        ({'device': 'gpu'}, "device: 'gpu' is none; say cpu, cuda"),
        ({'precision': 'int8'}, "precision: 'int8' is unknown"),
        ({'scale': 2}, 'scale: 2, but the network is built for 4'),
        ({'tile': Tiling(32, 32)}, 'tile:overlap: must be from 0 to below size 32'),
    ],
)
def test_unfit_arguments(arguments: dict[str, Any], message: str, place: Path) -> None:
    with pytest.raises(OptionError, match=message):
        Restorer(place / 'experiments' / 'msr', **arguments)


def test_images_of_every_kind_and_a_single_one(place: Path) -> None:
    restorer = Restorer(place / 'experiments' / 'msr', device='cpu')
    path = place / 'lq' / '0.png'
    lq = read_image(path)
    expected = restorer.restore([lq])
    tensor = torch.from_numpy(lq).permute(2, 0, 1)
    for kind in (path, str(path), PIL.Image.fromarray(lq), PIL.Image.fromarray(lq).convert('RGBA'), tensor, lq):
        single = restorer.restore(kind)
        assert isinstance(single, np.ndarray) and np.array_equal(single, expected[0])
        assert np.array_equal(restorer.restore([kind])[0], expected[0])
    for batch in (np.stack([lq, lq]), torch.stack([tensor, tensor])):
        assert [np.array_equal(result, expected[0]) for result in restorer.restore(batch)] == [True, True]
    assert restorer.restore(tensor / 255).dtype == np.float32


def test_an_image_that_is_stored_enlarged(place: Path) -> None:
    lq = _face(0, 24)
    big = to_images(enlarge(to_tensor(lq)[None], 4))[0]
    restorer = Restorer(place / 'experiments' / 'fsr', device='cpu')
    assert np.array_equal(restorer.restore(big, enlarged=True), restorer.restore(lq))
    with pytest.raises(DatasetError, match='MSRResNet takes the small image, and these are enlarged'):
        Restorer(place / 'experiments' / 'msr', device='cpu').restore(big, enlarged=True)


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (np.zeros((0, 0, 3), np.uint8), r'image 0 is uint8 \(0, 0, 3\): it has no pixels'),
        (np.full((8, 8, 3), 128.0, np.float32), 'has values from 128 to 128; .* divide by 255'),
        (np.full((8, 8, 3), np.nan, np.float32), 'has values from nan'),
        (np.full((8, 8, 3), np.inf), 'has values from inf'),
        (np.linspace(-1, 1, 192).reshape(8, 8, 3), 'has values from -1 to 1; .* for -1 to 1 add 1 and halve'),
        (np.zeros((8, 8, 3), bool), 'image 0 is bool'),
        (np.zeros((8, 8, 3), np.uint16), 'image 0 is uint16'),
        (np.zeros((3, 8, 8), np.uint8), r'uint8 \(3, 8, 8\); give \(h, w, 3\)'),
        (np.zeros((8, 8, 1), np.uint8), r'uint8 \(8, 8, 1\); give \(h, w, 3\)'),
        (np.zeros((0, 8, 3), np.uint8), 'it has no pixels'),
        (torch.zeros(8, 8), r'is a tensor \(8, 8\); give \(3, h, w\)'),
        (torch.zeros(3, 8, 8) > 0, 'image 0 is bool'),
        (PIL.Image.new('I;16', (8, 8)), 'image 0 has mode I;16'),
        (PIL.Image.new('F', (8, 8)), 'image 0 has mode F'),
        ({'lq': np.zeros((8, 8, 3), np.uint8)}, 'image 0 is dict'),
        (b'bytes of a file', 'image 0 is bytes'),
        (5, 'image 0 is int'),
        ('', 'cannot read'),
        (np.zeros((8, 8, 3), np.int64), 'image 0 is int64'),
        (np.zeros((8, 8, 4), np.uint8), r'uint8 \(8, 8, 4\); give \(h, w, 3\)'),
        (torch.zeros(8, 8, 3), r'is a tensor \(8, 8, 3\); give \(3, h, w\)'),
        ('no such file.png', 'no such file.png'),
    ],
)
def test_unfit_images(image: Any, message: str, place: Path) -> None:
    restorer = Restorer(place / 'experiments' / 'msr', device='cpu')
    for images in (image, [image]):
        with pytest.raises(DatasetError, match=message):
            restorer.restore(images)
    with pytest.raises(DatasetError, match='image 0 is NoneType'):
        restorer.restore([None])  # type: ignore[list-item]


@pytest.mark.parametrize(
    'change',
    [
        lambda lq: lq[:, ::-1][:, ::-1],
        lambda lq: np.ascontiguousarray(lq[..., ::-1])[..., ::-1],
        np.asfortranarray,
        lambda lq: np.broadcast_to(lq, lq.shape),
        lambda lq: torch.from_numpy(lq).permute(2, 0, 1),
        lambda lq: PIL.Image.fromarray(lq).convert('RGBX'),
        lambda lq: (image for image in [lq]),
        lambda lq: (lq,),
    ],
    ids=('mirrored view', 'BGR view', 'Fortran', 'read only', 'tensor view', 'RGBX', 'generator', 'tuple'),
)
def test_images_in_any_memory(change: Any, place: Path) -> None:
    restorer = Restorer(place / 'experiments' / 'msr', device='cpu')
    lq = _face(0, 8)
    result = restorer.restore(change(lq))
    assert np.array_equal(result[0] if isinstance(result, list) else result, restorer.restore(lq))


@pytest.mark.parametrize('kind', [np.float16, np.float64, torch.float16, torch.bfloat16, torch.float64])
def test_floating_point_of_any_kind(kind: Any, place: Path) -> None:
    restorer = Restorer(place / 'experiments' / 'msr', device='cpu')
    lq = _face(0, 8)
    tensor = torch.from_numpy(lq).permute(2, 0, 1)
    given = tensor.to(kind) / 255 if isinstance(kind, torch.dtype) else lq.astype(kind) / 255
    result = restorer.restore(given)
    assert result.dtype == np.float32 and np.abs(result * 255 - restorer.restore(lq)).max() < 4


def test_several_sizes_together_and_the_smallest(place: Path) -> None:
    restorer = Restorer(place / 'experiments' / 'msr', device='cpu', batch_size=4)
    lq = _face(0, 8)
    results = restorer.restore([lq, lq[:5], lq[:, :3], lq[:1, :1], lq])
    assert [result.shape[:2] for result in results] == [(32, 32), (20, 32), (32, 12), (4, 4), (32, 32)]
    assert np.array_equal(results[0], results[4])


def test_an_image_of_pil_is_turned_as_its_file_is(place: Path, tmp_path: Path) -> None:
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    PIL.Image.fromarray(_face(0, 8)[:5]).save(tmp_path / 'a.png', exif=turned)
    restorer = Restorer(place / 'experiments' / 'msr', device='cpu')
    by_path = restorer.restore(tmp_path / 'a.png')
    assert by_path.shape == (32, 20, 3)
    assert np.array_equal(by_path, restorer.restore(PIL.Image.open(tmp_path / 'a.png')))


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a.pth', b'', 'it is empty'),
        ('a.safetensors', b'', 'it is empty'),
        ('a.pth', b'<!DOCTYPE html><html>', 'it is no weight file'),
        ('a.safetensors', b'<!DOCTYPE html><html>', 'it is no weight file'),
        ('a.pth', b'version https://git-lfs.github.com/spec/v1\n', 'it is no weight file'),
        ('a.pth', gzip.compress(b'weights'), 'it is no weight file'),
        ('a.pth', b'\x89PNG\r\n\x1a\n', 'it is no weight file'),
        ('a.pth', b'PK\x05\x06' + bytes(18), '.cut off'),  # an archive without files
        ('a.pth', None, 'holds no checkpoint of a run'),
    ],
)
def test_files_that_are_no_checkpoints(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f'{name}.* {message}'):
        Restorer(path, arch=MSR)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([1], 'holds a list, not a dict'),
        (torch.zeros(3), 'holds a Tensor, not a dict'),
        ({}, '0 too many'),
        ({'params': {}}, 'does not fit'),
        ({'params': None}, 'has no weights under a key that is known, but params'),
        ({'epoch': 0, 'iter': 5, 'optimizers': [], 'schedulers': []}, 'has no weights under a key that is known'),
    ],
)
def test_checkpoints_without_weights(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=message):
        Restorer(tmp_path / 'a.pth', arch=MSR)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    """They would make black images."""
    state = MSRResNet(num_feat=8, num_block=1, upscale=4).state_dict()
    state['conv_last.bias'] = torch.full_like(state['conv_last.bias'], value)
    torch.save({'params': state}, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=r'has 1 weights that are not finite, the first is conv_last\.bias'):
        Restorer(tmp_path / 'a.pth', arch=MSR)


def test_unfit_pictures_and_folders(place: Path, tmp_path: Path) -> None:
    restorer = Restorer(place / 'experiments' / 'msr', device='cpu')
    with pytest.raises(DatasetError, match=r'image 1 is uint8 \(8, 8\)'):
        restorer.restore([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)])
    with pytest.raises(CheckpointError, match='holds no checkpoint of a run'):
        Restorer(tmp_path)
    assert restorer.restore([]) == []
