"""The way of GFPGAN, CodeFormer and their like with a photograph, around any network: the peer of `PhotoRestorer`.

Every face is warped to 512 px, goes through the network alone, in fp32, and is pasted by facexlib's
``FaceRestoreHelper`` within a square. Their finer cut by face labels needs ParseNet, which facexlib does not bring.
"""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

import cv2
import numpy as np

from facesr_ext.errors import DependencyError
from facesr_ext.faces.alignment import Frame, frame_of
from facesr_ext.faces.detection import Face
from facesr_ext.faces.extras import FACEXLIB
from facesr_ext.inference.photo import PhotoRestorer
from facesr_ext.inference.which_faces import find_faces, inner_faces

_SIZE = 512
_HELPER = 'facexlib.utils.face_restoration_helper'


def faces_restored(restorer: PhotoRestorer, photo: np.ndarray) -> list[Face]:
    """Those that a restorer finds and does not leave alone for their size, in its order."""
    faces = find_faces(photo, restorer.detector, restorer.angles)
    inside = inner_faces(faces)
    sides = [frame_of('ffhq', face).side for face in faces]
    kept = (restorer.min_face <= side <= restorer.max_face for side in sides)
    return [face for index, (face, keep) in enumerate(zip(faces, kept, strict=True)) if keep and index not in inside]


class GfpganStyle:
    """Restores photographs with the network and the detector of a `PhotoRestorer`, and the same faces of them."""

    def __init__(self, restorer: PhotoRestorer) -> None:
        self.restorer, self.network = restorer, restorer.restorer
        self.size = restorer.sizes.trained if self.network.info.sizes.fixed else _SIZE

    def restore(self, photo: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> the same."""
        helper = _helper(self.size)
        helper.read_image(photo[..., ::-1].copy())
        helper.all_landmarks_5 = [face.points for face in faces_restored(self.restorer, photo)]
        helper.align_warp_face()
        for face in helper.cropped_faces:
            helper.add_restored_face(self.restored(face[..., ::-1])[..., ::-1])
        return _pasted(helper)

    def restored(self, face: np.ndarray) -> np.ndarray:
        """A warped face (S, S, 3) uint8 RGB, restored."""
        enlarged = self.network.info.input == 'enlarged'
        size = self.size if enlarged else self.size // self.network.scale
        given = cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA)
        made = self.network.restore(given, enlarged)
        return made if made.shape[0] == self.size else cv2.resize(made, (self.size, self.size))


def paste_squares(photo: np.ndarray, frames: Sequence[Frame], squares: Sequence[np.ndarray]) -> np.ndarray:
    """Pastes restored squares (any size, uint8 RGB), each by its frame, as facexlib does."""
    helper = _helper(_SIZE)
    helper.read_image(photo[..., ::-1].copy())
    for frame, square in zip(frames, squares, strict=True):
        kernel = cv2.INTER_CUBIC if square.shape[0] < _SIZE else cv2.INTER_AREA
        helper.affine_matrices.append(frame.to_pixels(_SIZE))
        helper.add_restored_face(cv2.resize(square, (_SIZE, _SIZE), interpolation=kernel)[..., ::-1])
    return _pasted(helper)


def square_mask() -> np.ndarray:
    """(400, 400) float32: where facexlib's paste counts: a square cut by a twentieth at each side, and blurred."""
    side, edge = 400, 20
    mask = np.zeros((side, side), np.float32)
    mask[edge:-edge, edge:-edge] = 1
    return cv2.GaussianBlur(mask, (2 * edge + 1, 2 * edge + 1), 0)


def _helper(size: int):  # type: ignore[no-untyped-def]  # facexlib has no types
    """facexlib's, without the networks that it fetches at once."""
    try:
        from facexlib.utils.face_restoration_helper import FaceRestoreHelper
    except ImportError as err:
        raise DependencyError(f'facexlib cannot be imported ({err}); run: {FACEXLIB}') from err
    with patch(f'{_HELPER}.init_detection_model'), patch(f'{_HELPER}.init_parsing_model'):
        return FaceRestoreHelper(1, face_size=size, device='cpu')


def _pasted(helper) -> np.ndarray:  # type: ignore[no-untyped-def]
    helper.get_inverse_affine()
    return np.clip(np.rint(helper.paste_faces_to_input_image()[..., ::-1]), 0, 255).astype(np.uint8)
