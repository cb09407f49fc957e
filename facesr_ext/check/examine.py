"""The option check: everything that is wrong with an option file, at once, before anything is built.

`check_file` reads the file as data (`option_file`) and lets each check of `option_sections` (BasicSR's sections),
`option_parts` (classes and their arguments), `option_data` (folders and pictures) and `option_fit` (whether they suit
each other) look at it. It speaks with force only about files that name a part of facesr_ext; what other files say is
their models' affair, so they get warnings at most.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from basicsr.utils import registry as registries
from basicsr.utils.registry import Registry

from facesr_ext.errors import FaceSRError, Finding, KeyPath, Level, OptionError, closest, hint
from facesr_ext.host.parts import registry_names
from facesr_ext.host.registry import DEGRADATION_REGISTRY
from facesr_ext.host.source import OptionFile

OUR_SECTIONS = ('degradation', 'precision', 'channels_last', 'challenge')
CHECKS = ('sections', 'parts', 'data', 'fit')


class Part(NamedTuple):
    """A section that names a class or function: its place, the registry, and what is registered (None: nothing)."""

    path: KeyPath
    section: dict[str, Any]
    registry: Registry
    target: Callable[..., Any] | None


class Check:
    """An option file under examination: what the checks read, and where they report.

    Attributes:
        file (OptionFile): The file.
        opt (dict): Its options.
        train (bool): It is to train, not to test.
        launcher (str): 'none', 'pytorch' or 'slurm'.
        auto_resume (bool): The run goes on from its own newest state.
        parts (list[Part]): Every section that names a class, found by `_find_parts`.
        ours (bool): The file names a part of facesr_ext.
        meant (set): Places that a misspelled key was meant for.
        shared (dict): What a check has found out for later ones: 'net_g' (the network), 'samples' (phase -> sample).
    """

    def __init__(self, file: OptionFile, phase: Literal['train', 'test'], launcher: str, auto_resume: bool) -> None:
        self.file, self.opt = file, file.options
        self.train, self.launcher, self.auto_resume = phase == 'train', launcher, auto_resume
        self.parts = list(_find_parts(self))
        self.ours = any(_is_ours(part) for part in self.parts) or any(key in self.opt for key in OUR_SECTIONS)
        self.shared: dict[str, Any] = {'samples': {}}
        self.meant: set[KeyPath] = set()
        self._found = [
            problem if self.ours or file.is_fatal(problem) else replace(problem, level='warning')
            for problem in file.problems
        ]

    def error(self, path: KeyPath, message: str) -> None:
        """Reports what a run would fail of, or silently do wrong; a warning where the file is not ours."""
        self._add('error' if self.ours else 'warning', path, message)

    def warning(self, path: KeyPath, message: str) -> None:
        """Reports what deserves a look."""
        self._add('warning', path, message)

    def problem(self, path: KeyPath, err: FaceSRError) -> None:
        """Reports what a part says of its options, at the key that it names or else at the section."""
        inner = err.key[len(path) :] if err.key[:1] == path[:1] else err.key
        self.error((*path, *inner), err.message)

    def clean(self, *paths: KeyPath) -> bool:
        """Whether nothing has been reported at, in or around these places: what builds on them may be looked at."""
        return not any(
            finding.key[: len(path)] == path or path[: len(finding.key)] == finding.key
            for finding in self._found
            for path in paths
            if finding.level == 'error' or not self.ours
        )

    def unknown_keys(
        self, path: KeyPath, known: Collection[str], level: Level = 'error', near_only: bool = False
    ) -> None:
        """Reports keys of a section that nothing reads, with what may have been meant.

        Args:
            path (KeyPath): The section.
            known (Collection[str]): The keys that it may have.
            level (str): How bad it is; other people's files get warnings, for near misses alone.
            near_only (bool): Report near misses alone: the section may have keys that cannot be known.
        """
        for key in self.section(*path):
            if key in known or ((near_only or not self.ours) and not closest(key, known, 0.8)):
                continue
            if meant := closest(key, known):
                self.meant.add((*path, meant))
            message = f'unknown key, nothing reads it; {hint(key, known)}'
            self._add(level if self.ours else 'warning', (*path, key), message)

    def missing_keys(self, path: KeyPath, required: Iterable[str], reason: str) -> None:
        """Reports keys that a section must have; not those that a misspelled one was meant to be."""
        for key in required:
            if self.section(*path).get(key) is None and (*path, key) not in self.meant:
                self.error((*path, key), f'is missing; {reason}')

    def section(self, *path: str) -> dict[str, Any]:
        """A section; an empty one where there is none."""
        section = self.file.get(path)
        return section if isinstance(section, dict) else {}

    def part(self, *path: str) -> Part | None:
        """The part that a section names, None where there is no such section."""
        return next((part for part in self.parts if part.path == path), None)

    def findings(self) -> list[Finding]:
        """All findings, in the order of the file."""
        return sorted(self._found, key=lambda finding: finding.line)

    def _add(self, level: Level, path: KeyPath, message: str) -> None:
        if any(finding.key == path for finding in self._found):
            return  # what is said about a key once follows in many ways
        self._found.append(Finding(level, message, path, self.file.where(path), self.file.line(path)))


def check_file(
    path: str,
    phase: Literal['train', 'test'],
    force_yml: Sequence[str] = (),
    launcher: str = 'none',
    auto_resume: bool = False,
) -> list[Finding]:
    """Looks an option file through; nothing is trained, downloaded or written.

    Args:
        path (str): The option file.
        phase (str): 'train' or 'test', what it is to be used for.
        force_yml (Sequence[str]): ``section:key=value`` overrides.
        launcher (str): BasicSR's ``--launcher``: 'none', 'pytorch' or 'slurm'.
        auto_resume (bool): BasicSR's ``--auto_resume``.

    Returns:
        list[Finding]: In the order of the file; empty where nothing is wrong.
    """
    return examine(path, phase, force_yml, launcher, auto_resume).findings()


def examine(
    path: str, phase: Literal['train', 'test'], force_yml: Sequence[str], launcher: str, auto_resume: bool
) -> Check:
    """The examination that :func:`check_file` reports on."""
    file = OptionFile.read(path, force_yml)
    check = Check(file, phase, launcher, auto_resume)
    for module in CHECKS if file.readable else ():
        for look in importlib.import_module(f'facesr_ext.check.{module}').CHECKS:
            try:
                look(check)
            except Exception as err:  # a fault of the check must not stop a run that may be right
                logging.getLogger('facesr_ext').debug('option check', exc_info=True)
                check.warning((), f'{look.__name__} did not get to its end ({type(err).__name__}: {first_line(err)})')
    return check


def refuse_faults(path: str, findings: Sequence[Finding]) -> None:
    """Stops a run that cannot go well.

    Raises:
        OptionError: listing every finding, if one of them is an error.
    """
    errors = sum(finding.level == 'error' for finding in findings)
    if errors:
        listing = '\n'.join(f'  {finding}' for finding in findings)
        raise OptionError(f'{path} cannot be used as it stands, {errors} error(s):\n{listing}')


# ---- what the checks share ----------------------------------------------------------------------------------------


def registered(registry: Registry, name: Any) -> Callable[..., Any] | None:
    """The class or function of a name, as ``Registry.get`` finds it, which prints and raises."""
    objects = {key: target for key, target in registry}  # noqa: C416 - a Registry's keys() would mislead dict()
    return objects.get(str(name)) or objects.get(f'{name}_basicsr')


def suggestion(name: Any, names: Collection[str]) -> str | None:
    """None for a known name, else 'did you mean ...?' or the list of names."""
    return None if name in names else hint(name, names)


def arguments_of(section: dict[str, Any]) -> dict[str, Any]:
    """What a section says beside its type, as a copy that a constructor may change."""
    return {key: deepcopy(value) for key, value in section.items() if key != 'type'}


def first_line(err: Exception) -> str:
    """What an exception of torch or BasicSR says, in one line."""
    text = str(err.args[0]) if err.args else ''  # str() of a KeyError would quote it
    return (text.strip().splitlines() or [type(err).__name__])[0]


def strings_of(cls: Any) -> set[str]:
    """Every text constant in the methods of a class: the option keys that it can read are among them."""
    found: set[str] = set()
    for base in inspect.getmro(cls) if isinstance(cls, type) else ():
        waiting = [inspect.unwrap(v).__code__ for v in vars(base).values() if inspect.isfunction(v)]
        while waiting:
            constants = waiting.pop().co_consts
            found.update(value for value in constants if isinstance(value, str))
            waiting.extend(value for value in constants if inspect.iscode(value))
    return found


def parameters_of(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Named parameters of a class or function, and '**' where it takes any."""
    found = inspect.signature(target).parameters
    return {'**' if p.kind is p.VAR_KEYWORD else name: p for name, p in found.items()}


def _find_parts(check: Check) -> Iterator[Part]:
    """Every section that names a registered class, by its place in the file."""
    arch, loss = registries.ARCH_REGISTRY, registries.LOSS_REGISTRY
    for key in check.opt:
        if key.startswith('network_'):
            yield from _part_at(check, (key,), arch)
    for phase in check.section('datasets'):
        yield from _part_at(check, ('datasets', phase), registries.DATASET_REGISTRY)
    for key in check.section('train'):
        if key.endswith('_opt'):
            yield from _part_at(check, ('train', key), loss)
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


def _is_ours(part: Part) -> bool:
    """A part of facesr_ext, or a name that can only be meant as one."""
    target = part.target
    if target is None and isinstance(part.section.get('type'), str):
        target = registered(part.registry, closest(part.section['type'], registry_names(part.registry)))
    return getattr(target, '__module__', '').partition('.')[0] == 'facesr_ext'
