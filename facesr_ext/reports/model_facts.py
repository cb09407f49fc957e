"""What is known of a checkpoint: from the file itself, from the folder of its training, and from who describes it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import torch

from facesr_ext.archs.arch_info import arch_info
from facesr_ext.errors import DatasetError, FaceSRError
from facesr_ext.runs.checkpoints import META_KEY, file_sha256, load_checkpoint, select_params
from facesr_ext.runs.folder import RunFolder, latest_checkpoint, run_of
from facesr_ext.runs.run_log import RunLog, read_run
from facesr_ext.runs.untrusted import build_described

BUILTIN = 'builtin'
"""``dataroot_gt`` of drawn faces."""


class Figure(NamedTuple):
    """A metric of a checkpoint on a set.

    Attributes:
        set (str): The set.
        metric (str): Its name, which says the convention.
        mean, low, high (float): Over the images, and the ends of its 95 % interval; NaN for none.
        num (int): Images.
        baseline (float): The mean of bicubic on the same images; NaN where it was not measured.
        source (str): Where that was read.
    """

    set: str
    metric: str
    mean: float
    low: float
    high: float
    num: int
    baseline: float
    source: str


class Told(NamedTuple):
    """What only a person can say; '' for nothing said.

    Attributes:
        data (str): What the network was trained on, and on which terms.
        licence (str): Of the weights, an SPDX identifier where there is one.
        author (str): Whose they are.
        url (str): Where they can be had.
    """

    data: str = ''
    licence: str = ''
    author: str = ''
    url: str = ''


@dataclass(frozen=True)
class ModelFacts:
    """A checkpoint, and all that is known of it; None for what is not.

    Attributes:
        path (Path): The file.
        size (int): Bytes.
        sha256 (str): Of the file.
        changed (date): When it was written.
        metadata (dict): What the file says of itself; empty for those of other programs.
        arch (dict | None): The ``network_g`` section.
        parameters (int | None): Of the network.
        values (int): Numbers in the weights that are used, buffers included.
        scale (int | None): LR-to-HR factor.
        input (str | None): 'small', 'enlarged' or 'hr', as :class:`~facesr_ext.archs.arch_info.ArchInfo` has it.
        run (RunLog | None): The log of the training, where the file lies in its folder.
        folder (RunFolder | None): That folder.
        told (Told): What was said with it.
    """

    path: Path
    size: int
    sha256: str
    changed: date
    metadata: Mapping[str, Any]
    arch: Mapping[str, Any] | None
    parameters: int | None
    values: int
    scale: int | None
    input: str | None
    run: RunLog | None
    folder: RunFolder | None
    told: Told

    @property
    def name(self) -> str:
        """That of the run, or of the file."""
        return str(self.metadata.get('run') or self.path.stem)

    @property
    def iteration(self) -> int | None:
        """Up to which it was trained."""
        found = self.metadata.get('iteration')
        return found if isinstance(found, int) else None

    @property
    def drawn(self) -> bool:
        """Whether it was trained on drawn faces alone."""
        return (self.metadata.get('trained_on') or {}).get('dataroot_gt') == BUILTIN

    @property
    def data(self) -> str | None:
        """What it was trained on: as was said, or as the file says, without the paths of a machine."""
        if self.told.data:
            return self.told.data
        if self.drawn:
            return 'faces drawn by facesr_ext, no photographs'
        roots = (self.metadata.get('trained_on') or {}).get('dataroot_gt')
        names = [PurePath(str(root)).name for root in (roots if isinstance(roots, list) else [roots]) if root]
        return f'images of a folder named {", ".join(names)}' if names else None

    @property
    def image_size(self) -> int | None:
        """Height and width of the HR images in training, pixels."""
        found = (self.metadata.get('trained_on') or {}).get('image_size')
        return found if isinstance(found, int) else self.number('datasets:train:gt_size')

    def option(self, key: str) -> str | None:
        """An option of the training as its log has it, None where that is not there or it is none."""
        value = None if self.run is None else self.run.options.get(key)
        return None if value in (None, 'None', '') else value

    def number(self, key: str) -> int | None:
        """The same as a whole number."""
        value = self.option(key)
        return int(value) if value is not None and value.isdecimal() else None


def read_facts(source: Path, told: Told = Told()) -> ModelFacts:
    """Gathers what is known of a checkpoint.

    Args:
        source (Path): A checkpoint, or the folder of a run, whose latest is taken.
        told (Told): What a person says of it.

    Raises:
        CheckpointError: if it is missing, damaged or holds no weights.
    """
    path = latest_checkpoint(source) if source.is_dir() else source
    content = load_checkpoint(path)
    state, _ = select_params(content, None, str(path))
    metadata = content.get(META_KEY) or {}
    arch = metadata.get('arch') or None
    parameters, own_scale, kind = _network(arch, state, str(path))
    scale = metadata.get('scale')
    folder = run_of(path)
    status = path.stat()
    return ModelFacts(
        path=path,
        size=status.st_size,
        sha256=file_sha256(path),
        changed=date.fromtimestamp(status.st_mtime),
        metadata=metadata,
        arch=arch,
        parameters=parameters,
        values=sum(value.numel() for value in state.values()),
        scale=scale if isinstance(scale, int) else own_scale,
        input=metadata.get('input') or kind,
        run=_log(folder),
        folder=folder,
        told=told,
    )


def _network(
    arch: Mapping[str, Any] | None, state: Mapping[str, torch.Tensor], path: str
) -> tuple[int | None, int | None, str | None]:
    """Parameters, scale and input of a network; None where it is not known or cannot be built here."""
    if arch is None:
        return None, None, None
    with contextlib.suppress(FaceSRError), torch.device('cpu'):
        net = build_described(('network_g',), dict(arch), state, path)
        info = arch_info(net)
        return sum(p.numel() for p in net.parameters()), info.scale if info.scale > 1 else None, info.input
    return None, None, None


def _log(folder: RunFolder | None) -> RunLog | None:
    if folder is None:
        return None
    with contextlib.suppress(DatasetError):
        return read_run(folder.path)
    return None


def known(values: Sequence[Figure]) -> list[Figure]:
    """Figures that have a mean."""
    return [figure for figure in values if not math.isnan(figure.mean)]
