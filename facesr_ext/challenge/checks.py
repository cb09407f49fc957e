"""What makes results a submission: one good PNG for each LQ image, and nothing else."""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import cv2
import numpy as np

from facesr_ext.challenge.packages import Package
from facesr_ext.challenge.readme import README, readme_faults
from facesr_ext.data.image_io import StoredPicture, decode_stored, list_images, read_image
from facesr_ext.errors import DatasetError, Finding, Level
from facesr_ext.imaging import to_images, to_tensor
from facesr_ext.models.forward import enlarge

JUNK = ('.ds_store', 'thumbs.db', 'desktop.ini', '__macosx')
_SHOWN = 8
ANY_PIXELS = 1 << 24  # images of another size than wanted are decoded up to here, and named
_THUMBNAIL = (16, 16)
_UNLIKE = 10.0  # levels between thumbnails; GT and LQ of the 2023 edition's pairs are less than 5 apart
_ECHO = 1  # levels between a result and OpenCV's or MATLAB's bicubic of its LQ


class Format(NamedTuple):
    """How a challenge wants its archive.

    Attributes:
        folder (str): The sub-folder that holds the files; '' for none.
        readme (bool): ``readme.txt`` must be there.
    """

    folder: str
    readme: bool


FORMATS = {'ai6126': Format('results', False), 'flat': Format('', True)}
"""AI6126's scorer descends into the single sub-folder; NTIRE and the like want everything at the top."""


class Task(NamedTuple):
    """What is to be handed in.

    Attributes:
        lq (dict): Name of each result -> its LQ image.
        scale (int): LR-to-HR factor.
    """

    lq: dict[str, Path]
    scale: int


def read_task(lq_dir: Path, scale: int) -> Task:
    """What a folder of LQ images asks for: for each a PNG of its name.

    Raises:
        DatasetError: if the folder is missing or empty, or two images would have one result.
    """
    lq: dict[str, Path] = {}
    for name in list_images(lq_dir, ('LQ',)):
        result = f'{PurePosixPath(name).stem}.png'
        if result in lq:
            raise DatasetError(f'LQ: {lq[result]} and {lq_dir / name} would both be {result}; rename or remove one')
        lq[result] = lq_dir / name
    return Task(lq, scale)


def without_suffix(names: Iterable[str], task: Task) -> dict[str, str]:
    """What results of ``basicsr.test`` are to be called: all end in the same suffix, '_' and the run's name.

    Args:
        names (Iterable[str]): Files of a folder; a ``readme.txt`` is none of them.
        task (Task): What is asked for.

    Returns:
        dict: The result's name -> its file; empty where a file has no such suffix, or they are not of one.
    """
    files = [name for name in names if name != README]
    stems = {PurePosixPath(name).stem: name for name in task.lq}
    first = PurePosixPath(files[0]).stem if files else ''
    for suffix in sorted({first[len(stem) :] for stem in stems if first.startswith(f'{stem}_')}, key=len):
        found = {stems.get(file.removesuffix(f'{suffix}.png'), ''): file for file in files if file.endswith('.png')}
        if '' not in found and len(found) == len(files):
            return found
    return {}


def findings_in(package: Package, task: Task, layout: Format) -> list[Finding]:
    """Everything that is wrong with a submission.

    Args:
        package (FolderPackage | ZipPackage): What is to be handed in. A ``folder`` of the layout is of any name.
        task (Task): What is asked for.
        layout (Format): How.

    Returns:
        list[Finding]: Errors forbid handing in, warnings deserve a look; those of one kind are one finding.
    """
    faults, files = _sort_files(package.names, bool(layout.folder))
    given = {name: path for name, path in files.items() if name != README}
    faults += _name_faults(given, task)
    if README in files:
        faults += _errors(readme_faults(package.read(files[README])))
    elif layout.readme:
        faults += _errors([f'{README} is missing'])
    images = _Images(package, task)
    for name in sorted(given.keys() & task.lq.keys()):
        images.look(name, given[name])
    return [*_errors(package.faults), *faults, *images.findings()]


def _errors(messages: Iterable[str]) -> list[Finding]:
    return [Finding('error', message) for message in messages]


def _sort_files(names: Iterable[str], nested: bool) -> tuple[list[Finding], dict[str, str]]:
    """Faults of the layout, and the files where they belong: bare name -> path."""
    wrong: dict[str, list[str]] = defaultdict(list)
    files: dict[str, str] = {}
    folders: set[str] = set()
    depth = 2 if nested else 1
    for path in names:
        parts = PurePosixPath(path).parts
        if any(part.lower() in JUNK or part.startswith('._') for part in parts):
            wrong['stray file of an operating system, remove it'].append(path)
        elif len(parts) > depth:
            wrong['folder inside the folder of results' if nested else 'in a sub-folder'].append(path)
        elif len(parts) < depth:
            wrong['beside the sub-folder that holds the results'].append(path)
        else:
            files[parts[-1]] = path
            folders.update(parts[:-1])
    faults = _told(wrong)
    if len(folders) > 1:
        faults += _errors([f'{len(folders)} sub-folders ({", ".join(sorted(folders))}); all results belong into one'])
    return faults, files


def _name_faults(given: dict[str, str], task: Task) -> list[Finding]:
    """Results that are missing, and files that are no result."""
    wrong: dict[str, list[str]] = defaultdict(list)
    stems = {PurePosixPath(name).stem.lower(): name for name in task.lq}
    for name, path in given.items():
        if name in task.lq:
            continue
        twin = stems.get(PurePosixPath(name).stem.lower())
        near = next((stem for stem in stems if PurePosixPath(name).stem.lower().startswith(f'{stem}_')), None)
        if twin:
            wrong['wrong name, results are called as their LQ image, with .png'].append(f'{path} (for {twin})')
        elif near:
            wrong['wrong name, a suffix is too much (rename, or val: suffix)'].append(f'{path} (for {stems[near]})')
        else:
            wrong['no LQ image is called so, remove or rename it'].append(path)
    missing = sorted(task.lq.keys() - given.keys())
    if missing:
        wrong[f'missing, {len(task.lq) - len(missing)} of {len(task.lq)} results are there'] = missing
    return _told(wrong)


class _Images:
    """The images of a submission, looked at one after the other."""

    def __init__(self, package: Package, task: Task) -> None:
        self.package, self.task = package, task
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.warnings: dict[str, list[str]] = defaultdict(list)
        self.seen: dict[bytes, list[str]] = defaultdict(list)

    def look(self, name: str, path: str) -> None:
        """Takes down what is wrong with one result."""
        try:
            data = self.package.read(path)
            lq = read_image(self.task.lq[name])
            height, width = (side * self.task.scale for side in lq.shape[:2])
            image = decode_stored(data, path, most_pixels=max(ANY_PIXELS, height * width))
        except DatasetError as err:
            self.faults['damaged or no image'].append(f'{path} ({err.__cause__ or err})')
            return
        faults = list(_form_faults(image, (height, width))) or list(_content_faults(image.rgb, lq))
        for fault in faults:
            self.faults[fault].append(path)
        if faults:
            return
        if _is_bicubic(image.rgb, lq):
            self.warnings['bicubic enlargement of the LQ, nothing else'].append(path)
        self.seen[hashlib.sha256(image.rgb.tobytes()).digest()].append(path)

    def findings(self) -> list[Finding]:
        """What was taken down, and results that equal each other."""
        twins = (_few(paths) for paths in self.seen.values() if len(paths) > 1)
        alike = [Finding('warning', f'the same image: {paths}') for paths in twins]
        return [*_told(self.faults), *alike, *_told(self.warnings, 'warning')]


def _form_faults(image: StoredPicture, size: tuple[int, int]) -> Iterator[str]:
    """How an image is stored, and its size."""
    if image.format != 'PNG':
        yield f'{image.format} under the name of a PNG'
    elif image.bits != 8:
        yield f'{image.bits} bits a channel, not 8'
    kinds = {'L': 'grey', 'LA': 'grey with alpha', 'RGBA': 'with alpha', 'P': 'palette', '1': 'black and white'}
    if image.mode != 'RGB':
        yield f'not RGB but {kinds.get(image.mode, "of another kind")} (mode {image.mode})'
    height, width = image.rgb.shape[:2]
    if (height, width) != size:
        yield f'{width}x{height} px, must be {size[1]}x{size[0]} px'


def _content_faults(result: np.ndarray, lq: np.ndarray) -> Iterator[str]:
    """Whether a result (H, W, 3) can come from its LQ (h, w, 3), both uint8 RGB."""
    if (result == result[:1, :1]).all():
        if not (lq == lq[:1, :1]).all():
            yield 'of one colour throughout'
        return
    small, wanted = (cv2.resize(img, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(float) for img in (result, lq))
    distance, swapped = (np.abs(small - other).mean() for other in (wanted, wanted[..., ::-1]))
    if distance > _UNLIKE:
        yield 'red and blue are swapped' if swapped < distance / 2 else 'does not show what its LQ shows'


def _is_bicubic(result: np.ndarray, lq: np.ndarray) -> bool:
    opencv = cv2.resize(lq, result.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    matlab = to_images(enlarge(to_tensor(lq)[None], result.shape[0] // lq.shape[0]))[0]
    return any(cv2.absdiff(result, echo).max() <= _ECHO for echo in (opencv, matlab))


def _told(found: dict[str, list[str]], level: Level = 'error') -> list[Finding]:
    """One finding for each kind."""
    return [Finding(level, f'{kind}: {_few(names)}') for kind, names in found.items()]


def _few(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ', '.join(itertools.islice(names, _SHOWN)) + (f' and {more} more' if more > 0 else '')
