"""Whole photographs: every face found, restored at its own size in batches over the photographs, and put back."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from facesr_ext.errors import DatasetError, DependencyError, OptionError
from facesr_ext.faces.alignment import Frame, frame_of, whole
from facesr_ext.faces.detection import Detector, Face, build_detector
from facesr_ext.faces.identity import DlibIdentity
from facesr_ext.faces.landmarks import DlibLandmarks
from facesr_ext.faces.masks import ellipse_mask, landmark_mask, parsing_mask
from facesr_ext.faces.parsing import FaceParser
from facesr_ext.faces.paste import Patch, paste, stored_square
from facesr_ext.host.side_by_side import side_by_side
from facesr_ext.imaging import to_images
from facesr_ext.inference.face_record import FaceRecord, RestoredPhoto
from facesr_ext.inference.face_sizes import USUAL, FaceSizes
from facesr_ext.inference.onnx_network import OnnxNetwork
from facesr_ext.inference.opening import open_model
from facesr_ext.inference.photo_checks import is_gray, require_bounds, require_photo, require_strength, to_8_bits
from facesr_ext.inference.progress import Progress, Steps
from facesr_ext.inference.restorer import Restorer
from facesr_ext.inference.shipped import DEFAULT, require_for_photos
from facesr_ext.inference.which_faces import INSIDE, chosen, find_faces, inner_faces, read_choice
from facesr_ext.models.precision import AUTO
from facesr_ext.models.tiles import Tiling

_LOOK = 256  # px at which landmarks, identity and labels of an aligned face are taken
_TOLD_APART = 0.4  # identity distance from which it may be another person; bicubic of a 4x smaller face is as far
_LEAST_TILE = 64
_TOGETHER = 8  # faces in a batch
_BESIDE = 4  # batches of USUAL**2 pixels that a CPU computes side by side: each takes some hundred MB
_WAITING, _PIXELS = 16, 60_000_000  # photographs and their pixels that wait for a full batch, at most
_TILE = 512


@dataclass
class _Job:
    """A face that goes through the network, and the side of its square in the result, pixels."""

    record: FaceRecord
    face: Face
    frame: Frame
    place: float


@dataclass
class _Waiting:
    """A photograph whose faces wait."""

    photo: np.ndarray
    records: list[FaceRecord]
    jobs: list[_Job]


class PhotoRestorer:
    """Restores the faces of photographs.

    ``image, faces = PhotoRestorer().restore(photo)``

    Args:
        model (str | PathLike | Restorer): 'default' or 'sharp', which come with the package, as 'x4' and 'x8' for
            aligned faces; a checkpoint, a run, or what is opened already. A file that does not say what it holds is
            recognised by spandrel (extra ``export``).
        faces (str | Sequence[int]): 'all', 'largest', 'center', or numbers, of which 1 is the largest face.
        min_face (int): Faces with a smaller aligned square, in pixels of the photograph, are left alone. Default: 16.
        max_face (int | None): So are larger ones. Default: the size that the network was trained on, beyond which
            it takes detail away; for one that was trained on faces enlarged so many times, half more than those had,
            for it overdoes the sharper ones.
        strength (float): Which share of the change is made, in [0, 1].
        keep_gray (bool | None): Change luma alone. Default: for grey photographs.
        upscale (float | None): The result is so many times larger. Default: 1; of aligned faces, the network's own.
        background (str | PathLike | Restorer): What enlarges all but the faces: 'lanczos', 'none' (nothing: the size
            stays), or a network, which also restores it.
        detector (str | Detector): 'centerface' or 'retinaface'.
        threshold (float): The least score of a face.
        angles (Sequence[int]): By how many degrees the photograph is turned for further looks. Default: (0,).
        parser (str | None): 'bisenet' or 'parsenet': faces are cut out by their labels. Default: by 68 landmarks where
            dlib is installed, else an ellipse.
        weights (Path | None): Folder of the weights of detector, landmarks and parser.
        device (str | device | None): Where the network runs. Default: a GPU where there is one.
        batch_size (int | None): Faces that go through the network together. Default: 8; on a CPU, whose caches larger
            batches leave, as many as have the pixels of one of 512 px.
        precision (str): fp32, bf16, or on CUDA fp16. Default: bf16 for the models of the package on a CPU that
            computes in it, which is twice as fast (results differ by 0.07 levels on average); else fp32.
        identity (bool): Measure how far each face comes from its person (extra ``faces``), a tenth of a second each.

    Raises:
        OptionError: for a value out of bounds, or a network that makes no larger or equally large face.
        CheckpointError, DependencyError: for a model, or a detector's weights, that cannot be had.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Restorer = DEFAULT,
        *,
        faces: str | Sequence[int] = 'all',
        min_face: int = 16,
        max_face: int | None = None,
        strength: float = 1.0,
        keep_gray: bool | None = None,
        upscale: float | None = None,
        background: str | os.PathLike[str] | Restorer = 'lanczos',
        detector: str | Detector = 'centerface',
        threshold: float = 0.5,
        angles: Sequence[int] = (0,),
        parser: str | None = None,
        weights: Path | None = None,
        device: str | torch.device | None = None,
        batch_size: int | None = None,
        precision: str = AUTO,
        identity: bool = True,
    ) -> None:
        require_bounds(min_face, max_face, strength, upscale, angles, batch_size)
        self.choice, self.angles = read_choice(faces), tuple(angles)
        self.model, self.restorer = model, open_model(model, device=device, precision=precision)
        if self.restorer.info.input == 'hr':
            raise OptionError('makes faces smaller; name a network that restores them', ('model',))
        self.sizes = FaceSizes(self.restorer)
        self.min_face, self.max_face = min_face, max_face or self.sizes.largest_gain()
        if self.max_face < min_face:
            raise OptionError(f'{self.max_face} px is below the least, {min_face}', ('max_face',))
        self.strength, self.keep_gray, self.upscale, self.batch_size = strength, keep_gray, upscale, batch_size
        self.background = self._background(background, device, precision)
        self.detector = build_detector(detector, threshold, weights) if isinstance(detector, str) else detector
        self.parser = FaceParser(parser, weights, self.restorer.device) if parser else None
        self.landmarks, distances = _dlib(weights)
        self.identity = distances if identity else None

    def require_for_photos(self) -> None:
        """Refuses a model of the package that aligned faces alone suit, which all but `restore_aligned` do.

        Raises:
            OptionError: for one.
        """
        require_for_photos(self.model)

    def find(self, image: np.ndarray) -> list[FaceRecord]:
        """Finds the faces of a photograph; those that `restore` would leave alone have the reason why."""
        return self._looked_at(image, self.choice).records

    def restore(
        self,
        image: np.ndarray,
        *,
        faces: str | Sequence[int] | None = None,
        strength: float | None = None,
        progress: Progress | None = None,
    ) -> RestoredPhoto:
        """Restores one photograph.

        Args:
            image (ndarray): (H, W, 3) RGB, uint8 or uint16.
            faces, strength: In place of those of the restorer, for this photograph.
            progress (Callable | None): Is told after each step (steps done, steps): a face is two, the network and
                the pasting.

        Raises:
            OptionError: for faces or a strength that are none.
            DatasetError: as `restore_many`.
        """
        if strength is not None:
            require_strength(strength)
        item = self._looked_at(image, self.choice if faces is None else read_choice(faces))
        steps = Steps(2 * len(item.jobs), progress)
        self._restore_faces([item], steps)
        return self._put_together(item, self.strength if strength is None else strength, steps)

    def restore_many(self, images: Iterable[np.ndarray]) -> Iterator[RestoredPhoto]:
        """Restores photographs, in their order; faces of several go through the network together.

        Args:
            images (Iterable[ndarray]): (H, W, 3), uint8 or uint16, RGB. A few are read ahead.

        Yields:
            RestoredPhoto: As soon as its faces are done.

        Raises:
            DatasetError: for something that is no such image, and where there is too little memory for a face.
        """
        waiting: list[_Waiting] = []
        for image in images:
            waiting.append(self._looked_at(image, self.choice))
            faces = sum(len(item.jobs) for item in waiting)
            pixels = sum(item.photo.size // 3 for item in waiting)
            if faces >= 4 * (self.batch_size or _TOGETHER) or len(waiting) >= _WAITING or pixels > _PIXELS:
                yield from self._finished(waiting)
                waiting = []
        yield from self._finished(waiting)

    def restore_aligned(self, image: np.ndarray) -> RestoredPhoto:
        """Restores a picture that is one aligned face, and square; by default it becomes ``scale`` times larger.

        Raises:
            DatasetError: for a picture that is no square.
        """
        require_photo(image)
        height, width = image.shape[:2]
        if height != width:
            raise DatasetError(f'{width}x{height} px is no square, as an aligned face is; leave --aligned out')
        enlarged, scale = self.restorer.info.input == 'enlarged', self.restorer.scale
        own = max(width, self.sizes.trained) if enlarged else width * scale
        size = own if self.upscale is None else max(1, round(width * self.upscale))
        record = FaceRecord(1, (0.0, 0.0, float(width), float(height)), 1.0, float(width), 0.0)
        face = Face(np.array(record.box, np.float32), 1.0, np.empty((0, 2), np.float32))
        self._restore_faces([_Waiting(image, [record], [_Job(record, face, whole(height, width), size)])])
        ground = _resized(image, (size, size))
        after = record.after
        if after is None:
            return RestoredPhoto(ground, [record])
        patch = Patch(whole(size, size), after, np.ones((size, size), np.float32))
        pasted = paste(ground, [patch], self.strength, self._keeps_gray(image))
        return RestoredPhoto(pasted, [record])

    def _background(
        self, given: str | os.PathLike[str] | Restorer, device: str | torch.device | None, precision: str
    ) -> Restorer | None:
        if given == 'none' and self.upscale not in (None, 1):
            raise OptionError(
                'none enlarges nothing, and --upscale asks for it; say lanczos or a model', ('background',)
            )
        if isinstance(given, str) and given in ('none', 'lanczos'):
            return None
        return open_model(given, device=device, precision=precision, tile=_TILE, key='background')

    def _looked_at(self, photo: np.ndarray, choice: str | tuple[int, ...]) -> _Waiting:
        """The faces of a photograph, and which of them wait for the network."""
        self.require_for_photos()
        require_photo(photo)
        image = to_8_bits(photo)
        faces = find_faces(image, self.detector, self.angles)
        inside, wanted = inner_faces(faces), chosen(choice, faces, photo.shape)
        item = _Waiting(photo, [], [])
        for index, face in enumerate(faces):
            frame = frame_of('ffhq', face)
            box = tuple(round(float(value), 1) for value in face.box)
            side = round(float(frame.side), 1)
            record = FaceRecord(index + 1, box, round(face.score, 3), side, round(face.angle, 1))
            item.records.append(record)
            record.reason = self._reason(frame, INSIDE if index in inside else None, index in wanted)
            if record.reason is None:
                item.jobs.append(_Job(record, face, frame, frame.side * (self.upscale or 1)))
        return item

    def _reason(self, frame: Frame, reason: str | None, wanted: bool) -> str | None:
        """Why a face is left alone, None where it is restored."""
        if reason or not wanted:
            return reason or 'not asked for'
        if frame.side < self.min_face:
            return f'smaller than {self.min_face} px'
        if frame.side > self.max_face:
            return f'larger than {self.max_face} px, up to which the network gains; --max-face allows it'
        return None

    def _finished(self, waiting: Sequence[_Waiting]) -> Iterator[RestoredPhoto]:
        self._restore_faces(waiting)
        for item in waiting:
            yield self._put_together(item, self.strength)

    def _restore_faces(self, waiting: Sequence[_Waiting], steps: Steps | None = None) -> None:
        """Fills in ``before`` and ``after`` of all that wait."""
        records: list[FaceRecord] = []
        squares: list[np.ndarray] = []
        for item in waiting:
            for job in item.jobs:
                job.record.before = stored_square(item.photo, job.frame, self.sizes.fed(job.frame.side, job.place))
                records.append(job.record)
                squares.append(job.record.before)
        for record, after in zip(records, self.restore_squares(squares, steps), strict=True):
            record.after, record.done = after, True

    def restore_squares(self, squares: Sequence[np.ndarray], steps: Steps | None = None) -> list[np.ndarray]:
        """Aligned squares (S, S, 3) uint8 RGB of any sizes through the network, in their order; one size together."""
        batches = self._batches([square.shape[0] for square in squares])
        given = [[squares[index] for index in batch] for batch in batches]
        done: dict[int, np.ndarray] = {}
        for batch, made in zip(batches, self._made(given), strict=True):
            done.update(zip(batch, made, strict=True))
            if steps is not None:
                steps.more(len(batch))
        return [done[index] for index in range(len(squares))]

    def _batches(self, sizes: Sequence[int]) -> list[list[int]]:
        """Which faces, of so many pixels a side, go through the network together."""
        groups: dict[int, list[int]] = defaultdict(list)
        for index, size in enumerate(sizes):
            groups[size].append(index)
        found = []
        for size, indices in groups.items():
            step = self.batch_size or self._at_once(size, len(indices))
            found += [indices[start : start + step] for start in range(0, len(indices), step)]
        return found

    def _at_once(self, size: int, num: int) -> int:
        """How many of so many faces of one size go through the network together."""
        if self.restorer.device.type != 'cpu':
            return _TOGETHER
        in_caches = min(_TOGETHER, max(1, USUAL**2 // size**2))
        return min(in_caches, math.ceil(num / min(_BESIDE, torch.get_num_threads())))

    def _made(self, batches: Sequence[Sequence[np.ndarray]]) -> Iterator[list[np.ndarray]]:
        """What the network makes of each batch; on a CPU, in PyTorch, of several side by side."""
        if self.restorer.device.type != 'cpu' or isinstance(self.restorer.net, OnnxNetwork):
            return map(self._through, batches)
        pixels = max((len(batch) * batch[0].shape[0] ** 2 for batch in batches), default=1)
        return side_by_side(self._through, batches, max(1, _BESIDE * USUAL**2 // pixels))

    def _through(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Faces of one size through the network: one transfer to the device and one back, as 8 bits."""
        batch = torch.from_numpy(np.stack(images))
        try:
            with torch.no_grad():
                lq = batch.to(self.restorer.device).permute(0, 3, 1, 2).float().div_(255)
                return to_images(self.restorer.restore_batch(lq, self.restorer.info.input == 'enlarged'))
        except torch.OutOfMemoryError as err:
            if len(images) == 1:
                raise DatasetError(f'a face of {batch.shape[1]} px needs too much memory; lower --max-face') from err
        half = len(images) // 2
        return self._through(images[:half]) + self._through(images[half:])

    def _put_together(self, item: _Waiting, strength: float, steps: Steps | None = None) -> RestoredPhoto:
        ground, image = self.ground(item.photo), item.photo
        scale = np.array(ground.shape[1::-1]) / image.shape[1::-1]
        patches = []
        for job in item.jobs:
            patches.append(self._patch(job, scale))
            if steps is not None:
                steps.more(1)
        return RestoredPhoto(paste(ground, patches, strength, self._keeps_gray(image)), item.records)

    def ground(self, photo: np.ndarray) -> np.ndarray:
        """The photograph at the result's size, its faces not yet restored."""
        height, width = photo.shape[:2]
        factor = self.upscale or 1
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        if self.background is None:
            return _resized(photo, size)
        made = _in_tiles(self.background, to_8_bits(photo))
        return _resized(made if photo.dtype == np.uint8 else made.astype(np.uint16) * 257, size)

    def _keeps_gray(self, photo: np.ndarray) -> bool:
        return is_gray(photo) if self.keep_gray is None else self.keep_gray

    def _patch(self, job: _Job, scale: np.ndarray) -> Patch:
        """What is pasted of a restored face; its identity before and after is noted."""
        record = job.record
        if record.before is None or record.after is None:
            raise RuntimeError('the face has not been through the network')
        before, after = _resized(record.before, (_LOOK, _LOOK)), _resized(record.after, (_LOOK, _LOOK))
        points = self._points(before, job)
        if self.identity is not None and points is not None:
            distance = np.linalg.norm(self.identity(before, points) - self.identity(after, points))
            record.identity_distance = round(float(distance), 3)
            if distance > _TOLD_APART:
                record.warning = f'may be another person: identity distance {distance:.2f}, above {_TOLD_APART}'
        if self.parser is not None:
            mask = parsing_mask(self.parser(before))
        elif points is not None:
            mask = landmark_mask((points + 0.5) / _LOOK)
        else:
            mask = ellipse_mask()
        return Patch(job.frame.enlarged(scale), record.after, mask)

    def _points(self, aligned: np.ndarray, job: _Job) -> np.ndarray | None:
        """(68, 2) landmarks of an aligned face at _LOOK px; None without dlib."""
        if self.landmarks is None:
            return None
        five = job.frame.points(job.face.points, _LOOK).astype(np.float32)
        return self.landmarks(aligned, job.face._replace(points=five))


def _in_tiles(background: Restorer, image: np.ndarray) -> np.ndarray:
    """The photograph through a network, in tiles that are halved where they need too much memory."""
    while True:
        try:
            return background.restore(image)
        except torch.OutOfMemoryError as err:
            size = (background.tiling.size if background.tiling else max(image.shape[:2])) // 2
            size -= size % (4 * background.info.sizes.multiple_of)
            if size < _LEAST_TILE:
                raise DatasetError('its background needs too much memory even in small tiles; say lanczos') from err
            background.tiling = Tiling(size, size // 8)


def _dlib(weights: Path | None) -> tuple[DlibLandmarks | None, DlibIdentity | None]:
    """Landmarks and identity, where the extra ``faces`` is installed."""
    try:
        return DlibLandmarks(weights), DlibIdentity(weights)
    except (DependencyError, OptionError):
        return None, None


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) at a width and height: by Lanczos where it grows, by areas where it shrinks."""
    if size == image.shape[1::-1]:
        return image
    grows = size[0] >= image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_LANCZOS4 if grows else cv2.INTER_AREA)
