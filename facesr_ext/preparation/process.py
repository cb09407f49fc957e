"""One photograph: its faces found, framed, measured and written to the side, and a record of what became of each.

Nothing here knows of other photographs, so that any process may take any of them.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from facesr_ext.data.image_io import encode_image, read_mask, write_mask
from facesr_ext.errors import DatasetError
from facesr_ext.faces.alignment import Frame, cut, cut_mask, frame_of, whole
from facesr_ext.faces.detection import Detector, Face, build_detector
from facesr_ext.faces.identity import DlibIdentity
from facesr_ext.faces.labels import CELEBAMASK19, LABEL_SETS, UNKNOWN, LabelSet
from facesr_ext.faces.landmarks import DlibLandmarks
from facesr_ext.faces.parsing import FaceParser
from facesr_ext.faces.sides import confused_sides, with_sides_swapped
from facesr_ext.imaging import imresize, quantize, to_images, to_tensor
from facesr_ext.places import user_path
from facesr_ext.preparation.find import Found, read_photo
from facesr_ext.preparation.fingerprints import looks
from facesr_ext.preparation.plan import Plan
from facesr_ext.preparation.selection import lacks_information, sharpness, tiles
from facesr_ext.runs.atomic import replaced_when_whole


class Part(NamedTuple):
    """A square of a photograph: a face, the whole of it, or a tile."""

    frame: Frame
    face: Face | None = None
    landmarks: np.ndarray | None = None


class Processor:
    """Takes photographs one by one.

    Args:
        plan (Plan): What to make.
        staged (Path): Where the images wait for their place.

    Raises:
        DependencyError, OptionError, CheckpointError: if a network or its weights are missing.
    """

    def __init__(self, plan: Plan, staged: Path) -> None:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        weights = user_path(plan.weights) if plan.weights else None
        self.plan, self.staged = plan, staged
        found = not plan.tile and plan.detector != 'none'
        self.detector: Detector | None = build_detector(plan.detector, plan.threshold, weights) if found else None
        wants_points = found and (plan.landmarks == 'dlib' or plan.same_person)
        self.landmarks = DlibLandmarks(weights) if wants_points else None
        self.identity = DlibIdentity(weights) if plan.same_person else None
        self.parser = FaceParser(plan.parse, weights) if plan.parse != 'none' else None

    def __call__(self, found: Found) -> dict[str, Any]:
        """The record of a file: name, sha256, reason or parts."""
        record: dict[str, Any] = {'source': found.name, 'reason': found.reason, 'parts': []}
        if found.reason:
            return record
        try:
            photo = read_photo(found.path)
        except DatasetError as err:
            return {**record, 'reason': str(err)}
        record['sha256'] = photo.sha256
        try:
            parts = self._parts(photo.image)
            entries = [self._part(photo.image, found, f'{photo.sha256}_{i}', part) for i, part in enumerate(parts)]
        except (cv2.error, MemoryError) as err:
            return {**record, 'reason': f'cannot be processed: {err or "too little memory"}'}
        return {**record, 'parts': entries, 'reason': None if entries else self._nothing(photo.image)}

    def _parts(self, image: np.ndarray) -> list[Part]:
        height, width = image.shape[:2]
        if self.plan.tile:
            side = self.plan.tile
            places = tiles(height, width, side)
            frames = [np.array([[1 / side, 0, (0.5 - x) / side], [0, 1 / side, (0.5 - y) / side]]) for y, x in places]
            return [Part(Frame(matrix, side)) for matrix in frames]
        if self.detector is None:
            return [Part(whole(height, width))]
        parts = []
        for face in self.detector(image):
            points = self.landmarks(image, face) if self.landmarks else None
            parts.append(Part(frame_of(self.plan.crop, face, points, self.plan.margin), face, points))
        return parts

    def _nothing(self, image: np.ndarray) -> str:
        size = f'{image.shape[1]}x{image.shape[0]} px'
        return f'too small: {size}, no tile of {self.plan.tile} px' if self.plan.tile else 'no face found'

    def _part(self, image: np.ndarray, found: Found, key: str, part: Part) -> dict[str, Any]:
        """Measures one part; where it may stay, its images are written under ``key``."""
        entry: dict[str, Any] = {'side': round(part.frame.side, 1), **_described(part), 'reason': None}
        largest = max(self.plan.all_sizes)
        if self._reason_by_size(image, part, entry):
            return entry
        images = cut(image, part.frame, self.plan.all_sizes, self.plan.kernel)  # type: ignore[arg-type]
        entry['sharpness'] = round(sharpness(images[largest]), 2)
        if not self.plan.tile and entry['sharpness'] < self.plan.min_sharpness:
            entry['reason'] = f'blurred: sharpness {entry["sharpness"]} below {self.plan.min_sharpness}'
        elif self.plan.wants_information:
            entry['reason'] = lacks_information(images[largest])
        if entry['reason']:
            return entry
        masks = self._masks(image, images, found, part, entry)
        grey = cv2.cvtColor(images[largest], cv2.COLOR_RGB2GRAY)
        entry['looks'] = _text(looks(grey))
        if self.identity is not None and part.landmarks is not None:
            entry['identity'] = _text(self.identity(image, part.landmarks))
        self._stage(key, images, masks)
        entry['key'] = key
        return entry

    def _reason_by_size(self, image: np.ndarray, part: Part, entry: dict[str, Any]) -> bool:
        plan, side, outside = self.plan, round(part.frame.side), part.frame.outside(*image.shape[:2])
        if side < plan.least:
            entry['reason'] = f'too small: {side} px, below {plan.least}'
        elif plan.max_face and side > plan.max_face:
            entry['reason'] = f'too large: {side} px, above {plan.max_face}'
        elif outside > plan.max_outside:
            entry['reason'] = f'cut off: {outside:.0%} of it beyond the edge'
        return entry['reason'] is not None

    def _masks(
        self, image: np.ndarray, images: dict[int, np.ndarray], found: Found, part: Part, entry: dict[str, Any]
    ) -> dict[int, np.ndarray]:
        """The masks of each size, celebamask19; what is odd about the one given is noted in the entry."""
        if self.parser is not None:
            largest = self.parser(images[max(images)])
            return {size: cv2.resize(largest, (size, size), interpolation=cv2.INTER_NEAREST) for size in images}
        if not self.plan.masks:
            return {}
        labels = LABEL_SETS[self.plan.mask_labels]
        try:
            mask = _mask_of(user_path(self.plan.masks) / Path(found.name).with_suffix('.png'), image, labels)
        except DatasetError as err:
            entry['mask'] = str(err)
            return {}
        across = part.face.points[1] - part.face.points[0] if part.face else np.array([1.0, 0.0])
        confused = confused_sides(mask, labels, across)
        if confused:
            entry['confused'] = confused
            mask = with_sides_swapped(mask, labels, confused) if self.plan.fix_labels else mask
        mask = labels.table_to(CELEBAMASK19)[mask]
        return {size: cut_mask(mask, part.frame, size, image.shape[:2]) for size in images}

    def _stage(self, key: str, images: dict[int, np.ndarray], masks: dict[int, np.ndarray]) -> None:
        """Writes the images of one part; a folder that is there is whole."""
        folder = self.staged / key[:2] / key
        if folder.is_dir():
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _new_folder(folder) as temporary:
            for size, image in images.items():
                (temporary / f'images_{size}.png').write_bytes(encode_image(image))
                for factor in self.plan.lr:
                    (temporary / f'lr_x{factor}_{size}.png').write_bytes(encode_image(_reduced(image, factor)))
            for size, mask in masks.items():
                write_mask(temporary / f'masks_{size}.png', mask)


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill that takes its name when it is whole; unless another process was faster with the same file."""
    try:
        with replaced_when_whole(folder) as temporary:
            temporary.mkdir()
            yield temporary
    except OSError:
        if not folder.is_dir():
            raise


def _text(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _mask_of(path: Path, image: np.ndarray, labels: LabelSet) -> np.ndarray:
    """Reads the mask of an image.

    Returns:
        ndarray: (h, w) uint8, values of ``labels``.

    Raises:
        DatasetError: with the reason, if there is none or it cannot be the image's.
    """
    if not path.is_file():
        raise DatasetError('no mask')
    try:
        mask = read_mask(path)
    except DatasetError as err:
        raise DatasetError(f'a mask that cannot be read: {err}') from err
    if abs(mask.shape[0] * image.shape[1] - mask.shape[1] * image.shape[0]) > max(image.shape):
        raise DatasetError(f'a mask of another shape than its image: {mask.shape[1]}x{mask.shape[0]} px')
    beyond = [value for value in np.unique(mask).tolist() if len(labels.classes) <= value < UNKNOWN]
    if beyond:
        raise DatasetError(f'a mask of other values than {labels.name}: {", ".join(map(str, beyond))}')
    return mask


def _described(part: Part) -> dict[str, Any]:
    """What a record says of a face: box, points and landmarks in the photograph, where its square is."""
    out: dict[str, Any] = {'frame': [[float(f'{value:.9g}') for value in row] for row in part.frame.matrix.tolist()]}
    if part.face is not None:
        out['box'] = [round(value, 1) for value in part.face.box.tolist()]
        out['score'] = round(part.face.score, 3)
        out['points'] = [[round(value, 1) for value in point] for point in part.face.points.tolist()]
        out['angle'] = round(part.face.angle, 1)
    if part.landmarks is not None:
        out['landmarks'] = part.landmarks.tolist()
    return out


def _reduced(image: np.ndarray, factor: int) -> np.ndarray:
    """MATLAB's bicubic of an 8-bit image, rounded to 8 bits."""
    small = imresize(to_tensor(image)[None], (image.shape[0] // factor, image.shape[1] // factor))
    return to_images(quantize(small))[0]


def append_record(path: Path, record: dict[str, Any]) -> None:
    """Adds a line to a file of records. It begins with a newline, so that it stands apart from one that was cut off."""
    with path.open('a', encoding='utf-8') as stream:
        stream.write('\n' + json.dumps(record))


def read_records(folder: Path) -> dict[str, dict[str, Any]]:
    """The records of all files below a folder by their file's stamp; a line that was cut off is left out."""
    records: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob('*.jsonl')):
        for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
            try:
                record = json.loads(line)
                records[record['stamp']] = record
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
    return records
