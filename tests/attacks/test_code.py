"""No file runs code: pickles, names of files inside of descriptions, programs with more than a graph in them.

YAML tags and ``--force_yml`` are attacked in ``tests/test_check/test_examine.py``, files of ONNX that name others in
``tests/test_inference/test_export.py``, axes of sweeps in ``tests/test_sweeps/test_designs.py``.
"""

from __future__ import annotations

import importlib.util
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
import torch
from torch import nn

from facesr_ext import Restorer
from facesr_ext.comparison.cache import Cache
from facesr_ext.data.stores import LandmarkFile, LmdbStore
from facesr_ext.errors import FaceSRError
from facesr_ext.host.packaged import read_convolutions
from facesr_ext.host.programs import load_program
from facesr_ext.host.resume import load_resume_state
from facesr_ext.host.vgg import build_features
from facesr_ext.inference.elsewhere import open_foreign
from facesr_ext.inference.onnx_network import open_onnx
from facesr_ext.runs.checkpoints import load_checkpoint
from facesr_ext.runs.described_options import complete
from facesr_ext.runs.run_log import logged_value
from tests.attacks.hostile import checkpoint, pickled, polyglot


def _resume(path: Path) -> None:
    places = {'resume_state': str(path), 'models': str(path.parent)}
    load_resume_state({'auto_resume': False, 'path': places, 'network_g': {}, 'rank': 0})


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    'checkpoint': ('net.pth', load_checkpoint),
    'safetensors': ('net.safetensors', load_checkpoint),
    'restorer': ('net.pth', lambda path: Restorer(path, device='cpu')),
    'weights of others': ('net.ckpt', open_foreign),
    'training state': ('10.state', _resume),
    'features of a loss': ('alexnet-owt-7be5be79.pth', lambda path: build_features('alexnet', path.parent)),
    'weights in packages': ('vgg16.ckpt', read_convolutions),
    'landmarks': ('points.json', lambda path: LandmarkFile(path, 5)),
    'ONNX': ('net.onnx', open_onnx),
    'network of a loss': ('id.pt2', lambda path: load_program(str(path), torch.zeros(2, 3, 8, 8))),
}
NEEDS = {'weights of others': 'spandrel', 'ONNX': 'onnxruntime'}


@pytest.mark.parametrize('reader', READERS)
def test_no_reader_unpickles(reader: str, tmp_path: Path, marker: Path) -> None:
    if reader in NEEDS and importlib.util.find_spec(NEEDS[reader]) is None:
        pytest.skip(f'without {NEEDS[reader]}')
    name, read = READERS[reader]
    for form, data in {**pickled(marker), 'polyglot': polyglot(marker)}.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(FaceSRError) as caught:
            read(path)
        assert not marker.exists(), form
        assert path.name in str(caught.value) and 'weights_only' not in str(caught.value)


def test_the_exploit_works_where_files_are_trusted(tmp_path: Path, marker: Path) -> None:
    for form, data in pickled(marker).items():
        (tmp_path / 'net.pth').write_bytes(data)
        if form.startswith('torch'):
            torch.load(tmp_path / 'net.pth', weights_only=False)
        else:
            pickle.loads(data)
        assert marker.is_dir(), form
        marker.rmdir()


def test_what_lies_in_an_lmdb_or_a_cache_is_no_pickle(tmp_path: Path, marker: Path) -> None:
    data = pickled(marker)['pickle protocol 2']
    with lmdb.open(str(tmp_path / 'a.lmdb')) as environment, environment.begin(write=True) as transaction:
        transaction.put(b'label/landmarks/a', data)
        transaction.put(b'label/parsing/a', data)
        transaction.put(b'a', data)
    store = LmdbStore(tmp_path / 'a.lmdb')
    for read in (store.landmarks, store.mask, store.image):
        with pytest.raises(FaceSRError, match=r'a\.lmdb'):
            read('a.png')
    (tmp_path / f'{"c" * 32}.jsonl').write_bytes(data + b'\n' + json.dumps({'image': '__reduce__'}).encode())
    assert Cache(tmp_path, 'c' * 32)['a'].figures == {}
    assert not marker.exists()


def test_a_value_of_a_log_is_data(marker: Path) -> None:
    text = f'__import__("os").mkdir({str(marker)!r})'
    assert logged_value(text) == text and not marker.exists()
    eval(text)  # a reader that evaluates what it finds
    assert marker.is_dir()


@pytest.mark.parametrize('way', ['restore', 'test'])
def test_a_checkpoint_names_no_file_for_its_network_to_read(way: str, tmp_path: Path, marker: Path) -> None:
    """BasicSR's SpyNet unpickles the file of its argument ``load_path``, before torch 2.6 whatever is in it."""
    (tmp_path / 'evil.pth').write_bytes(pickled(marker)['torch archive'])
    arch = {'type': 'BasicVSR', 'num_feat': 4, 'num_block': 1, 'spynet_path': str(tmp_path / 'evil.pth')}
    path = checkpoint(tmp_path / 'net.pth', arch=arch)
    with pytest.raises(FaceSRError, match=r'wants its network to read the file .*evil\.pth.* \(spynet_path\)'):
        if way == 'restore':
            Restorer(path, device='cpu')
        else:
            complete({'path': {'pretrain_network_g': str(path)}, 'datasets': {}})
    assert not marker.exists()


class _Vector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, 2)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(faces.mean((2, 3)))
        return found


@pytest.mark.parametrize('place', ['sample_inputs/model.pt', 'data/constants/opaque_obj_0', 'data/aotinductor/a.so'])
def test_a_program_of_a_loss_has_a_graph_and_no_python_inside(place: str, tmp_path: Path, marker: Path) -> None:
    """torch.export.load unpickles whatever the inputs of the example are."""
    example = torch.zeros(2, 3, 8, 8)
    good, bad = tmp_path / 'good.pt2', tmp_path / 'bad.pt2'
    torch.export.save(torch.export.export(_Vector().eval(), (example,)), good)
    assert load_program(str(good), example)(example).shape == (2, 2)
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(bad, 'w') as changed:
        contents = {name: archive.read(name) for name in archive.namelist()}
        inputs = [name for name in contents if name.endswith('inputs/model.pt') or name.endswith('example_inputs.pt')]
        name = inputs[0] if place.startswith('sample') else f'{contents.popitem()[0].partition("/")[0]}/{place}'
        for each, content in {**contents, name: pickled(marker)['torch archive']}.items():
            changed.writestr(each, content)
    with pytest.raises(FaceSRError, match='could run code|holds code beside the network'):
        load_program(str(bad), example)
    assert not marker.exists()
