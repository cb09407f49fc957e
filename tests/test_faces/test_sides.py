"""Left and right of masks, and the networks that make masks."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from facesr_ext.data.image_io import list_images, read_mask
from facesr_ext.errors import CheckpointError, DependencyError, OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.faces.labels import BISENET19, CELEBAMASK19
from facesr_ext.faces.parsing import FaceParser
from facesr_ext.faces.sides import confused_sides, with_sides_swapped

MASKS = Path(os.environ.get('FACESR_TEST_DATA', 'nowhere')) / 'celebahq_parsing' / 'masks'
ACROSS = np.array([1.0, 0.0])


def test_drawn_faces_have_left_and_right() -> None:
    for index in range(8):
        assert confused_sides(render_face(0, index, 128).parsing, CELEBAMASK19, ACROSS) == []


def test_confused_pairs_are_found_and_exchanged_alone() -> None:
    mask = render_face(0, 1, 128).parsing
    wrong = with_sides_swapped(mask, CELEBAMASK19, ['eye'])
    assert confused_sides(wrong, CELEBAMASK19, ACROSS) == ['eye']
    assert np.array_equal(with_sides_swapped(wrong, CELEBAMASK19, ['eye']), mask)
    assert np.array_equal(wrong == CELEBAMASK19.value('l_brow'), mask == CELEBAMASK19.value('l_brow'))
    assert confused_sides(mask[::-1, ::-1], CELEBAMASK19, -ACROSS) == []  # upside down, as its points are


def test_an_eye_that_is_not_to_be_seen_is_not_confused() -> None:
    mask = render_face(0, 1, 128).parsing.copy()
    mask[mask == CELEBAMASK19.value('l_eye')] = CELEBAMASK19.value('skin')
    assert confused_sides(mask, CELEBAMASK19, ACROSS) == []


@pytest.mark.skipif(not MASKS.is_dir(), reason='FACESR_TEST_DATA names no folder with celebahq_parsing')
def test_58_masks_of_celebahq_have_the_eyes_confused() -> None:
    found = [confused_sides(read_mask(MASKS / name), CELEBAMASK19, ACROSS) for name in list_images(MASKS)]
    assert sum('eye' in pairs for pairs in found) == 58


def test_parser_gives_celebamask_classes(tmp_path: Path) -> None:
    BiSeNet = pytest.importorskip('facexlib.parsing').BiSeNet

    torch.manual_seed(0)
    torch.save(BiSeNet(num_class=19).state_dict(), tmp_path / 'parsing_bisenet.pth')
    parser = FaceParser('bisenet', tmp_path)
    assert parser.to_celebamask[BISENET19.value('l_eye')] == CELEBAMASK19.value('l_eye')
    mask = parser(render_face(0, 0, 96).image)
    assert mask.shape == (96, 96) and mask.dtype == np.uint8 and mask.max() < 19
    (tmp_path / 'parsing_bisenet.pth').write_bytes(b'<!DOCTYPE html>')
    with pytest.raises(CheckpointError, match='does not hold the weights of bisenet'):
        FaceParser('bisenet', tmp_path)
    with pytest.raises(OptionError, match='--parse'):
        FaceParser('unet')


def test_missing_weights_of_a_parser_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (('FACESR_HOME', str(tmp_path)), ('TORCH_HOME', str(tmp_path)), ('FACESR_OFFLINE', '1')):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    pytest.importorskip('facexlib')
    with pytest.raises(DependencyError, match=r'parsing_parsenet\.pth[\s\S]*https://github.com/xinntao/facexlib'):
        FaceParser('parsenet')
