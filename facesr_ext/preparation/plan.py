"""What a data set is made by: every setting of ``facesr prepare``, looked at before anything is done."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from facesr_ext.errors import OptionError
from facesr_ext.faces.alignment import CropName, Kernel
from facesr_ext.faces.detection import DetectorName
from facesr_ext.faces.labels import LABEL_SETS
from facesr_ext.faces.parsing import ParserName
from facesr_ext.host.parts import known_name
from facesr_ext.runs.atomic import replaced_when_whole

Duplicates = Literal['near', 'exact', 'keep']
PLAN = 'plan.json'

_FREE = ('licence', 'weights', 'workers')
"""Settings that another run into the same folder may change: they decide nothing about the images."""


@dataclass(frozen=True)
class Plan:
    """The settings of one data set.

    Attributes:
        detector (str): 'centerface', 'retinaface', or 'none' for faces that are cropped already.
        threshold (float): The least score of a face.
        landmarks (str): 'none' or 'dlib', which refines the alignment and is written.
        crop (str): 'ffhq', 'celeba', 'fsrnet' or 'box'.
        margin (float): For 'box'.
        sizes (tuple[int, ...]): Heights and widths of the faces, pixels.
        kernel (str): 'cubic' or 'area'.
        lr (tuple[int, ...]): Factors of the LR images written beside them.
        tile (int | None): Cut tiles of that size in place of faces.
        min_face (int | None): The least side of a face's square in the photograph. Default: the largest size.
        max_face (int | None): The largest.
        max_outside (float): The share of a face's square that may lie beyond the photograph's edge.
        min_sharpness (float): By `selection.sharpness`; 0 switches it off.
        information (bool | None): Leave out images of few colours. Default: tiles alone.
        duplicates (str): 'near', 'exact' or 'keep'.
        same_person (float | None): Distance of identities under which faces stay in one split.
        split (str): Shares, counts or a file.
        masks (str | None): Folder of masks of the photographs.
        mask_labels (str): Their label set.
        fix_labels (bool): Swap pairs of the mask that have left and right confused.
        parse (str): 'none', 'bisenet' or 'parsenet'.
        store (str): 'folder' or 'lmdb'.
        licence (str): The source's terms, as the user names them.
        weights (str | None): Folder of weights.
        workers (int): Processes; 0: one a core, fewer for few files.
    """

    detector: str = 'centerface'
    threshold: float = 0.5
    landmarks: str = 'none'
    crop: str = 'ffhq'
    margin: float = 0.3
    sizes: tuple[int, ...] = (256,)
    kernel: str = 'cubic'
    lr: tuple[int, ...] = ()
    tile: int | None = None
    min_face: int | None = None
    max_face: int | None = None
    max_outside: float = 0.2
    min_sharpness: float = 7.0
    information: bool | None = None
    duplicates: str = 'near'
    same_person: float | None = None
    split: str = '8:1:1'
    masks: str | None = None
    mask_labels: str = 'celebamask19'
    fix_labels: bool = False
    parse: str = 'none'
    store: str = 'folder'
    licence: str = ''
    weights: str | None = None
    workers: int = 0

    def __post_init__(self) -> None:
        """Raises OptionError for what is no choice, out of bounds or does not go together."""
        for name, choices in self._choices().items():
            known_name((_flag(name),), getattr(self, name), choices)
        for name, low, high in _BOUNDS:
            values = getattr(self, name)
            for value in values if isinstance(values, tuple) else (values,):
                if value is not None and not low <= value <= high:
                    raise OptionError(f'{value} is not between {low} and {high}', (_flag(name),))
        self._require_together()

    @staticmethod
    def _choices() -> dict[str, tuple[str, ...]]:
        return {
            'detector': (*get_args(DetectorName), 'none'),
            'landmarks': ('none', 'dlib'),
            'crop': get_args(CropName),
            'kernel': get_args(Kernel),
            'duplicates': get_args(Duplicates),
            'mask_labels': tuple(LABEL_SETS),
            'parse': (*get_args(ParserName), 'none'),
            'store': ('folder', 'lmdb'),
        }

    def _require_together(self) -> None:
        if not self.sizes:
            raise OptionError('names no size', ('--sizes',))
        for factor in self.lr:
            odd = [size for size in self.all_sizes if size % factor]
            if odd:
                raise OptionError(f'{odd[0]} px cannot be divided by {factor}', ('--lr',))
        if self.tile and (self.landmarks != 'none' or self.masks or self.parse != 'none' or self.same_person):
            raise OptionError('tiles have no landmarks, masks or identities', ('--tile',))
        if self.masks and self.parse != 'none':
            raise OptionError('masks are given already; leave one of the two out', ('--parse',))
        for name, asked in (('landmarks', self.landmarks != 'none'), ('same_person', self.same_person)):
            if self.detector == 'none' and not self.tile and asked:
                raise OptionError('needs a detector to begin from', (_flag(name),))
        if self.max_face is not None and self.max_face < self.least:
            raise OptionError(f'{self.max_face} px is below the least, {self.least}: lower --min-face', ('--max-face',))
        if self.fix_labels and not self.masks:
            raise OptionError('there are no --masks to fix', ('--fix-labels',))

    @property
    def all_sizes(self) -> tuple[int, ...]:
        """The sizes of the images written."""
        return (self.tile,) if self.tile else self.sizes

    @property
    def least(self) -> int:
        """The least side in the photograph, pixels: nothing is enlarged unless --min-face says so."""
        return max(self.all_sizes) if self.min_face is None else self.min_face

    @property
    def wants_information(self) -> bool:
        """Whether images of few colours are left out."""
        return bool(self.tile) if self.information is None else self.information

    def settle(self, work: Path) -> None:
        """Writes itself into the folder of the work, or compares itself with the plan that is there.

        Raises:
            OptionError: if the data set there was made by other settings; it names them.
        """
        mine = json.loads(json.dumps(asdict(self)))
        file = work / PLAN
        if not file.is_file():
            work.mkdir(parents=True, exist_ok=True)
            with replaced_when_whole(file) as temporary:
                temporary.write_text(json.dumps(mine, indent=1), encoding='utf-8')
            return
        theirs = self._read(file)
        known = json.loads(json.dumps({field.name: field.default for field in fields(self)}))  # lists, as mine
        other = [
            f'{_flag(name)} {theirs.get(name, default)} (now {mine[name]})'
            for name, default in known.items()
            if name not in _FREE and theirs.get(name, default) != mine[name]
        ]
        if other:
            raise OptionError(
                f'{work.parent} was made with other settings: {", ".join(other)}; take the same, or another folder',
                ('DST',),
            )

    @staticmethod
    def _read(file: Path) -> dict[str, Any]:
        try:
            return dict(json.loads(file.read_text(encoding='utf-8')))
        except (OSError, ValueError, TypeError, RecursionError) as err:
            raise OptionError(f'{file} is damaged ({err}); take another folder', ('DST',)) from err


_BOUNDS: tuple[tuple[str, float, float], ...] = (
    ('threshold', 0.01, 1), ('margin', 0, 3), ('sizes', 8, 8192), ('lr', 2, 16), ('tile', 8, 8192),
    ('min_face', 1, 2**20), ('max_face', 1, 2**20), ('max_outside', 0, 1), ('min_sharpness', 0, 1000),
    ('same_person', 0.01, 2), ('workers', 0, 1024),
)  # fmt: skip


def _flag(name: str) -> str:
    return f'--{name.replace("_", "-")}'
