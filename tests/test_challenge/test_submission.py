"""Submissions: what is packed is right, and what is wrong does not leave the house."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from basicsr.archs.srresnet_arch import MSRResNet
from PIL import Image

from facesr_ext import Restorer
from facesr_ext.challenge.readme import Readme
from facesr_ext.challenge.submission import check_submission, pack_checkpoint, pack_results
from facesr_ext.cli.main import main
from facesr_ext.data.image_io import decode_image, encode_image, read_image, write_image
from facesr_ext.errors import DatasetError, Finding, OptionError, SubmissionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.imaging import imresize, to_images, to_tensor

NUM, SIZE = 4, 32
README = Readme(0.5, True, False, 'MSRResNet')


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """LQ pictures, and good results of them."""
    for i in range(NUM):
        lq = render_face(0, i, SIZE).image
        write_image(tmp_path / 'lq' / f'{i:05d}.png', lq)
        large = cv2.resize(lq, (4 * SIZE, 4 * SIZE), interpolation=cv2.INTER_LINEAR)
        write_image(tmp_path / 'results' / f'{i:05d}.png', large)
    return tmp_path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    net = {'type': 'MSRResNet', 'num_feat': 8, 'num_block': 1, 'upscale': 4}
    state = MSRResNet(num_feat=8, num_block=1, upscale=4).state_dict()
    meta = {'arch': net, 'scale': 4, 'challenge': {'max_params': 10_000}}
    torch.save({'params': state, 'facesr_ext': meta}, tmp_path / 'net.pth')
    return tmp_path / 'net.pth'


def _names(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as file:
        return file.namelist()


# ---- what is right ------------------------------------------------------------------------------------------------


def test_a_checkpoint_becomes_a_submission(place: Path, checkpoint: Path) -> None:
    target = place / 'out' / 'one.zip'
    packed = pack_checkpoint(Restorer(checkpoint, device='cpu', self_ensemble=True), place / 'lq', target)
    assert packed.num == NUM and packed.runtime > 0
    names = [f'results/{i:05d}.png' for i in range(NUM)]
    assert _names(target) == [*names, 'results/readme.txt']
    expected = Restorer(checkpoint, device='cpu', self_ensemble=True)
    with zipfile.ZipFile(target) as archive:
        for name in names:
            lq = read_image(place / 'lq' / Path(name).name)
            assert np.array_equal(decode_image(archive.read(name), name), expected.restore([lq])[0])
        text = archive.read('results/readme.txt').decode()
    lines = dict(line.split(' : ') for line in text.splitlines())
    assert float(lines['runtime per image [s]']) == pytest.approx(packed.runtime, rel=1e-3)
    assert lines['CPU[1] / GPU[0]'] == '1' and lines['Extra Data [1] / No Extra Data [0]'] == '0'
    assert lines['Other description'].startswith('MSRResNet, 6,867 parameters, CPU')
    assert list(target.parent.iterdir()) == [target]


def test_flat_archives_have_everything_at_the_top(place: Path, checkpoint: Path) -> None:
    pack_checkpoint(Restorer(checkpoint, device='cpu'), place / 'lq', place / 'flat.zip', 'flat')
    assert _names(place / 'flat.zip') == [*(f'{i:05d}.png' for i in range(NUM)), 'readme.txt']
    assert check_submission(place / 'flat.zip', place / 'lq', 'flat').warnings == []
    with pytest.raises(SubmissionError, match='beside the sub-folder that holds the results: 00000.png'):
        check_submission(place / 'flat.zip', place / 'lq')


def test_the_same_results_make_the_same_archive(place: Path) -> None:
    for name in ('a.zip', 'b.zip'):
        assert pack_results(place / 'results', place / 'lq', place / name).num == NUM
    assert (place / 'a.zip').read_bytes() == (place / 'b.zip').read_bytes()
    assert check_submission(place / 'a.zip', place / 'lq').warnings == []
    assert check_submission(place / 'results', place / 'lq').num == NUM


def test_readme_of_results_that_are_there(place: Path) -> None:
    with pytest.raises(SubmissionError, match='readme.txt is missing'):
        pack_results(place / 'results', place / 'lq', place / 'a.zip', 'flat')
    pack_results(place / 'results', place / 'lq', place / 'a.zip', 'flat', readme=README)
    with zipfile.ZipFile(place / 'a.zip') as archive:
        assert archive.read('readme.txt').decode() == README.text()


@pytest.mark.parametrize('whose', ['OpenCV', 'MATLAB'])
def test_warnings(place: Path, whose: str) -> None:
    lq = read_image(place / 'lq' / '00000.png')
    bicubic = cv2.resize(lq, (4 * SIZE, 4 * SIZE), interpolation=cv2.INTER_CUBIC)
    if whose == 'MATLAB':
        bicubic = to_images(imresize(to_tensor(lq)[None], (4 * SIZE, 4 * SIZE)))[0]
    write_image(place / 'results' / '00000.png', bicubic)
    for i in (1, 2):
        write_image(place / 'lq' / f'{i:05d}.png', lq)
        write_image(place / 'results' / f'{i:05d}.png', cv2.resize(lq, (128, 128), interpolation=cv2.INTER_LINEAR))
    assert pack_results(place / 'results', place / 'lq', place / 'a.zip').warnings == [
        Finding('warning', 'the same image: results/00001.png, results/00002.png'),
        Finding('warning', 'bicubic enlargement of the LQ, nothing else: results/00000.png'),
    ]


# ---- what is wrong ------------------------------------------------------------------------------------------------


def _pil(path: Path, mode: str, name: str | None = None) -> None:
    with Image.open(path) as img:
        img.convert(mode).save(name or path, 'PNG')


def _as_jpeg(path: Path) -> None:
    path.write_bytes(encode_image(read_image(path), '.jpg'))


def _sixteen_bits(path: Path) -> None:
    """A PNG that Pillow shows as 8-bit RGB."""
    img = read_image(path).astype('>u2') * 257
    rows = b''.join(b'\0' + row.tobytes() for row in img)
    chunks = [(b'IHDR', struct.pack('>IIBBBBB', img.shape[1], img.shape[0], 16, 2, 0, 0, 0))]
    chunks += [(b'IDAT', zlib.compress(rows)), (b'IEND', b'')]
    data = b''.join(struct.pack('>I', len(d)) + k + d + struct.pack('>I', zlib.crc32(k + d)) for k, d in chunks)
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + data)


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _swap(path: Path) -> None:
    write_image(path, read_image(path)[..., ::-1].copy())


def _reduce(path: Path) -> None:
    write_image(path, read_image(path)[:-4])


def _nest(path: Path) -> None:
    (path.parent / 'more').mkdir()
    path.rename(path.parent / 'more' / path.name)


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    'missing': (Path.unlink, 'missing, 3 of 4 results are there: 00000.png'),
    'extra': (lambda p: write_image(p.with_name('99.png'), read_image(p)), 'no LQ image is called so.*: 99.png'),
    'wrong name': (lambda p: p.rename(p.with_name('0.png')), 'no LQ image is called so, remove or rename it: 0.png'),
    'suffix': (lambda p: p.rename(p.with_name('00000_n.png')), r'suffix is too much.*: 00000_n.png \(for 00000.png'),
    'wrong extension': (lambda p: p.rename(p.with_suffix('.jpg')), r'with .png: 00000.jpg \(for 00000.png\)'),
    'case': (lambda p: p.rename(p.with_suffix('.PNG')), r'with .png: 00000.PNG \(for 00000.png\)'),
    'wrong size': (_reduce, '128x124 px, must be 128x128 px: 00000.png'),
    'grey': (lambda p: _pil(p, 'L'), r'not RGB but grey \(mode L\): 00000.png'),
    'palette': (lambda p: _pil(p, 'P'), r'not RGB but palette \(mode P\): 00000.png'),
    'alpha': (lambda p: _pil(p, 'RGBA'), r'not RGB but with alpha \(mode RGBA\): 00000.png'),
    '16 bits': (_sixteen_bits, '16 bits a channel, not 8: 00000.png'),
    'JPEG': (_as_jpeg, 'JPEG under the name of a PNG: 00000.png'),
    'cut off': (_cut_off, r'damaged or no image: 00000.png \('),
    'one bit': (_flip_a_bit, r'damaged or no image: 00000.png \('),
    'empty': (lambda p: p.write_bytes(b''), r'damaged or no image: 00000.png \('),
    'text': (lambda p: p.write_text('none'), r'damaged or no image: 00000.png \('),
    'Mac': (lambda p: p.with_name('.DS_Store').write_bytes(b'\0'), 'stray file of an operating system.*: .DS_Store'),
    'Mac, twin': (lambda p: p.with_name('._00000.png').write_bytes(b'\0'), r'stray file.*: \._00000.png'),
    'Windows': (lambda p: p.with_name('Thumbs.db').write_bytes(b'\0'), 'stray file of an operating.*: Thumbs.db'),
    'notes': (lambda p: p.with_name('notes.txt').write_text(''), 'no LQ image is called so.*: notes.txt'),
    'nested': (_nest, 'in a sub-folder: more/00000.png'),
    'black': (lambda p: write_image(p, read_image(p) * 0), 'of one colour throughout: 00000.png'),
    'swapped': (_swap, 'red and blue are swapped: 00000.png'),
    'upside down': (lambda p: write_image(p, read_image(p)[::-1].copy()), 'does not show what its LQ shows: 00000.png'),
    'readme': (lambda p: p.with_name('readme.txt').write_text('none'), r'has no line "runtime per image \[s\]'),
    'runtime': (
        lambda p: p.with_name('readme.txt').write_text(README._replace(runtime=0).text()),
        r'"runtime per image \[s\]" is a number above 0, not \'0\'',
    ),
    'flag': (
        lambda p: p.with_name('readme.txt').write_text(README.text().replace('GPU[0] : 1', 'GPU[0] : yes')),
        r'"CPU\[1\] / GPU\[0\]" is 0 or 1, not \'yes\'',
    ),
}  # fmt: skip


@pytest.mark.parametrize('kind', SPOILT)
def test_spoilt_results_are_refused(kind: str, place: Path) -> None:
    """As a folder to pack, and as an archive that somebody else has packed; what was there before stays."""
    spoil, message = SPOILT[kind]
    spoil(place / 'results' / '00000.png')
    before = b'the last good one'
    (place / 'one.zip').write_bytes(before)
    with pytest.raises(SubmissionError, match=message) as caught:
        pack_results(place / 'results', place / 'lq', place / 'one.zip')
    assert len(caught.value.faults) <= 4 and str(place / 'results') in str(caught.value)
    assert (place / 'one.zip').read_bytes() == before and not list(place.glob('.*'))
    with zipfile.ZipFile(place / 'theirs.zip', 'w') as archive:
        for path in sorted(p for p in (place / 'results').rglob('*') if p.is_file()):
            archive.write(path, path.relative_to(place))
    with pytest.raises(SubmissionError) as theirs:
        check_submission(place / 'theirs.zip', place / 'lq')
    folder = str(theirs.value).replace('results/', '').replace('folder inside the folder of results', 'in a sub-folder')
    assert re.search(message, folder)


def test_every_fault_is_told_at_once(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = place / 'results'
    (results / '00000.png').unlink()
    _as_jpeg(results / '00001.png')
    _pil(results / '00002.png', 'L')
    _cut_off(results / '00003.png')
    (results / 'Thumbs.db').write_bytes(b'')
    with pytest.raises(SystemExit) as ended:
        main(['submit', 'pack', str(results), str(place / 'lq'), '-o', str(place / 'a.zip')])
    told = capsys.readouterr().err
    assert ended.value.code == 2 and '5 fault(s)' in told and not (place / 'a.zip').exists()
    for text in ('00000.png', 'JPEG under', 'grey', 'damaged', 'Thumbs.db'):
        assert text in told


def test_an_archive_that_is_there_stays_unless_told(place: Path) -> None:
    (place / 'a.zip').write_bytes(b'of another run')
    for force, code in ((), 2), (('--force',), 0):
        with pytest.raises(SystemExit) as ended:
            main(['submit', 'pack', str(place / 'results'), str(place / 'lq'), '-o', str(place / 'a.zip'), *force])
        assert ended.value.code == code and (place / 'a.zip').read_bytes().startswith(b'of' if code else b'PK')


def _rewritten(place: Path, change: Callable[[zipfile.ZipFile], None]) -> Path:
    pack_results(place / 'results', place / 'lq', place / 'a.zip')
    with zipfile.ZipFile(place / 'a.zip', 'a') as archive:
        change(archive)
    return place / 'a.zip'


@pytest.mark.filterwarnings('ignore:Duplicate name')
@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda a: a.writestr('results/00000.png', b''), 'twice in the archive: results/00000.png'),
        (lambda a: a.writestr('../00000.png', b''), "leads out of the archive: '../00000.png'"),
        (lambda a: a.writestr('__MACOSX/results/._00000.png', b''), 'stray file .*: __MACOSX/results/._00000.png'),
        (lambda a: a.writestr('more/00000.png', b''), r'2 sub-folders \(more, results\)'),
        (lambda a: a.writestr('00000.png', b''), 'beside the sub-folder that holds the results: 00000.png'),
    ],
)
def test_spoilt_archives_are_refused(change: Callable[[zipfile.ZipFile], None], message: str, place: Path) -> None:
    with pytest.raises(SubmissionError, match=message):
        check_submission(_rewritten(place, change), place / 'lq')


def test_a_damaged_archive(place: Path) -> None:
    pack_results(place / 'results', place / 'lq', place / 'a.zip')
    data = bytearray((place / 'a.zip').read_bytes())
    data[2000] ^= 255
    (place / 'a.zip').write_bytes(bytes(data))
    with pytest.raises(SubmissionError, match='damaged or no image: results/00000.png .*CRC'):
        check_submission(place / 'a.zip', place / 'lq')
    (place / 'a.zip').write_bytes(bytes(data[:3000]))
    with pytest.raises(DatasetError, match='is no zip archive that can be read'):
        check_submission(place / 'a.zip', place / 'lq')


def test_a_network_that_spoils_its_results_is_refused(place: Path, checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content['params']['conv_last.bias'] += 10  # all white
    torch.save(content, checkpoint)
    with pytest.raises(SubmissionError, match='of one colour throughout: .*00000.png'):
        pack_checkpoint(Restorer(checkpoint, device='cpu'), place / 'lq', place / 'a.zip')
    assert not (place / 'a.zip').exists() and not list(place.glob('.*'))


def test_a_packing_that_was_broken_off_goes_on(place: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restorer = Restorer(checkpoint, device='cpu')
    restore, calls = restorer.restore, iter([None])

    def stop(images: list[np.ndarray]) -> list[np.ndarray]:
        if next(calls, 'stop') == 'stop':
            raise KeyboardInterrupt
        return restore(images)

    monkeypatch.setattr(restorer, 'restore', stop)
    with pytest.raises(KeyboardInterrupt):
        pack_checkpoint(restorer, place / 'lq', place / 'a.zip')
    assert not list(place.glob('[!.]*.zip*')) and [path.is_dir() for path in place.glob('.*')] == [True]
    other = Restorer(checkpoint, device='cpu', self_ensemble=True)
    assert pack_checkpoint(other, place / 'lq', place / 'a.zip').warnings == []  # what another has left is not taken
    restored: list[int] = []

    def counted(images: list[np.ndarray]) -> list[np.ndarray]:
        restored.append(len(images))
        return restore(images)

    monkeypatch.setattr(restorer, 'restore', counted)
    packed = pack_checkpoint(restorer, place / 'lq', place / 'a.zip')
    assert sum(restored) == NUM - 1 and packed.runtime > 0 and not list(place.glob('.*'))
    assert packed.warnings == [Finding('warning', '1 results are those of a packing that was broken off')]
    fresh = pack_checkpoint(Restorer(checkpoint, device='cpu', batch_size=3), place / 'lq', place / 'b.zip')
    assert fresh.warnings == []
    with zipfile.ZipFile(place / 'a.zip') as a, zipfile.ZipFile(place / 'b.zip') as b:
        for name in a.namelist()[:-1]:
            one, two = (decode_image(archive.read(name), name).astype(int) for archive in (a, b))
            assert np.abs(one - two).max() <= 1  # rounding of a batch


def test_the_suffix_of_a_test_is_left_out(place: Path) -> None:
    """Names that are the beginning of others, too; a suffix that only some have stays a fault."""
    write_image(place / 'lq' / '00000_a.png', read_image(place / 'lq' / '00000.png'))
    write_image(place / 'results' / '00000_a.png', read_image(place / 'results' / '00000.png'))
    for path in sorted((place / 'results').iterdir()):
        path.rename(path.with_name(f'{path.stem}_a_run.png'))
    assert check_submission(place / 'results', place / 'lq').num == NUM + 1
    pack_results(place / 'results', place / 'lq', place / 'a.zip')
    assert _names(place / 'a.zip') == [f'results/{path.name}' for path in sorted((place / 'lq').iterdir())]
    (place / 'results' / '00001_a_run.png').rename(place / 'results' / '00001.png')
    with pytest.raises(SubmissionError, match='a suffix is too much'):
        pack_results(place / 'results', place / 'lq', place / 'a.zip')


def test_below_bicubic_is_told(place: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the last validation of the run, by the table beside a test's images, and by the score."""
    rows = 'name,psnr_rgb,psnr_rgb_bicubic\n0,21.0,22.0\nmean,21.0,22.0\n'
    (place / 'results.csv').write_text(rows)
    (told,) = pack_results(place / 'results', place / 'lq', place / 'a.zip').warnings
    assert told.message.startswith('psnr_rgb 21.00 is below bicubic, 22.00')
    models, tables = place / 'run' / 'models', place / 'run' / 'visualization'
    models.mkdir(parents=True)
    tables.mkdir()
    checkpoint.rename(models / 'net_g_latest.pth')
    (tables / 'val_9.csv').write_text(rows.replace('21.0', '23.0'))
    (tables / 'val_10.csv').write_text(rows)
    (told,) = pack_checkpoint(Restorer(place / 'run', device='cpu'), place / 'lq', place / 'b.zip').warnings
    assert 'is below bicubic' in told.message and 'val_10.csv' in told.message
    for path in (place / 'lq').iterdir():
        large = cv2.resize(read_image(path), (4 * SIZE, 4 * SIZE), interpolation=cv2.INTER_CUBIC)
        write_image(place / 'gt' / path.name, large)
    with pytest.raises(SystemExit):
        main(['submit', 'score', str(place / 'results'), str(place / 'gt'), '--lq', str(place / 'lq')])
    assert 'below bicubic' in capsys.readouterr().err


# ---- the budget, and what else is refused --------------------------------------------------------------------------


def test_budget(place: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """6,867 parameters; the limit that it was trained under is 10,000."""
    arguments = ['submit', 'pack', str(checkpoint), str(place / 'lq'), '-o', str(place / 'a.zip'), '--device', 'cpu']
    with pytest.raises(SystemExit) as ended:
        main([*arguments, '--max-params', '6866'])
    assert ended.value.code == 2 and '6,867 parameters, 1 too many' in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main([*arguments, '--max-params', '6867'])
    assert ended.value.code == 0 and '4 results, verified' in capsys.readouterr().out
    content = torch.load(checkpoint, weights_only=True)
    content['facesr_ext']['challenge'] = {'max_params': 6866}
    torch.save(content, checkpoint)
    with pytest.raises(OptionError, match='challenge:max_params: network_g has 6,867 parameters, 1 too many'):
        pack_checkpoint(Restorer(checkpoint, device='cpu'), place / 'lq', place / 'b.zip')
    assert not (place / 'b.zip').exists()


def test_unfit_arguments(place: Path, checkpoint: Path) -> None:
    with pytest.raises(OptionError, match="--format: 'ai6216' is unknown; did you mean ai6126"):
        pack_results(place / 'results', place / 'lq', place / 'a.zip', 'ai6216')
    with pytest.raises(OptionError, match=r'the archive is called \*\.zip'):
        pack_results(place / 'results', place / 'lq', place / 'a.tar')
    with pytest.raises(DatasetError, match='LQ: there is no folder'):
        pack_results(place / 'results', place / 'nothing', place / 'a.zip')
    with pytest.raises(DatasetError, match='there is no folder .*nothing; name the folder of results'):
        pack_results(place / 'nothing', place / 'lq', place / 'a.zip')
    write_image(place / 'lq' / '00000.jpg', render_face(0, 0, SIZE).image)
    with pytest.raises(DatasetError, match='would both be 00000.png'):
        pack_results(place / 'results', place / 'lq', place / 'a.zip')


def test_check_by_the_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack_results(place / 'results', place / 'lq', place / 'a.zip')
    with pytest.raises(SystemExit) as ended:
        main(['submit', 'check', str(place / 'a.zip'), str(place / 'lq')])
    assert ended.value.code == 0 and 'a.zip: 4 results, verified' in capsys.readouterr().out
    write_image(place / 'results' / '00001.png', read_image(place / 'results' / '00000.png'))
    write_image(place / 'lq' / '00001.png', read_image(place / 'lq' / '00000.png'))
    with pytest.raises(SystemExit) as ended:
        main(['submit', 'check', str(place / 'results'), str(place / 'lq')])
    assert ended.value.code == 0
    assert capsys.readouterr().err == 'the same image: 00000.png, 00001.png (warning)\n'


@pytest.mark.parametrize(
    ('source', 'arguments', 'message'),
    [
        ('results', ['--self-ensemble'], '--self-ensemble: is not for a folder of results'),
        ('results', ['--max-params', '9'], '--max-params: is not for a folder of results'),
        ('results', ['--extra-data'], '--extra-data: is not for results without --runtime'),
        ('net.pth', ['--scale', '4'], '--scale: is not for a checkpoint'),
        ('net.pth', ['--runtime', '1'], '--runtime: is not for a checkpoint'),
    ],
)
def test_options_that_would_do_nothing(
    source: str, arguments: list[str], message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(['submit', 'pack', str(place / source), str(place / 'lq'), '-o', str(place / 'a.zip'), *arguments])
    told = capsys.readouterr().err
    assert ended.value.code == 2 and f'facesr: {message}' in told and 'leave it out' in told
    assert not (place / 'a.zip').exists()


def test_results_with_a_readme_by_the_command(place: Path) -> None:
    arguments = ['--format', 'flat', '--runtime', '0.25', '--device', 'cuda', '--extra-data', '--description', 'mine']
    with pytest.raises(SystemExit) as ended:
        main(['submit', 'pack', str(place / 'results'), str(place / 'lq'), '-o', str(place / 'a.zip'), *arguments])
    assert ended.value.code == 0
    with zipfile.ZipFile(place / 'a.zip') as archive:
        assert archive.read('readme.txt').decode() == Readme(0.25, False, True, 'mine').text()


def test_encoded_pictures_are_what_is_written(tmp_path: Path) -> None:
    img = render_face(0, 0, 64).image
    write_image(tmp_path / 'a.png', img)
    assert (tmp_path / 'a.png').read_bytes() == encode_image(img)
    assert np.array_equal(np.array(Image.open(io.BytesIO(encode_image(img)))), img)
