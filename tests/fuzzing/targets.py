"""What is fuzzed: for each reader of the package valid files to begin from, and a call that reads one."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import lmdb
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from PIL import Image

from benchmarks.clips import write_clip
from facesr_ext import Restorer
from facesr_ext.archs.srresnet_arch import SRResNet
from facesr_ext.challenge.scoring import score
from facesr_ext.challenge.submission import check_submission
from facesr_ext.check.examine import check_file
from facesr_ext.comparison.cache import Cache
from facesr_ext.comparison.results import FILE, Comparison
from facesr_ext.comparison.summary import summarise
from facesr_ext.data import stores
from facesr_ext.data.clip_io import Clip, as_rgb
from facesr_ext.data.image_io import decode_image, decode_mask, decode_photo, decode_stored, stored_size
from facesr_ext.data.photo_io import decode_photo_file, encode_photo_file
from facesr_ext.data.sources import open_images
from facesr_ext.data.stores import LmdbStore, open_landmarks
from facesr_ext.errors import FaceSRError
from facesr_ext.host.resume import load_resume_state
from facesr_ext.host.source import OptionFile
from facesr_ext.inference.onnx_network import network_of
from facesr_ext.inference.photo_files import known_stamps
from facesr_ext.inference.video.look import noted_of
from facesr_ext.preparation.plan import PLAN, Plan
from facesr_ext.preparation.process import read_records
from facesr_ext.preparation.split import Item, read_split
from facesr_ext.preparation.write import MANIFEST, read_kept
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint, save_safetensors
from facesr_ext.runs.described_options import complete, test_file_of
from facesr_ext.runs.run_log import logged_value, read_run
from facesr_ext.runs.tables import read_columns, read_means
from facesr_ext.settings.datasets import FaceSet
from facesr_ext.settings.reading import read
from facesr_ext.spandrel import described_tensor, recognised
from facesr_ext.sweeps.trainings import STATE, State, sweep_of
from tests.clips import scene
from tests.fuzzing.mutations import damaged, damaged_text, json_values
from tests.support import OPTIONS
from tests.test_comparison.examples import comparison

ARCH = {'type': 'SRResNet', 'num_feat': 4, 'num_block': 1, 'scale': 4}
SAMPLE = Path(__file__).resolve().parents[1] / 'test_check' / 'sample.yml'


class Target(NamedTuple):
    """A reader.

    Attributes:
        inputs (Callable): Folder -> strategy of what it is given.
        call (Callable): Reads one, below the folder; what it returns is not looked at.
        needs (tuple[str, ...]): Packages without which there is no such reader.
    """

    inputs: Callable[[Path], st.SearchStrategy[Any]]
    call: Callable[[Any, Path], object]
    needs: tuple[str, ...] = ()


TARGETS: dict[str, Target] = {}


def _target(
    name: str, inputs: Callable[[Path], st.SearchStrategy[Any]], needs: tuple[str, ...] = ()
) -> Callable[[Callable[[Any, Path], object]], Callable[[Any, Path], object]]:
    def register(call: Callable[[Any, Path], object]) -> Callable[[Any, Path], object]:
        TARGETS[name] = Target(inputs, call, needs)
        return call

    return register


def _written(folder: Path, name: str, content: bytes | str) -> Path:
    data = content.encode('utf-8', 'surrogatepass') if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    return folder / name


# ---- option files -------------------------------------------------------------------------------------------------

_YAML = 'name: a\nnetwork_g: &net\n  type: SRResNet\n  num_feat: 8\nother:\n  <<: *net\n  list: [1, 2.5, {b: c}]\n'


def _option_texts(folder: Path) -> st.SearchStrategy[Any]:
    shipped = [path.read_text() for path in (SAMPLE, OPTIONS / 'test.yml', OPTIONS / 'srresnet.yml')]
    return damaged_text([*shipped, _YAML])


@_target('option check', _option_texts)
def _check(text: str, folder: Path) -> None:
    path = _written(folder, 'a.yml', text)
    found = check_file(str(path), 'train')
    lost = [finding.message for finding in found if 'did not get to its end' in finding.message]
    assert not lost, lost


@_target(
    'YAML source',
    lambda _: st.tuples(
        damaged_text([_YAML]), st.lists(damaged_text(['scale=8', 'other:list=[1, none]', 'name=!!float 1']), max_size=2)
    ),
)
def _source(given: tuple[str, list[str]], folder: Path) -> None:
    path = _written(folder, 'a.yml', given[0])
    for problem in OptionFile.read(str(path), given[1]).problems:
        str(problem)


# ---- images -------------------------------------------------------------------------------------------------------


def _pictures() -> list[bytes]:
    rgb = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    img, exif, found = Image.fromarray(rgb), Image.Exif(), []
    exif[0x0112], exif[0x010F] = 6, 'Maker'
    kinds = {'JPEG': img, 'PNG': img.convert('RGBA'), 'WEBP': img, 'TIFF': img, 'BMP': img, 'GIF': img, 'JPEG2000': img}
    for name, made in kinds.items():
        out = io.BytesIO()
        more = {'exif': exif, 'icc_profile': b'\0' * 132} if name in ('JPEG', 'PNG', 'WEBP', 'TIFF') else {}
        made.save(out, name, **more)
        found.append(out.getvalue())
    for suffix in ('.png', '.tif', '.ppm', '.hdr', '.sr', '.pam'):
        deep = suffix in ('.png', '.tif')
        given = rgb.astype(np.float32) / 255 if suffix == '.hdr' else rgb.astype(np.uint16) * 257 if deep else rgb
        found.append(bytes(cv2.imencode(suffix, given)[1]))
    return found


@_target('image', lambda _: damaged(_pictures()))
def _image(data: bytes, folder: Path) -> None:
    stored_size(io.BytesIO(data))
    for decode in (lambda: decode_image(data, 'x'), lambda: decode_photo(data), lambda: decode_stored(data, 'x')):
        _either(decode)


@_target('photograph', lambda _: damaged(_pictures()))
def _photograph(data: bytes, folder: Path) -> None:
    _either(lambda: decode_photo_file(data, 10_000))
    photo = decode_photo_file(data)
    for suffix in ('.png', '.jpg', '.webp', '.tif'):
        encode_photo_file(photo._replace(suffix=suffix))


def _masks() -> list[bytes]:
    found = []
    for mode in ('P', 'L', '1'):
        out = io.BytesIO()
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert(mode).save(out, 'PNG')
        found.append(out.getvalue())
    return [*found, *_pictures()[:2]]


@_target('mask', lambda _: damaged(_masks()))
def _mask(data: bytes, folder: Path) -> None:
    assert decode_mask(data, 'x').ndim == 2


def _either(call: Callable[[], object]) -> None:
    """Runs it; an error of ours is as good as a result."""
    try:
        call()
    except FaceSRError as err:
        str(err)


# ---- lists and labels ---------------------------------------------------------------------------------------------


def _faces(folder: Path) -> None:
    for name in ('a.png', 'b/c d.png'):
        path = folder / 'faces' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(_pictures()[1])


@_target('meta_info', lambda _: damaged_text(['a.png (9,12,3) 1\nb/c d.png (9,12,3) 1\n', './a.png\r\n']))
def _meta_info(text: str, folder: Path) -> None:
    _faces(folder)
    meta = _written(folder, 'meta.txt', text)
    section = {'name': 'a', 'type': 'FaceDataset', 'dataroot_gt': str(folder / 'faces'), 'meta_info_file': str(meta)}
    settings = read(FaceSet, section, ('datasets', 'train'))

    def listed() -> None:
        source = open_images(settings, ('datasets', 'train'))
        for index in range(len(source.names)):
            source.read(index)

    _either(listed)
    (folder / 'x.lmdb').mkdir(exist_ok=True)
    if not (folder / 'x.lmdb' / 'data.mdb').exists():
        lmdb.open(str(folder / 'x.lmdb')).close()
    _written(folder / 'x.lmdb', 'meta_info.txt', text)
    store = LmdbStore(folder / 'x.lmdb')
    for name in store.names():
        store.size(name), store.has_mask(name), store.own([name])
        _either(functools.partial(store.image, name))
        _either(functools.partial(store.landmarks, name))


_POINTS = json.dumps({'a.png': [[1, 2], [3.5, 4], None, [5, 6], [7, 8]], 'b/c d.png': [None] * 5})


@_target('landmarks', lambda _: damaged_text([_POINTS]) | st.dictionaries(st.text(max_size=5), json_values(),
         max_size=3).map(json.dumps))  # fmt: skip
def _landmarks(text: str, folder: Path) -> None:
    path = _written(folder, 'points.json', text)
    _either(lambda: open_landmarks(path, 5).landmarks('a.png'))
    place = folder / 'p.lmdb'
    if str(place) not in stores._environments:  # LMDB has a place open once in a process
        stores._environments[str(place)] = (os.getpid(), lmdb.open(str(place)))
    with stores._environments[str(place)][1].begin(write=True) as transaction:
        transaction.put(b'label/landmarks/a', text.encode('utf-8', 'surrogatepass')[:10000])
    LmdbStore(place).landmarks('a.png')


@_target('split file', lambda _: damaged_text(['000001.jpg 0\n000002.jpg 2\n', 'a b.png train\nc.png val']))
def _split(text: str, folder: Path) -> None:
    read_split(str(_written(folder, 'split.txt', text)))([Item('a.png', 'ab' * 32, 0)])


# ---- submissions --------------------------------------------------------------------------------------------------


def _submission(folder: Path) -> tuple[Path, Path]:
    lq, gt = folder / 'lq', folder / 'gt'
    if not lq.is_dir():
        for path, side in ((lq, 4), (gt, 16)):
            path.mkdir()
            ramp = np.linspace(0, 250, side * side * 3).astype(np.uint8).reshape(side, side, 3)
            Image.fromarray(ramp).save(path / '0.png')
    return lq, gt


def _archives(folder: Path) -> list[bytes]:
    found, picture = [], (_submission(folder)[1] / '0.png').read_bytes()
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        out = io.BytesIO()
        with zipfile.ZipFile(out, 'w', method) as archive:
            archive.writestr('results/0.png', picture)
            archive.writestr('results/readme.txt', 'runtime per image [s] : 1\nCPU[1] / GPU[0] : 1\n')
        found.append(out.getvalue())
    return found


@_target('submission', lambda folder: damaged(_archives(folder)))
def _submitted(data: bytes, folder: Path) -> None:
    lq, gt = _submission(folder)
    path = _written(folder, 'a.zip', data)
    _either(lambda: check_submission(path, lq))
    score(path, gt)


# ---- checkpoints --------------------------------------------------------------------------------------------------


def _checkpoints(folder: Path) -> list[bytes]:
    torch.manual_seed(0)
    meta = {'arch': ARCH, 'scale': 4, 'run': 'a', 'degradation': {'preset': 'bicubic_x4'}}
    state = {key: value.half() for key, value in SRResNet(**{k: v for k, v in ARCH.items() if k != 'type'}).state_dict(
             ).items()}  # fmt: skip
    state = {key: value.float() for key, value in state.items()}
    for name, zipped in (('a.pth', True), ('b.pth', False)):
        torch.save({'params': state, META_KEY: meta}, folder / name, _use_new_zipfile_serialization=zipped)
    save_safetensors(state, folder / 'c.safetensors', meta)
    return [(folder / name).read_bytes() for name in ('a.pth', 'b.pth', 'c.safetensors')]


@_target('checkpoint', lambda folder: damaged(_checkpoints(folder)))
def _checkpoint(data: bytes, folder: Path) -> None:
    for name in ('net.pth', 'net.safetensors'):
        path = _written(folder, name, data)
        _either(functools.partial(Restorer, path, device='cpu'))


def _metadata(folder: Path) -> st.SearchStrategy[Any]:
    values = json_values()
    keys = ('arch', 'scale', 'run', 'degradation', 'challenge', 'trained_on', 'iteration', 'input', 'arch_from')
    wild = st.dictionaries(st.sampled_from(keys) | st.text(max_size=5), values, max_size=5)
    arguments = st.dictionaries(st.sampled_from((*ARCH, 'norm')), values, max_size=3)
    return st.tuples(wild, arguments, st.booleans())


@_target('checkpoint metadata', _metadata)
def _described(given: tuple[dict[str, Any], dict[str, Any], bool], folder: Path) -> None:
    if not (folder / 'a.pth').exists():
        _checkpoints(folder)
    wild, arguments, plain = given
    state = load_checkpoint(folder / 'a.pth')['params']
    meta = {**({'arch': {**ARCH, **arguments}} if plain else {}), 'scale': 4, **wild}
    torch.save({'params': state, META_KEY: meta}, folder / 'm.pth')
    _either(lambda: Restorer(folder / 'm.pth', device='cpu'))
    _either(lambda: test_file_of(str(folder / 'm.pth')))
    sets = {'test': {'name': 'a', 'type': 'FaceDataset', 'dataroot_gt': 'builtin'}}
    _either(lambda: complete({'datasets': sets, 'path': {'pretrain_network_g': str(folder / 'm.pth')}}))
    recognised({**state, 'facesr_ext': described_tensor(json.loads(json.dumps(meta, default=str)))}, 'SRResNet')


def _states(folder: Path) -> list[bytes]:
    net = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = {'epoch': 1, 'iter': 2, 'optimizers': [optimizer.state_dict()], 'schedulers': [{'last_epoch': 2}],
             'manual_seed': 0}  # fmt: skip
    torch.save(state, folder / 's.state')
    torch.save({**state, 'manual_seed': 'x'}, folder / 't.state', _use_new_zipfile_serialization=False)
    torch.save(net.state_dict(), folder / 'net_g_2.pth')
    return [(folder / name).read_bytes() for name in ('s.state', 't.state')]


@_target('training state', lambda folder: damaged(_states(folder)))
def _state(data: bytes, folder: Path) -> None:
    path = _written(folder, 'x.state', data)
    places = {'resume_state': str(path), 'models': str(folder), 'pretrain_network_g': None}
    load_resume_state({'auto_resume': False, 'path': places, 'network_g': {}, 'rank': 0, 'manual_seed': 0})


# ---- what runs, sweeps and comparisons leave ----------------------------------------------------------------------

_LOG = """2026-11-01 10:00:00,123 INFO: \n  name: a
  model_type: FaceSRModel
  train:[
    optim_g:[
      lr: 0.0002
      betas: [0.9, 0.99]
    ]
  ]

2026-11-01 10:00:01,000 INFO: Network: SRResNet, with parameters
Network: SRResNet, 1,234 parameters
2026-11-01 10:00:02,000 INFO: Number of train images: 2,000
""" + (
    '2026-11-01 10:00:03,000 INFO: [a..][epoch:  0, iter:      10, lr:(2.000e-04,)] '
    '[eta: 0:00:01, time (data): 0.1 (0.0)] l_pix: 1.0e-02 psnr: nan\n'
)


@_target('run log', lambda _: damaged_text([_LOG]))
def _log(text: str, folder: Path) -> None:
    _written(folder, 'train_a_20261101_100000.log', text)
    for value in read_run(folder).options.values():
        logged_value(value)


@_target('logged value', lambda _: damaged_text(["OrderedDict([('a', 1), ('b', [1, 2.5])])", '[0.9, 0.99]']))
def _logged(text: str, folder: Path) -> None:
    logged_value(text)


@_target('table', lambda _: damaged_text(['name,psnr,lpips\na.png,20.5,nan\nb.png,21,\nmean,20.75,0.1\n']))
def _table(text: str, folder: Path) -> None:
    path = _written(folder, 'a_10.csv', text)
    _either(lambda: read_columns(path))
    read_means(path)


def _comparison(folder: Path) -> st.SearchStrategy[Any]:
    text = comparison().write(folder).read_text()
    (folder / FILE).unlink()
    return damaged_text([text])


@_target('comparison', _comparison)
def _compared(text: str, folder: Path) -> None:
    found = Comparison.read(_written(folder, FILE, text))
    summarise(found)


_ENTRY = (
    '{"image": "a", "result": "b", "seconds": {"cpu": 1.0}, "figures": {"x": "nan"}, "features": {"k": "AAAAAA=="}}\n'
)
_PREPARED = '{"source": "a.jpg", "sha256": "00", "name": "a.png", "split": "train", "reason": null, "key": "k"}\n'
_NOTED = '[0, 1, 0.5, false, [[1, 2, 3, 4, 0.9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]]\n'


@_target('notes of unfinished work', lambda _: damaged_text([_ENTRY, _PREPARED, _NOTED, '"a.jpg|1|2"\n',
         '{"stamp": "a", "parts": []}\n', json.dumps({'name': 'a', 'runs': {}})]))  # fmt: skip
def _notes(text: str, folder: Path) -> None:
    (folder / '.restore').mkdir(exist_ok=True)
    for name in ('.restore/0.jsonl', 'r.jsonl', MANIFEST, STATE, PLAN):
        _written(folder, name, text)
    _written(folder, f'{"c" * 32}.jsonl', text)
    known_stamps(folder)
    Cache(folder, 'c' * 32)['a']
    _either(lambda: read_records(folder))
    _either(lambda: read_kept(folder))
    _either(lambda: State(folder, 'a'))
    _either(lambda: Plan().settle(folder))
    sweep_of(folder)
    with contextlib.suppress(ValueError):
        noted_of(text.encode('utf-8', 'replace'))


# ---- clips and ONNX -----------------------------------------------------------------------------------------------


def _clips(folder: Path) -> st.SearchStrategy[Any]:
    found = []
    for suffix in ('.mp4', '.mkv', '.avi'):
        if not (folder / f'seed{suffix}').exists():
            write_clip(folder / f'seed{suffix}', [image[:32, :32] for image in scene(3)], sound=False)
        found.append((folder / f'seed{suffix}').read_bytes())
    return damaged(found)


@_target('clip', _clips, ('av',))
def _clip(data: bytes, folder: Path) -> None:
    clip = Clip(_written(folder, 'a.mp4', data))
    for count, frame in enumerate(clip.frames()):
        as_rgb(frame.stored, clip.info.bits > 8)
        if count == 5:
            break


def _graphs(folder: Path) -> st.SearchStrategy[Any]:
    onnx = pytest.importorskip('onnx')

    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    given = helper.make_tensor_value_info('x', kind, ['n', 3, 'h', 'w'])
    made = helper.make_tensor_value_info('y', kind, ['n', 3, 'H', 'W'])
    scales = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), 's')
    node = helper.make_node('Resize', ['x', '', 's'], ['y'], mode='nearest')
    graph = helper.make_graph([node], 'g', [given], [made], [scales])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    model.metadata_props.add(key=META_KEY, value=json.dumps({'scale': 2, 'graph': {'scale': 2, 'input': 'small'}}))
    return damaged([model.SerializeToString()])


@_target('ONNX', _graphs, ('onnx', 'onnxruntime'))
def _onnx(data: bytes, folder: Path) -> None:
    net = network_of(data, 'x.onnx')
    net(torch.zeros(1, 3, 8, 8))


def available(target: Target) -> bool:
    """Whether its packages are installed."""
    return all(importlib.util.find_spec(name) is not None for name in target.needs)
