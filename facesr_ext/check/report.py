"""An option file under examination: what the checks have found out, and where they report."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from basicsr.utils import registry as registries
from basicsr.utils.registry import Registry
from torch import Tensor, nn

from facesr_ext.degradations.base import Degradation
from facesr_ext.errors import FaceSRError, Finding, KeyPath, Level, closest, key_text
from facesr_ext.host.names import registered_name
from facesr_ext.host.parts import registry_names
from facesr_ext.host.registry import DEGRADATION_REGISTRY
from facesr_ext.host.source import OptionFile
from facesr_ext.settings.homes import home_of
from facesr_ext.settings.reading import Fault
from facesr_ext.settings.signatures import is_ours

Phase = Literal['train', 'test']
OUR_SECTIONS = ('degradation', 'precision', 'channels_last', 'challenge')
NEAR = 0.8
"""How near a name must be to count as misspelled where it cannot be known what else may stand there."""


@dataclass(frozen=True)
class Part:
    """A section that names a class or function.

    Attributes:
        path (KeyPath): Its place.
        section (dict): The section.
        registry (Registry): Where its ``type`` is registered.
        target (Callable | None): What is registered; None for nothing.
    """

    path: KeyPath
    section: dict[str, Any]
    registry: Registry
    target: Callable[..., Any] | None


@dataclass
class Known:
    """What checks have found out for later ones.

    Attributes:
        nets (dict): 'network_g' -> the network, on the meta device.
        samples (dict): Phase -> the first sample of its set.
        degradation (Degradation | None): What the file's section builds.
        input_size (tuple): Height and width of the network's input, () where it is not known.
    """

    nets: dict[str, nn.Module] = field(default_factory=dict)
    samples: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    degradation: Degradation | None = None
    input_size: tuple[int, ...] = ()


class Check:
    """An option file under examination.

    Attributes:
        file (OptionFile): The file.
        opt (dict): Its options.
        train (bool): It is to train, not to test.
        launcher (str): 'none', 'pytorch' or 'slurm'.
        auto_resume (bool): The run goes on from its own newest state.
        parts (list[Part]): Every section that names a class.
        ours (bool): The file names a part of facesr_ext.
        meant (set): Places that a misspelled key was meant for.
        known (Known): What checks have found out.
    """

    def __init__(self, file: OptionFile, phase: Phase, launcher: str, auto_resume: bool) -> None:
        self.file, self.opt = file, file.options
        self.train, self.launcher, self.auto_resume = phase == 'train', launcher, auto_resume
        self.parts = list(_find_parts(self))
        self.ours = any(_is_meant_as_ours(part) for part in self.parts) or any(key in self.opt for key in OUR_SECTIONS)
        self.meant: set[KeyPath] = set()
        self.known = Known()
        self._found = [
            problem if self.ours or file.is_fatal(problem) else replace(problem, level='warning')
            for problem in file.problems
        ]

    # ---- reporting ----------------------------------------------------------------------------------------------

    def error(self, path: KeyPath, message: str) -> None:
        """Reports what a run would fail of, or silently do wrong; a warning where the file is not ours."""
        self._add('error' if self.ours else 'warning', path, message)

    def warning(self, path: KeyPath, message: str) -> None:
        """Reports what deserves a look."""
        self._add('warning', path, message)

    def problem(self, err: FaceSRError, path: KeyPath = ()) -> None:
        """Reports an error at the key that it carries.

        Args:
            err (FaceSRError): What a part says of its options.
            path (KeyPath): Where the part stands, if it cannot know all of that (a set's ``val_1``) or carries no key.
        """
        inner = err.key[len(path) :] if err.key[:1] == path[:1] else err.key
        self.error((*path, *inner), err.message)

    def take(self, faults: Iterable[Fault], near_only: bool = False) -> None:
        """Reports faults of sections.

        Args:
            faults (Iterable[Fault]): What `settings.reading.faults` gives.
            near_only (bool): Of unknown keys only those that are near to a known one: the section may have others.
        """
        for fault in faults:
            if fault.kind != 'unknown':
                if fault.kind == 'value' or fault.key not in self.meant:
                    self.error(fault.key, fault.message)
            elif not (near_only or not self.ours) or (
                fault.meant and closest(fault.key[-1], (fault.meant,), NEAR) is not None
            ):
                self._take_unknown(fault)

    def _take_unknown(self, fault: Fault) -> None:
        home = home_of(fault.key[-1])
        if fault.meant:
            self.meant.add((*fault.key[:-1], fault.meant))
        elif home is not None and home != fault.key[:-1]:
            where = f'below {key_text(home)}:' if home else 'at the top of the file'
            self.error(fault.key, f'nothing reads it here; it belongs {where}')
            return
        self.error(fault.key, fault.message)

    def missing_keys(self, path: KeyPath, required: Iterable[str], reason: str) -> None:
        """Reports keys that a section must have; not those that a misspelled one was meant to be."""
        for key in required:
            if self.section(*path).get(key) is None and (*path, key) not in self.meant:
                self.error((*path, key), f'is missing; {reason}')

    def findings(self) -> list[Finding]:
        """All findings, in the order of the file."""
        return sorted(self._found, key=lambda finding: finding.line)

    def _add(self, level: Level, path: KeyPath, message: str) -> None:
        if any(finding.key == path for finding in self._found):
            return  # what is said about a key once follows in many ways
        self._found.append(Finding(level, message, path, self.file.where(path), self.file.line(path)))

    # ---- asking -------------------------------------------------------------------------------------------------

    def clean(self, *paths: KeyPath) -> bool:
        """Whether nothing has been reported at, in or around these places: what builds on them may be looked at."""
        return not any(
            finding.key[: len(path)] == path or path[: len(finding.key)] == finding.key
            for finding in self._found
            for path in paths
            if finding.level == 'error' or not self.ours
        )

    def section(self, *path: str) -> dict[str, Any]:
        """A section; an empty one where there is none."""
        section = self.file.get(path)
        return section if isinstance(section, dict) else {}

    def part(self, *path: str) -> Part | None:
        """The part that a section names, None where there is no such section."""
        return next((part for part in self.parts if part.path == path), None)

    @property
    def model(self) -> Any:
        """The class of ``model_type``, None where it is unknown."""
        part = self.part('model_type')
        return part.target if part is not None else None

    @property
    def our_model(self) -> bool:
        """Whether the model reads our sections: it states its SETTINGS."""
        return hasattr(self.model, 'SETTINGS')


def registered(registry: Registry, name: Any) -> Callable[..., Any] | None:
    """The class or function of a name, as ``Registry.get`` finds it, which prints and raises."""
    objects = {key: target for key, target in registry}  # noqa: C416 - a Registry's keys() would mislead dict()
    return objects.get(str(registered_name(registry, name))) or objects.get(f'{name}_basicsr')


def arguments_of(section: dict[str, Any]) -> dict[str, Any]:
    """What a section says beside its type, as a copy that a constructor may change."""
    return {key: deepcopy(value) for key, value in section.items() if key != 'type'}


def first_line(err: Exception) -> str:
    """What an exception of torch or BasicSR says, in one line."""
    text = str(err.args[0]) if err.args else ''  # str() of a KeyError would quote it
    return (text.strip().splitlines() or [type(err).__name__])[0]


def strings_of(cls: Any) -> set[str]:
    """Every text constant in the methods of somebody else's class: the option keys that it can read are among them."""
    found: set[str] = set()
    for base in inspect.getmro(cls) if isinstance(cls, type) else ():
        waiting = [inspect.unwrap(v).__code__ for v in vars(base).values() if inspect.isfunction(v)]
        while waiting:
            constants = waiting.pop().co_consts
            found.update(value for value in constants if isinstance(value, str))
            waiting.extend(value for value in constants if inspect.iscode(value))
    return found


def _find_parts(check: Check) -> Iterator[Part]:
    """Every section that names a registered class, by its place in the file."""
    for key in check.opt:
        if key.startswith('network_'):
            yield from _part_at(check, (key,), registries.ARCH_REGISTRY)
    for phase in check.section('datasets'):
        yield from _part_at(check, ('datasets', phase), registries.DATASET_REGISTRY)
    for key in check.section('train'):
        if key.endswith('_opt'):
            yield from _part_at(check, ('train', key), registries.LOSS_REGISTRY)
    for key in check.section('train', 'losses'):
        yield from _part_at(check, ('train', 'losses', key), registries.LOSS_REGISTRY)
    for key in check.section('val', 'metrics'):
        yield from _part_at(check, ('val', 'metrics', key), registries.METRIC_REGISTRY)
    if 'preset' not in check.section('degradation'):
        yield from _part_at(check, ('degradation',), DEGRADATION_REGISTRY)
    if isinstance(check.opt.get('model_type'), str):
        model = check.opt['model_type']
        target = registered(registries.MODEL_REGISTRY, model)
        yield Part(('model_type',), {'type': model}, registries.MODEL_REGISTRY, target)


def _part_at(check: Check, path: KeyPath, registry: Registry) -> Iterator[Part]:
    section = check.file.get(path)
    if isinstance(section, dict):
        yield Part(path, section, registry, registered(registry, section.get('type')))


def _is_meant_as_ours(part: Part) -> bool:
    """A part of facesr_ext, or a name that can only be meant as one."""
    target, name = part.target, part.section.get('type')
    if target is None and isinstance(name, str):
        target = registered(part.registry, closest(name, registry_names(part.registry)))
    return is_ours(target)
