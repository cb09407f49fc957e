"""What fuzzing has found, and what was mended since: each of these inputs once ended in a traceback.

Of LMDB files that are cut off, and of images, archives and networks that fill the memory, see ``tests/attacks``.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from facesr_ext.challenge.packages import ZipPackage
from facesr_ext.challenge.scoring import results_in
from facesr_ext.check.examine import check_file
from facesr_ext.comparison.cache import Cache
from facesr_ext.comparison.results import Comparison, SetFacts
from facesr_ext.comparison.summary import summarise
from facesr_ext.data.image_io import decode_photo
from facesr_ext.data.photo_io import PhotoFile, decode_photo_file, encode_photo_file
from facesr_ext.data.stores import LandmarkFile, picture_key
from facesr_ext.errors import DatasetError, FaceSRError, OptionError
from facesr_ext.host.resume import load_resume_state
from facesr_ext.inference.opening import open_model
from facesr_ext.inference.photo_files import WORK, known_stamps
from facesr_ext.inference.video.look import noted_of
from facesr_ext.preparation.plan import PLAN, Plan
from facesr_ext.preparation.process import read_records
from facesr_ext.preparation.split import read_split
from facesr_ext.preparation.write import MANIFEST, read_kept
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint
from facesr_ext.runs.run_log import logged_value, read_run
from facesr_ext.runs.tables import read_columns, read_means
from facesr_ext.spandrel import described_tensor, read_description
from tests.support import OPTIONS


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('name: a\x1f', 'special characters are not allowed'),
        ('scale: !!int x', "'x' cannot be read as int"),
        ('scale: !!float x', "'x' cannot be read as float"),
        ('lr: !!float', "'' cannot be read as float"),
        ('flag: !!bool maybe', "'maybe' cannot be read as bool"),
        ('name: 2001-13-45', "'2001-13-45' cannot be read as timestamp"),
        ('name: !!timestamp today', "'today' cannot be read as timestamp"),
        ('name: !!binary \u00e9', 'failed to convert base64'),
    ],
)
def test_values_that_their_tag_does_not_fit(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / 'a.yml').write_text(f'name: b\n{text}' if 'name' not in text else text, encoding='utf-8')
    (finding,) = (found for found in check_file(str(tmp_path / 'a.yml'), 'train') if message in found.message)
    assert finding.level == 'error' and finding.where.startswith(f'{tmp_path / "a.yml"}:')


@pytest.mark.parametrize('entry', ['a=' + '9' * 5000, 'a=[2001-13-45]', 'a=!!int x'])
def test_overrides_that_are_no_value(entry: str, tmp_path: Path) -> None:
    (tmp_path / 'a.yml').write_text('name: b\n')
    assert any(finding.where == '--force_yml' for finding in check_file(str(tmp_path / 'a.yml'), 'train', [entry]))


def test_a_path_that_can_be_none(tmp_path: Path) -> None:
    (finding,) = check_file('a\0.yml', 'train')
    assert 'cannot be read' in finding.message


@pytest.mark.parametrize('text', ['{"a.png": ' + '[' * 5000, '{"a":' * 3000])
def test_landmarks(text: str, tmp_path: Path) -> None:
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(DatasetError, match=r'cannot read .*a\.json'):
        LandmarkFile(tmp_path / 'a.json', 5)


def test_a_split_of_many_digits(tmp_path: Path) -> None:
    (tmp_path / 'split.txt').write_text('a.png ' + '9' * 5000)
    with pytest.raises(OptionError, match='line 1: an image and train, val or test'):
        read_split(str(tmp_path / 'split.txt'))


@pytest.mark.parametrize('method', [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_archives_with_damage_inside(method: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w', method) as archive:
        archive.writestr('0.png', bytes(range(256)) * 20)
    data = bytearray((tmp_path / 'a.zip').read_bytes())
    data[50:70] = b'\xff' * 20
    (tmp_path / 'a.zip').write_bytes(data)
    with pytest.raises(DatasetError, match=r'0\.png cannot be read from the archive'):
        ZipPackage(tmp_path / 'a.zip').read('0.png')


def test_pickles_that_end_early(tmp_path: Path) -> None:
    torch.save({'params': {'a': torch.ones(2)}}, tmp_path / 'a.pth', _use_new_zipfile_serialization=False)
    data = (tmp_path / 'a.pth').read_bytes()
    for changed in (data[:100], b'.' + data, data.replace(b'torch', b'tor\xcbh'), data[:40] * 5, pickle.dumps([])):
        (tmp_path / 'a.pth').write_bytes(changed)
        with pytest.raises(FaceSRError, match=r'a\.pth'):
            load_checkpoint(tmp_path / 'a.pth')


def test_descriptions_of_another_kind() -> None:
    kinds: list[object] = [[1], {'type': {}}, {'type': [1]}, 'SRResNet']
    for arch in kinds:
        assert read_description({META_KEY: described_tensor({'arch': arch})}) == {}
    text = b'[' * 5000
    assert read_description({META_KEY: torch.tensor(list(text), dtype=torch.uint8)}) == {}


@pytest.mark.parametrize(
    'change', [{'manual_seed': 'x'}, {'iter': '2'}, {'iter': -1}, {'optimizers': {}}, {'epoch': None}]
)
def test_states_of_another_kind(change: dict[str, object], tmp_path: Path) -> None:
    state = {'epoch': 0, 'iter': 2, 'optimizers': [], 'schedulers': [], **change}
    torch.save(state, tmp_path / 'a.state')
    torch.save({}, tmp_path / 'net_g_2.pth')
    paths = {'resume_state': str(tmp_path / 'a.state'), 'models': str(tmp_path)}
    with pytest.raises(FaceSRError, match=f'is no training state of BasicSR: what it has as {[*change][0]}'):
        load_resume_state({'auto_resume': False, 'path': paths, 'network_g': {}, 'rank': 0})


LINE = '[a..][epoch:  0, iter:      10, lr:(2.000e-04,)] [eta: 0:00:01, time (data): {}] l_pix: {} '
LOG = '2026-11-01 10:00:00,0 INFO: {}\n'


@pytest.mark.parametrize(
    'line',
    [
        LINE.format('1.2.3 (0)', '1.0e-02'), LINE.format('.', '1.2.3'), LINE.replace('10,', ',,,').format(1, 1),
        LINE.replace('2.000e-04', '2.000e-').format(1, 1), LINE.replace('      10', '9' * 5000).format(1, 1),
        'Network: A, , parameters', f'Network: A, {"9" * 5000} parameters', 'Number of train images: with parameters',
        'Number of train images: ' + '9' * 5000,
    ],
)  # fmt: skip
def test_lines_of_a_log(line: str, tmp_path: Path) -> None:
    good = LOG.format(LINE.replace('10,', '20,').format('0.5 (0.1)', '2.0e-02'))
    (tmp_path / 'train_a_20261101_100000.log').write_text(LOG.format(line) + good, encoding='utf-8')
    log = read_run(tmp_path)
    assert log.steps[-1][:2] == (20, 2e-4) and log.steps[-1].figures == {'l_pix': 0.02} and log.images is None


@pytest.mark.parametrize(
    'text', ['(' * 500, '[' * 5000, '\0', '{[1]: 2}', '9' * 5000, 'OrderedDict([1])', '-' * 9000 + '1']
)
def test_values_of_a_log(text: str) -> None:
    assert logged_value(text) in (text, {})


@pytest.mark.parametrize(
    'text', ['name,psnr\na.png,\n', 'name,psnr\na.png\n', 'name,psnr\na,1e999x\n', 'name,psnr\n\xff\n']
)
def test_tables(text: str, tmp_path: Path) -> None:
    (tmp_path / 'a_10.csv').write_bytes(text.encode('latin-1'))
    with pytest.raises(DatasetError, match=r'a_10\.csv is no table of a validation or test'):
        read_means(tmp_path / 'a_10.csv')
    try:
        assert all(math.isnan(value) for value in read_columns(tmp_path / 'a_10.csv')['psnr'])
    except DatasetError as err:
        assert 'a_10.csv' in str(err)


@pytest.mark.parametrize(
    'line', ['{"a": 1}', '-Infinity', '[' * 5000, '[1]', '"\\ud800"', '\xff', 'null', '{"stamp": []}']
)
def test_notes_of_unfinished_work(line: str, tmp_path: Path) -> None:
    """What is not understood is done again; a manifest or plan, which decides where images go, is named."""
    data = line.encode('latin-1')
    (tmp_path / WORK).mkdir()
    (tmp_path / WORK / '0.jsonl').write_bytes(b'"a|1|2"\n' + data)
    assert 'a|1|2' in known_stamps(tmp_path)
    (tmp_path / 'r.jsonl').write_bytes(b'{"stamp": "a", "parts": []}\n' + data)
    assert read_records(tmp_path) == {'a': {'stamp': 'a', 'parts': []}}
    (tmp_path / f'{"c" * 32}.jsonl').write_bytes(data)
    assert Cache(tmp_path, 'c' * 32)['a'].figures == {}
    (tmp_path / PLAN).write_bytes(data)
    if data[:1] == b'{':  # a plan of before there were settings
        Plan().settle(tmp_path)
    for name, read in ((MANIFEST, read_kept), (PLAN, Plan().settle))[: 1 if data[:1] == b'{' else 2]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FaceSRError, match=name.replace('.', r'\.')):
            read(tmp_path)


@pytest.mark.parametrize(
    ('name', 'key'),
    [
        ('a/b.png', 'a/b'),
        ('..0', '..0'),
        ('..', '..'),
        ('.png', '.png'),
        ('a.b.png', 'a.b'),
        ('a.b/c', 'a.b/c'),
        ('', '.'),
    ],
)
def test_keys_of_pictures(name: str, key: str) -> None:
    """Names of dots alone too, for which pathlib raises from Python 3.12 on."""
    assert picture_key(name) == key


def test_a_comparison_with_too_few_values(tmp_path: Path) -> None:
    images = [SetFacts('test', '', 8, ('a', 'b', 'c'), (64, 64))]
    found = Comparison(name='a', reference='net', sets=images, values={'test': {'net': {'psnr': [1.0, 2.0, 3.0]}}})
    path = found.write(tmp_path)
    assert Comparison.read(path).values == found.values
    path.write_text(path.read_text(encoding='utf-8').replace('3.0\n', '3.0, 4.0\n'), encoding='utf-8')
    with pytest.raises(DatasetError, match='no comparison.json of facesr compare .test, net: 4 values of psnr'):
        Comparison.read(path)


def test_an_entry_of_a_submission_that_is_the_folder_itself() -> None:
    package = SimpleNamespace(names=['.', 'res/./0.png', 'res/1.png'])
    assert results_in(package) == {'0.png': 'res/./0.png', '1.png': 'res/1.png'}


@pytest.mark.parametrize(
    'line',
    [
        b'[0, 1, 0.5, false, [[7, 8, 9, 10]]]',
        b'[0, 1, 0.5, false, 1]',
        b'[0, 1, 0.5, false, [["a"]]]',
        b'[Infinity, 1, 0, 1, []]',
        b'[[], 1, 0, 1, []]',
        b'5',
        b'[1, 2]',
    ],
)
def test_lines_of_a_clips_look_that_are_none(line: bytes) -> None:
    with pytest.raises(ValueError, match='file|unpack|convert'):
        noted_of(line)


def test_a_line_of_a_clips_look_that_nests_without_end() -> None:
    with pytest.raises(ValueError, match='no line of this file'):
        noted_of(b'[' * 100_000)


def test_a_comparison_whose_reference_is_not_there() -> None:
    with pytest.raises(DatasetError, match="the comparison has no method 'gone'; run it again"):
        summarise(Comparison(name='a', reference='gone'))


@pytest.mark.parametrize('kind', ['PNG', 'WEBP'])
def test_damaged_exif_costs_a_photograph_nothing_else(kind: str) -> None:
    image = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
    out = io.BytesIO()
    more = {'lossless': True} if kind == 'WEBP' else {}
    Image.fromarray(image).save(out, kind, exif=b'\0' * 400, **more)
    photo = decode_photo_file(out.getvalue())
    assert (photo.image == image).all() and photo.exif is None
    assert (decode_photo(out.getvalue()) == image).all()


@pytest.mark.parametrize('entry', [(0x0112, 262), (0x010F, 'Maker')])
def test_exif_that_tiff_does_not_take_costs_a_photograph_nothing_else(entry: tuple[int, int | str]) -> None:
    """A turn that there is not, say, which libtiff refuses."""
    image = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
    exif = Image.Exif()
    exif[entry[0]] = entry[1]
    out = io.BytesIO()
    Image.fromarray(image).save(out, 'PNG', exif=exif)
    data, lost = encode_photo_file(decode_photo_file(out.getvalue())._replace(suffix='.tif'))
    assert (decode_photo(data) == image).all()
    assert lost == []


def test_exif_that_a_format_refuses_is_left_out_and_told_of() -> None:
    image = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
    data, lost = encode_photo_file(PhotoFile(image, suffix='.jpg', exif=b'x' * 70000))
    assert lost == ['EXIF: .jpg cannot hold it'] and decode_photo_file(data).exif is None


@pytest.mark.parametrize('place', ['~nobody-of-that-name', '~nobody-of-that-name/faces'])
def test_homes_of_nobody(place: str, tmp_path: Path) -> None:
    """Such a place is looked for as it stands, and not there."""
    text = (OPTIONS / 'quickstart.yml').read_text(encoding='utf-8')
    text = text.replace('dataroot_gt: builtin', f'dataroot_gt: {place}')
    path = tmp_path / 'opt.yml'
    path.write_text(text, encoding='utf-8')
    found = check_file(str(path), 'train')
    assert any(place in finding.message for finding in found)
    assert not any('did not get to its end' in finding.message for finding in found)
    with pytest.raises(OptionError, match=place):
        open_model(place)


def test_folders_of_names_that_are_too_long(tmp_path: Path) -> None:
    text = (OPTIONS / 'quickstart.yml').read_text(encoding='utf-8')
    path = tmp_path / 'opt.yml'
    path.write_text(text.replace('dataroot_gt: builtin', f'dataroot_gt: {"b" * 5000}'), encoding='utf-8')
    found = [finding.message for finding in check_file(str(path), 'train')]
    assert any('there is no folder bbb' in message for message in found)
    assert not any('did not get to its end' in message for message in found)
