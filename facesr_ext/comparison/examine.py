"""Everything that is wrong with a file of a comparison, at once, before anything is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from basicsr.utils.registry import ARCH_REGISTRY, METRIC_REGISTRY

from facesr_ext.check.examine import refuse_faults
from facesr_ext.comparison.draws import MEASURES, kid_column
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import FaceSRError, Finding, KeyPath, Level, hint, key_text
from facesr_ext.host.names import registered_name
from facesr_ext.host.parts import known_name, registry_names
from facesr_ext.host.source import OptionFile
from facesr_ext.metrics.metric_info import argument_conflicts, direction_faults, missing_needs
from facesr_ext.settings.comparison import CompareFile
from facesr_ext.settings.degradations import DegradationsFile
from facesr_ext.settings.reading import faults
from facesr_ext.settings.signatures import argument_faults, is_ours


def read_comparison(source: OptionFile) -> CompareFile:
    """A file of a comparison as a typed object.

    Raises:
        OptionError: naming everything that is wrong, with its line.
    """
    refuse_faults(source.name, findings(source))
    return CompareFile.model_validate(dict(source.options))


def read_degradations(source: OptionFile) -> DegradationsFile:
    """As `read_comparison`, of a file that compares degradations."""
    refuse_faults(source.name, findings(source))
    return DegradationsFile.model_validate(dict(source.options))


def is_comparison(source: OptionFile) -> bool:
    """Whether a file is one of ``facesr compare``, not of a training or a test."""
    return ('methods' in source.options or of_degradations(source)) and 'model_type' not in source.options


def of_degradations(source: OptionFile) -> bool:
    """Whether a file of a comparison compares degradations, not methods."""
    return 'degradations' in source.options and 'methods' not in source.options


def findings(source: OptionFile) -> list[Finding]:
    """What is wrong with a file, in its order."""
    if source.problems:
        return list(source.problems)
    options = dict(source.options)
    degrading = of_degradations(source)
    wrong = [(fault.key, fault.message) for fault in faults(DegradationsFile if degrading else CompareFile, options)]
    if not wrong and degrading:
        wrong = list(_degradations(DegradationsFile.model_validate(options)))
    elif not wrong:
        file = CompareFile.model_validate(options)
        wrong = [*_parts(file), *_references(file)]
    told: dict[KeyPath, Finding] = {}
    for key, message in wrong:
        told.setdefault(key, _finding('error', key, message, source))
    if not told:
        for key, problem in _needs(source.options, degrading):
            told[key] = _finding('warning', key, f'{problem}; its column stays empty', source)
    return sorted(told.values(), key=lambda finding: finding.line)


def _needs(options: Mapping[str, Any], degrading: bool) -> Iterator[tuple[KeyPath, str]]:
    """What metrics need and is not there."""
    if degrading:
        columns = [one for one in MEASURES if one.type in METRIC_REGISTRY]
        columns += [kid_column(name) for name in options.get('real') or ()]
        for one in columns:
            yield from ((('degradations', one.name), f'{one.name}: {why}') for why in missing_needs({'type': one.type}))
        return
    for name, section in options['val']['metrics'].items():
        yield from ((('val', 'metrics', name), problem) for problem in missing_needs(section))


def _degradations(file: DegradationsFile) -> Iterator[tuple[KeyPath, str]]:
    """Sections that build no degradation."""
    for name, one in file.degradations.items():
        if one.degradation is not None:
            yield from _refused(('degradations', name, 'degradation'), one.degradation, file.scale)
    for name, pool in file.real.items():
        if pool.degradation is not None:
            yield from _refused(('real', name, 'degradation'), pool.degradation, file.scale)


def _finding(level: Level, key: KeyPath, message: str, source: OptionFile) -> Finding:
    return Finding(level, message, key, source.where(key), source.line(key))


def _parts(file: CompareFile) -> Iterator[tuple[KeyPath, str]]:
    """Names and arguments of metrics, networks and degradations."""
    for name, section in file.val.metrics.items():
        yield from _part(METRIC_REGISTRY, section, ('val', 'metrics', name), ('img', 'img2', 'better'))
    for err in (*direction_faults(file.val.metrics), *argument_conflicts(file.val.metrics)):
        yield err.key, err.message
    for name, method in file.methods.items():
        if method.network_g is not None:
            yield from _part(ARCH_REGISTRY, method.network_g, ('methods', name, 'network_g'), ())
    if file.degradation is not None and file.scale is not None:
        yield from _refused(('degradation',), file.degradation, file.scale)
    for name, one in file.datasets.items():
        scale = one.scale or file.scale
        if scale is None:
            yield ('datasets', name, 'scale'), 'is missing, here and at the top of the file'
        elif one.degradation is not None:
            yield from _refused(('datasets', name, 'degradation'), one.degradation, scale)


def _part(
    registry: Any, section: dict[str, Any], key: KeyPath, given: tuple[str, ...]
) -> Iterator[tuple[KeyPath, str]]:
    """An unknown type, and arguments that it does not take."""
    try:
        kind = known_name((*key, 'type'), section.get('type'), registry_names(registry))
    except FaceSRError as err:
        yield err.key, err.message
        return
    target = dict(iter(registry))[str(registered_name(registry, kind))]
    if is_ours(target):
        yield from ((fault.key, fault.message) for fault in argument_faults(target, section, key, given))


def _refused(key: KeyPath, section: dict[str, Any], scale: int) -> Iterator[tuple[KeyPath, str]]:
    """A section that builds no degradation; a network that is not there yet is told where its set is opened."""
    try:
        build_degradation(section, scale)
    except FaceSRError as err:
        if err.key[-1:] != ('checkpoint',):
            yield (*key, *err.key[1:]), err.message


def _references(file: CompareFile) -> Iterator[tuple[KeyPath, str]]:
    """Names that point from one section to another."""
    shown, metrics = file.pictures, list(file.val.metrics)
    if shown.by is not None and shown.by not in metrics:
        yield ('pictures', 'by'), f'is no metric of val:metrics; {hint(shown.by, metrics)}'
    if shown.method is not None and shown.method not in file.methods:
        yield ('pictures', 'method'), f'is no method; {hint(shown.method, list(file.methods))}'
    for number, row in enumerate(file.published):
        if row.set is not None and row.set not in file.datasets:
            yield ('published', str(number), 'set'), f'is no set; {hint(row.set, list(file.datasets))}'
    names = [*file.datasets, *(f'{name}_stored' for name in file.datasets)]
    for name in file.datasets:
        if names.count(name) > 1:
            yield ('datasets', name), f'is also what the stored LQ of {key_text(("datasets", name[:-7]))} are called'
