"""Small files that would fill the memory or take hours: each is refused within bounds (see ``conftest.py``)."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from facesr_ext import Restorer
from facesr_ext.challenge.packages import MOST_BYTES
from facesr_ext.challenge.scoring import score
from facesr_ext.challenge.submission import check_submission
from facesr_ext.check.examine import check_file
from facesr_ext.comparison.results import Comparison
from facesr_ext.data.image_io import decode_image, decode_photo, read_image, read_mask, read_stored, stored_size
from facesr_ext.data.photo_io import decode_photo_file
from facesr_ext.data.stores import LandmarkFile
from facesr_ext.errors import CheckpointError, DatasetError, FaceSRError, SubmissionError
from facesr_ext.reports.model_facts import read_facts
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint, read_weights, save_safetensors
from facesr_ext.spandrel import described_tensor, recognised
from tests.attacks.hostile import ARCH, checkpoint, large_pictures, laughs, png, swollen, weights

# ---- option files -------------------------------------------------------------------------------------------------


def _doubled(line: str) -> str:
    """Nine keys, each of which has the one before ten times."""
    return ''.join(line.format(this=chr(98 + i), last=', '.join(['*' + chr(97 + i)] * 10)) for i in range(9))


BOMBS = {
    'aliases': ('a: &a [ha, ha]\n' + _doubled('{this}: &{this} [{last}]\n'), 'stand for more than 200,000 values'),
    'merged': ('a: &a {x: 1}\n' + _doubled('{this}: &{this}\n  <<: [{last}]\n'), 'stand for more than 200,000 values'),
    'itself': ('a: &a {b: *a}\n', 'an anchor contains itself'),
    'brackets': ('name: ' + '[' * 100_000, 'brackets lie 100 deep'),
    'sections': ('\n'.join(' ' * i + 'a:' for i in range(1200)), 'sections lie in sections too deep'),
    'digits': ('scale: ' + '9' * 5000, 'cannot be read as int'),
    'length': ('name: a\n' + '#' * (1 << 20), 'is longer than 1,048,576 characters'),
}


@pytest.mark.parametrize('kind', BOMBS)
def test_option_files(kind: str, tmp_path: Path) -> None:
    text, message = BOMBS[kind]
    (tmp_path / 'a.yml').write_text(text)
    assert any(message in finding.message for finding in check_file(str(tmp_path / 'a.yml'), 'train'))


def test_aliases_grow_where_they_are_trusted() -> None:
    loaded = yaml.safe_load(BOMBS['aliases'][0])
    assert len(str(loaded['d'])) > 1000 * len('ha, ha') and len(loaded['j']) == 10  # j stands for a billion


@pytest.mark.parametrize('entry', ['a=' + '9' * 5000, 'a=' + '[' * 5000, f'a=[&a [1], {"[*a], " * 3}]'])
def test_overrides(entry: str, tmp_path: Path) -> None:
    (tmp_path / 'a.yml').write_text('name: a\n')
    assert check_file(str(tmp_path / 'a.yml'), 'train', [entry])


# ---- weights ------------------------------------------------------------------------------------------------------


def test_an_archive_that_unpacks_to_more_than_it_is(tmp_path: Path) -> None:
    path = swollen(tmp_path / 'net.pth', 1 << 26)
    assert path.stat().st_size < 100_000
    with pytest.raises(CheckpointError, match=r'net\.pth has [\d,]+ bytes and unpacks to 67,10\d,\d+'):
        load_checkpoint(path)
    assert torch.load(path, weights_only=True)['params']['a'].numel() == 1 << 24  # a reader that trusts it


@pytest.mark.parametrize('length', [1 << 33, 1 << 62, 100_000_000])
def test_a_header_of_gigabytes(length: int, tmp_path: Path) -> None:
    (tmp_path / 'net.safetensors').write_bytes(struct.pack('<Q', length) + b'{"a":' * 1000)
    with pytest.raises(CheckpointError, match=r'cannot read .*net\.safetensors'):
        load_checkpoint(tmp_path / 'net.safetensors')


NO_WEIGHTS: dict[str, tuple[Callable[[], torch.Tensor], str]] = {
    'one value many times': (lambda: torch.zeros(1).expand(10**12), 'of 1,000,000,000,000 values'),
    'without values': (lambda: torch.empty(4, 3, 3, 3, device='meta'), 'a weight without values'),
    'sparse': (lambda: torch.eye(3).to_sparse(), r'of another kind \(torch.sparse_coo'),
    'complex': (lambda: torch.zeros(2, dtype=torch.complex64), r'of another kind .*torch.complex64'),
}


@pytest.mark.parametrize('kind', NO_WEIGHTS)
def test_tensors_that_are_no_weights(kind: str, tmp_path: Path) -> None:
    make, message = NO_WEIGHTS[kind]
    path = checkpoint(tmp_path / 'net.pth', {'conv_first.weight': make()})
    for read in (lambda: Restorer(path, device='cpu'), lambda: read_weights([str(path)] * 2)):
        with pytest.raises(CheckpointError, match=message):
            read()


def test_keys_in_keys_without_end(tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    content['model'] = content
    torch.save(content, tmp_path / 'net.pth')
    with pytest.raises(CheckpointError, match='has no weights 8 keys deep'):
        read_weights([str(tmp_path / 'net.pth')])


@pytest.mark.parametrize('place', ['arch', 'degradation', 'mine'])
def test_descriptions_that_grow(place: str, tmp_path: Path) -> None:
    bomb = laughs()
    assert len(str(laughs(4))) > 10_000  # twelve deep there is no memory for it
    path = checkpoint(tmp_path / 'net.pth', **{place: {'type': 'SRResNet', 'a': bomb}})
    with pytest.raises(CheckpointError, match='a description of more than 10,000 entries'):
        load_checkpoint(path)
    bomb[0] = bomb
    path = checkpoint(tmp_path / 'net.pth', **{place: {'type': 'SRResNet', 'a': bomb}})
    with pytest.raises(CheckpointError, match='a description that contains itself'):
        load_checkpoint(path)


NETWORKS: dict[str, tuple[dict[str, Any], str]] = {
    'wide': ({'num_feat': 10**9}, 'says num_feat: 1000000000 of its network'),
    'deep': ({'num_block': 10**7}, 'says num_block: 10000000 of its network'),
    'list': ({'norm': [10**9]}, 'says norm: 1000000000 of its network'),
    'both': ({'num_feat': 512, 'num_block': 1000}, 'has not half as many weights'),
}


@pytest.mark.parametrize('kind', NETWORKS)
def test_networks_that_are_larger_than_their_weights(kind: str, tmp_path: Path) -> None:
    arguments, message = NETWORKS[kind]
    path = checkpoint(tmp_path / 'net.pth', arch={**ARCH, **arguments})
    with pytest.raises(CheckpointError, match=message):
        Restorer(path, device='cpu')
    assert read_facts(path).parameters is None  # for a model card
    state = {**weights(), META_KEY: described_tensor({'arch': {**ARCH, **arguments}})}
    assert recognised(state, 'SRResNet') == {}  # for spandrel


def test_a_scale_that_no_image_could_be_enlarged_by(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / 'net.pth', scale=10**9)
    assert Restorer(path, device='cpu').scale == 4  # the network's own
    save_safetensors(weights(), tmp_path / 'a.safetensors', {'arch': ARCH, 'scale': -1, 'run': '../../etc'})
    restorer = Restorer(tmp_path / 'a.safetensors', device='cpu')
    assert restorer.scale == 4 and 'run' not in restorer.metadata


# ---- images -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', ['a.png', 'a.jpg', 'a.gif', 'a.bmp', 'a.webp', 'a.tif', 'a.ppm', 'a.pam', 'a.hdr',
                                  'a.ras'])  # fmt: skip
def test_small_files_of_many_pixels(name: str, tmp_path: Path) -> None:
    data = large_pictures()[name]
    assert len(data) < 10_000
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=rf'{name} has more than 178 million pixels'):
        read_image(path)
    for read in (decode_photo, decode_photo_file, lambda given: decode_image(given, 'it')):
        with pytest.raises(DatasetError, match='pixels|animation|damaged'):
            read(data)
    for read in (read_mask, read_stored):
        with pytest.raises(DatasetError, match=name):
            read(path)
    stored_size(path)


def test_large_images_within_the_bounds_are_read(tmp_path: Path) -> None:
    (tmp_path / 'a.png').write_bytes(png(4000, 1000))
    assert read_image(tmp_path / 'a.png').shape == (1000, 4000, 3)


@pytest.mark.parametrize('block', ['exif', 'icc_profile', 'xmp'])
@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
def test_hostile_notes_of_images(block: str, kind: str) -> None:
    """EXIF of a turn that is none, of a million entries, that points to itself and beyond its end; no profile."""
    img = Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3))
    loop = b'II*\0\x08\0\0\0' + struct.pack('<H', 2) + struct.pack('<HHII', 0x0112, 3, 1, 99)
    loop += struct.pack('<HHII', 0x8769, 4, 1, 8) + struct.pack('<I', 8)
    for given in (b'Exif\0\0' + loop, b'Exif\0\0II*\0\x08\0\0\0\xff\xff' + b'\xff' * 500, b'', b'\0' * 40_000):
        out = io.BytesIO()
        try:
            img.save(out, kind, **{block: given})
        except (OSError, ValueError, SyntaxError, struct.error, AttributeError, KeyError, TypeError):
            continue  # not even Pillow writes it
        photo = decode_photo_file(out.getvalue())
        assert photo.image.shape[:2] == (10, 10) and decode_photo(out.getvalue()).shape == (10, 10, 3)


# ---- submissions --------------------------------------------------------------------------------------------------


def _pair(folder: Path) -> tuple[Path, Path]:
    for name, side in (('lq', 4), ('gt', 16)):
        (folder / name).mkdir()
        Image.fromarray(np.linspace(0, 250, side * side * 3).astype(np.uint8).reshape(side, side, 3)).save(
            folder / name / '0.png'
        )
    return folder / 'lq', folder / 'gt'


def _zip(path: Path, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, 'w', method) as archive:
        archive.writestr('results/0.png', content)
    return path


@pytest.mark.parametrize('kind', ['zeros', 'pixels', 'zip in zip'])
def test_submissions_that_grow(kind: str, tmp_path: Path) -> None:
    lq, gt = _pair(tmp_path)
    inner = io.BytesIO()
    _zip(tmp_path / 'inner.zip', b'\0' * 10_000_000)
    inner.write((tmp_path / 'inner.zip').read_bytes())
    content = {'zeros': b'\0' * 1000, 'pixels': png(13_000, 13_000, 13_000), 'zip in zip': inner.getvalue()}[kind]
    path = _zip(tmp_path / 'a.zip', content)
    if kind == 'zeros':  # the directory says that there are 3 GB
        data = bytearray(path.read_bytes())
        place = data.rfind(b'PK\x01\x02')
        data[place + 24 : place + 28] = struct.pack('<I', 3 * 10**9)
        path.write_bytes(data)
    message = {
        'zeros': f'3,000,000,000 bytes unpacked; more than {MOST_BYTES:,} are not read',
        'pixels': '13000x13000 px, and 16,777,216 pixels are read',
        'zip in zip': 'damaged or no',
    }[kind]
    for look in (lambda: check_submission(path, lq), lambda: score(path, gt)):
        with pytest.raises(SubmissionError, match=message):
            look()


@pytest.mark.parametrize('text', ['[' * 100_000, '{"a":' * 100_000])
def test_json_in_json_without_end(text: str, tmp_path: Path) -> None:
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(RecursionError):
        json.loads(text)
    for read in (lambda path: LandmarkFile(path, 5), Comparison.read):
        with pytest.raises(FaceSRError, match=r'a\.json'):
            read(tmp_path / 'a.json')
