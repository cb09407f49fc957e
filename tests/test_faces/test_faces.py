from __future__ import annotations

import numpy as np
import pytest
import torch

from facesr_ext.errors import OptionError
from facesr_ext.faces.heatmaps import landmark_heatmaps
from facesr_ext.faces.labels import (
    BISENET19,
    CELEBAMASK19,
    CHANNEL_SETS,
    CSGIUNG11,
    HELEN11,
    LABEL_SETS,
    LANDMARK_PAIRS,
    UNKNOWN,
    five_landmarks,
    landmark_flip,
    parsing_planes,
)


def test_index_spaces_differ_and_map_by_name() -> None:
    table = BISENET19.table_to(CELEBAMASK19)
    # BiSeNet: 2 l_brow, 6 eye_g, 10 nose, 17 hair, 18 hat; CelebAMask-HQ: 6, 3, 2, 13, 14
    assert [table[i] for i in (0, 1, 2, 6, 10, 17, 18)] == [0, 1, 6, 3, 2, 13, 14]
    assert table[19] == table[UNKNOWN] == UNKNOWN
    for labels in LABEL_SETS.values():
        back = CELEBAMASK19.table_to(labels)[labels.table_to(CELEBAMASK19)[: len(labels.classes)]]
        assert (back == np.arange(len(labels.classes))).all()


@pytest.mark.parametrize('labels', LABEL_SETS.values(), ids=lambda labels: labels.name)
def test_flip_swaps_sides_and_is_its_own_inverse(labels: object) -> None:
    table = labels.flip_table()  # type: ignore[attr-defined]
    assert (table[table] == np.arange(256)).all()
    moved = {c for i, c in enumerate(labels.classes) if table[i] != i}  # type: ignore[attr-defined]
    assert moved >= {'l_eye', 'r_eye', 'l_brow', 'r_brow'} and not moved & {'u_lip', 'l_lip', 'hair', 'ear_r'}


@pytest.mark.parametrize('num', sorted(LANDMARK_PAIRS))
def test_landmark_flip(num: int) -> None:
    order = landmark_flip(num)
    assert sorted(order) == list(range(num)) and (order[order] == np.arange(num)).all()


def test_landmark_flip_of_an_unknown_set() -> None:
    with pytest.raises(OptionError, match='194 landmarks'):
        landmark_flip(194)


def test_five_landmarks() -> None:
    points = np.arange(136, dtype=np.float32).reshape(68, 2)
    five = five_landmarks(points)
    assert five.shape == (5, 2) and np.allclose(five[0], points[36:42].mean(0)) and np.allclose(five[4], points[54])


def test_channels_of_both_sets() -> None:
    assert all(len(channels) == 11 for channels in CHANNEL_SETS.values())
    helen = HELEN11.matrix(CELEBAMASK19)
    assert (helen.sum(0) == 1).all()  # every class in exactly one map
    names = dict(zip(CELEBAMASK19.classes, range(19), strict=True))
    assert helen[0, names['hat']] == helen[1, names['eye_g']] == helen[10, names['hair']] == 1
    giung = CSGIUNG11.matrix(CELEBAMASK19)
    assert giung[:, names['hair']].sum() == giung[:, names['background']].sum() == 0
    assert giung[0, names['nose']] == giung[7, names['nose']] == 1  # its skin covers the features


def test_parsing_planes_average_and_leave_out_the_unknown() -> None:
    parsing = torch.zeros(1, 4, 4, dtype=torch.int64)
    parsing[0, :2, :2] = torch.tensor([[13, 13], [13, 1]])  # three of hair, one of skin
    parsing[0, 2:, 2:] = UNKNOWN
    parsing[0, 0, 2] = UNKNOWN
    planes, share = parsing_planes(parsing, HELEN11, (2, 2))
    assert planes[0, 10, 0, 0] == 0.75 and planes[0, 1, 0, 0] == 0.25
    assert share.flatten().tolist() == [1.0, 0.75, 1.0, 0.0]
    assert planes[0, 0, 0, 1] == 1.0 and planes[0, :, 1, 1].sum() == 0


def test_heatmaps() -> None:
    landmarks = torch.tensor([[[31.5, 15.5], [float('nan'), 3.0]]])
    maps, known = landmark_heatmaps(landmarks, (128, 64), (64, 32), sigma=1.5)
    assert maps.shape == (1, 2, 64, 32) and known.flatten().tolist() == [1, 0]
    peak = maps[0, 0].flatten().argmax().item()
    assert divmod(peak, 32) in {(7, 15), (8, 15), (7, 16), (8, 16)}
    assert maps[0, 1].abs().sum() == 0
    # at a pixel's centre the peak is 1, and one sigma away it is exp(-1/2)
    exact, _ = landmark_heatmaps(torch.tensor([[[10.0, 10.0]]]), (32, 32), (32, 32), sigma=2.0)
    assert exact[0, 0, 10, 10] == 1 and exact[0, 0, 10, 12] == pytest.approx(np.exp(-0.5), abs=1e-6)
