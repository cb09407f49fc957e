"""The one table of losses: what each section of ``train:`` reads and what the log calls it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import ArchInfo, Priors
from facesr_ext.data.sources import BUILTIN
from facesr_ext.errors import KeyPath, OptionError, key_text
from facesr_ext.faces.regions import POINTS, regions_of_landmarks, regions_of_masks
from facesr_ext.host.names import registered_name
from facesr_ext.host.parts import build_part
from facesr_ext.models.batch import Batch, Output

Inputs = tuple[Any, ...] | None


@dataclass(frozen=True)
class LossSpec:
    """What a loss is called in the log, and which of :data:`READERS` gives it what it reads."""

    log: str
    reads: str = 'result'


def _landmarks(loss: Any, out: Output, batch: Batch) -> Inputs:
    return (out.landmarks, batch.heatmaps, batch.heatmap_mask) if out.landmarks and batch.heatmaps is not None else None


def _parsing(loss: Any, out: Output, batch: Batch) -> Inputs:
    return (out.parsing, batch.planes, batch.plane_mask) if out.parsing and batch.planes is not None else None


def _regions(loss: Any, out: Output, batch: Batch) -> Inputs:
    if loss.by == 'parsing' and batch.parsing is not None:
        return out.sr, batch.gt, regions_of_masks(batch.parsing, loss.regions)
    if loss.by == 'landmarks' and batch.landmarks is not None:
        height, width = out.sr.shape[-2:]
        return out.sr, batch.gt, regions_of_landmarks(batch.landmarks, loss.regions, (height, width))
    return None


READERS: dict[str, Callable[[Any, Output, Batch], Inputs]] = {
    'result': lambda loss, out, batch: (out.sr, batch.gt),
    'coarse': lambda loss, out, batch: None if out.coarse is None else (out.coarse, batch.gt),
    'landmarks': _landmarks,
    'parsing': _parsing,
    'regions': _regions,
    'reduced': lambda loss, out, batch: out.reduced,
    'again': lambda loss, out, batch: None if out.again is None else (out.again, out.sr, batch.gt),
}
"""What there is to read: a name, as a loss states it (``READS``) -> its inputs; None where they are not known."""
LOSS_TABLE: dict[str, LossSpec] = {
    'pixel_opt': LossSpec('pix'),
    'coarse_opt': LossSpec('coarse', 'coarse'),
    'content_opt': LossSpec('content'),
    'perceptual_opt': LossSpec('percep'),
    'landmark_opt': LossSpec('landmark', 'landmarks'),
    'parsing_opt': LossSpec('parsing', 'parsing'),
}
"""Keys of ``train:`` that are a loss; those of ``losses`` go by the names that the file gives them."""


@dataclass(frozen=True)
class StatedLoss:
    """A loss as it stands in the file.

    Attributes:
        key (KeyPath): Its place.
        section (Mapping): Its section.
        log (str): What the log calls it.
        reads (str): One of :data:`READERS`.
    """

    key: KeyPath
    section: Mapping[str, Any]
    log: str
    reads: str

    @property
    def weight(self) -> Any:
        """``loss_weight``; 1.0 where the section does not say."""
        return self.section.get('loss_weight', 1.0)


def _class(section: Mapping[str, Any]) -> Any:
    name = registered_name(LOSS_REGISTRY, section.get('type'))
    return {key: target for key, target in LOSS_REGISTRY}.get(str(name))  # noqa: C416 - keys() would mislead dict()


def stated_losses(train: Mapping[str, Any]) -> Iterator[StatedLoss]:
    """Every loss of ``train``, as read or as it stands in the file: those of the table, then ``losses``."""
    named = train.get('losses')
    found: list[tuple[KeyPath, Any, LossSpec]] = [(('train', k), train.get(k), spec) for k, spec in LOSS_TABLE.items()]
    for name, section in named.items() if isinstance(named, Mapping) else ():
        found.append((('train', 'losses', str(name)), section, LossSpec(str(name))))
    for place, section, spec in found:
        if section and isinstance(section, Mapping):
            own = getattr(_class(section), 'READS', 'result')
            yield StatedLoss(place, section, spec.log, own if spec.reads == 'result' else spec.reads)


def unserved_losses(
    train: Mapping[str, Any], info: ArchInfo, served: Collection[str] = frozenset(READERS)
) -> Iterator[OptionError]:
    """The losses of ``train`` whose input is never given: they would teach nothing, or the result twice.

    Args:
        train (Mapping): The section, as read or as it stands in the file.
        info (ArchInfo): Of the generator.
        served (Collection): What of :data:`READERS` the model gives. Default: all.

    Yields:
        OptionError: One for each, with its key.
    """
    given = info.priors or Priors(coarse=False)
    lacking = {
        'coarse': ('gives no coarse image', given.coarse, ''),
        'landmarks': ('predicts no landmarks', given.landmarks > 0, ', or set network_g: num_landmark'),
        'parsing': ('predicts no parsing maps', given.parsing > 0, ', or set network_g: num_parsing'),
    }
    for loss in stated_losses(train):
        what, given_it, remedy = lacking.get(loss.reads, ('', True, ''))
        if not given_it:
            remedy = remedy if info.priors is not None else ', or take a network that does, as FSRNet'
            message = f'network_g {what}, so there is nothing to compare; remove {loss.key[-1]}{remedy}'
            yield OptionError(message, loss.key)
        elif loss.reads not in served:
            yield OptionError(f'the model gives it nothing to compare ({loss.reads}); remove it', loss.key)
        elif loss.reads == 'coarse' and getattr(_class(loss.section), 'READS', 'result') != 'result':
            yield OptionError('takes a loss of two images; put this one into train: losses', loss.key)


def unlabelled_losses(train: Mapping[str, Any], dataset: Mapping[str, Any]) -> Iterator[OptionError]:
    """The losses of regions for which the training set has no labels.

    Args:
        train (Mapping): ``train:`` of the file.
        dataset (Mapping): ``datasets: train:`` of the file.

    Yields:
        OptionError: One for each, with its key.
    """
    builtin = dataset.get('dataroot_gt') == BUILTIN
    for loss in stated_losses(train):
        if loss.reads != 'regions':
            continue
        by = loss.section.get('by', 'parsing')
        source = 'landmark_file' if by == 'landmarks' else 'dataroot_parsing'
        count = dataset.get('num_landmark') or 68
        regions = loss.section.get('regions', ('eyes', 'mouth'))
        if not builtin and not dataset.get(source):
            yield OptionError(
                f'datasets: train has no {source} to know the regions by; name one (--force_yml '
                f'datasets:train:{source}=...) or remove it',
                loss.key,
            )
        elif by == 'landmarks' and not all(region in POINTS.get(count, {}) for region in regions):
            known = ', '.join(f'{num} ({", ".join(names)})' for num, names in POINTS.items())
            yield OptionError(f'regions are known of so many landmarks: {known}; not all of {count}', loss.key)


class ReadLoss(nn.Module):
    """A loss with what it reads, and its names in the log.

    Args:
        criterion (Module): The loss.
        log (str): What the log calls it.
        reads (str): One of :data:`READERS`.
        style (str): What the log calls the second value of BasicSR's pair (percep, style).
    """

    def __init__(self, criterion: nn.Module, log: str, reads: str, style: str) -> None:
        super().__init__()
        self.criterion, self.log, self.reads, self.style = criterion, log, reads, style

    def forward(self, out: Output, batch: Batch) -> dict[str, torch.Tensor]:
        """Its value, or its parts, by name; nothing where the batch does not say what it reads."""
        inputs = READERS[self.reads](self.criterion, out, batch)
        if inputs is None:
            return {}
        value = self.criterion(*inputs)
        if isinstance(value, dict):
            return {f'{self.log}_{part}': inner for part, inner in value.items()}
        pair = value if isinstance(value, tuple) else (value,)
        return {name: inner for name, inner in zip((self.log, self.style), pair, strict=False) if inner is not None}


def losses_at_fault(
    train: Mapping[str, Any], dataset: Mapping[str, Any], info: ArchInfo, served: Collection[str]
) -> Iterator[OptionError]:
    """What is wrong with the losses of ``train``, for this network, this model and these labels; see the two above.

    Yields:
        OptionError: One for each, and one where there is no loss.
    """
    yield from unserved_losses(train, info, served)
    yield from unlabelled_losses(train, dataset)
    if not any(True for _ in stated_losses(train)):
        yield no_loss()


def no_loss() -> OptionError:
    """What to say of a training without any loss."""
    return OptionError(f'there is no loss; add one of {", ".join((*LOSS_TABLE, "losses"))}', ('train',))


def build_losses(train_opt: Mapping[str, Any], device: torch.device) -> nn.ModuleDict:
    """Builds every loss that the ``train`` section names, keyed as there ('losses:fft': one of ``losses``).

    Raises:
        OptionError: for a section that cannot be built.
    """
    built = nn.ModuleDict()
    for stated in stated_losses(train_opt):
        try:
            loss = build_part(stated.key, LOSS_REGISTRY, dict(stated.section))
        except OptionError as err:  # of a file that the loss reads, it knows the argument alone
            inside = err.key[: len(stated.key)] == stated.key
            raise OptionError(err.message, err.key if inside else (*stated.key, *err.key)) from err
        style = 'style' if stated.key[-1] in LOSS_TABLE else f'{stated.log}_style'
        built[key_text(stated.key[1:])] = ReadLoss(loss, stated.log, stated.reads, style)
    return built.to(device)


def inputs_read(losses: nn.ModuleDict) -> set[str]:
    """Which of :data:`READERS` losses ask for."""
    return {loss.reads for loss in losses.values() if isinstance(loss, ReadLoss)}


def compute_losses(losses: nn.ModuleDict, out: Output, batch: Batch) -> dict[str, torch.Tensor]:
    """Every loss that can be read from the batch, each part of it by its name in the log."""
    return {name: value for loss in losses.values() for name, value in loss(out, batch).items()}


def batch_psnr(sr: torch.Tensor, gt: torch.Tensor | None) -> torch.Tensor:
    """Mean PSNR-RGB (dB) of a batch, as a tensor so that nothing waits for the device."""
    if gt is None:
        return sr.new_zeros(())
    mse = (sr.clamp(0, 1) - gt).square().flatten(1).mean(1)
    return (-10 * mse.clamp(min=1e-10).log10()).mean()
