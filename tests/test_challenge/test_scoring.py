"""Scoring as the organisers do it."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from basicsr.metrics import calculate_psnr

from facesr_ext.challenge.scoring import results_in, score
from facesr_ext.cli.main import main
from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.errors import SubmissionError
from tests.support import PHOTOS, needs_photos


@pytest.fixture
def place(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(3):
        gt = rng.integers(0, 256, (24, 16, 3), np.uint8)
        noise = rng.integers(-9 * i, 9 * i + 1, gt.shape)
        write_image(tmp_path / 'gt' / f'{i:05d}.png', gt)
        write_image(tmp_path / 'sr' / f'{i:05d}.png', np.clip(gt + noise, 0, 255).astype(np.uint8))
    return tmp_path


def organisers_psnr(img: np.ndarray, img2: np.ndarray) -> float:
    """20 log10(255 / sqrt(MSE)) over all pixels and channels of 8-bit RGB."""
    mse = np.mean((img.astype(np.float64) - img2.astype(np.float64)) ** 2)
    return 20 * math.log10(255 / math.sqrt(mse))


def test_equals_the_organisers_formula_and_basicsr(place: Path) -> None:
    """To 1e-6 dB; BasicSR's pictures are BGR, which changes nothing."""
    scores = score(place / 'sr', place / 'gt')
    for name in ('00001.png', '00002.png'):
        a, b = (read_image(place / folder / name) for folder in ('sr', 'gt'))
        assert scores.psnr[name] == pytest.approx(organisers_psnr(a, b), abs=1e-6)
        expected = calculate_psnr(a[..., ::-1], b[..., ::-1], crop_border=0, test_y_channel=False)
        assert scores.psnr[name] == pytest.approx(expected, abs=1e-6)
    assert scores.psnr['00000.png'] == math.inf == scores.mean


def test_known_values(tmp_path: Path) -> None:
    black, grey = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 51, np.uint8)
    one = black.copy()
    one[0, 0, 0] = 255  # one of 48 values
    for name, picture in (('a.png', grey), ('b.png', one)):
        write_image(tmp_path / 'gt' / name, black)
        write_image(tmp_path / 'sr' / name, picture)
    expected = {'a.png': 20 * math.log10(5), 'b.png': 10 * math.log10(48)}
    assert score(tmp_path / 'sr', tmp_path / 'gt').psnr == pytest.approx(expected)


@pytest.mark.parametrize('prefix', ['', 'results/', 'res/', 'res/results/', 'a/b/'])
def test_layouts_that_the_scorer_descends_into(prefix: str, place: Path) -> None:
    (place / 'sr' / '00000.png').unlink()
    (place / 'gt' / '00000.png').unlink()
    with zipfile.ZipFile(place / 'a.zip', 'w') as archive:
        for path in (place / 'sr').iterdir():
            archive.write(path, prefix + path.name)
        archive.writestr(f'{prefix}readme.txt', '')
        if prefix.startswith('res/'):
            archive.writestr('ref/00001.png', b'')
    assert score(place / 'a.zip', place / 'gt').psnr == score(place / 'sr', place / 'gt').psnr


def test_the_scorers_own_input_folder(place: Path) -> None:
    (place / 'gt').rename(place / 'ref')
    (place / 'res').mkdir()
    (place / 'sr').rename(place / 'res' / 'any')
    scores = score(place, place)
    assert list(scores.psnr) == ['00000.png', '00001.png', '00002.png']


def test_every_fault_is_told(place: Path) -> None:
    (place / 'sr' / '00000.png').unlink()
    write_image(place / 'sr' / '00001.png', np.zeros((8, 8, 3), np.uint8))
    (place / 'sr' / '00002.png').write_bytes(b'')
    with pytest.raises(SubmissionError) as caught:
        score(place / 'sr', place / 'gt')
    assert [fault[:9] for fault in caught.value.faults] == ['00000.png', '00001.png', '00002.png']
    assert 'is 8x8 px, its GT 16x24 px' in str(caught.value) and 'damaged' in str(caught.value)


def test_command_writes_scores(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / 'gt' / '00000.png').unlink()
    expected = score(place / 'sr', place / 'gt').mean
    for force, code in ((), 0), ((), 2), (('--force',), 0):
        with pytest.raises(SystemExit) as ended:
            main(['submit', 'score', str(place / 'sr'), str(place / 'gt'), '-o', str(place / 'scores.txt'), *force])
        assert ended.value.code == code
    assert f'PSNR {expected:.4f} dB, mean of 2 images' in capsys.readouterr().out
    assert (place / 'scores.txt').read_text() == f'PSNR: {expected:.6f}\n'


def test_no_folder_is_descended_into_where_there_are_two(place: Path) -> None:
    class Names:
        names = ['a/0.png', 'b/1.png']

    assert results_in(Names()) == {}


@needs_photos
def test_bicubic_of_the_challenges_validation_set(tmp_path: Path) -> None:
    """27.82 dB: OpenCV's bicubic on the 50 pairs of the 2023 edition."""
    pairs = PHOTOS / 'blind_x4' / 'val'
    for path in (pairs / 'LQ').glob('*.png'):
        enlarged = cv2.resize(read_image(path), (512, 512), interpolation=cv2.INTER_CUBIC)
        write_image(tmp_path / path.name, enlarged)
    scores = score(tmp_path, pairs / 'GT')
    assert len(scores.psnr) == 50 and round(scores.mean, 2) == 27.82
