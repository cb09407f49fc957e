"""The degradation that a command line asks for: by name, from an option file or from a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from facesr_ext.degradations.base import Degradation
from facesr_ext.degradations.learned import LearnedDegradation, read_degradation_net
from facesr_ext.degradations.presets import PRESETS, build_degradation, expanded
from facesr_ext.errors import KeyPath, OptionError
from facesr_ext.host.parts import known_name, registry_names
from facesr_ext.host.registry import DEGRADATION_REGISTRY
from facesr_ext.host.source import OptionFile, override_value
from facesr_ext.runs.folder import latest_checkpoint
from facesr_ext.settings.reading import refuse
from facesr_ext.settings.signatures import argument_faults

DEFAULT_PRESET, DEFAULT_SCALE = 'realesrgan', 4


def chosen_degradation(
    preset: str | None = None,
    option_file: Path | None = None,
    checkpoint: Path | None = None,
    scale: int | None = None,
    changes: Sequence[str] = (),
) -> Degradation:
    """Builds it.

    Args:
        preset (str | None): A name of :data:`~facesr_ext.degradations.presets.PRESETS`. Default: 'realesrgan', where
            neither of the next two is given.
        option_file (Path | None): A file with a ``degradation:`` section; its ``scale`` counts, too.
        checkpoint (Path | None): A trained :class:`~facesr_ext.archs.degradation_arch.DegradationNet`, or its run.
        scale (int | None): HR-to-LR factor where none of these states one. Default: 4.
        changes (Sequence[str]): KEY=VALUE, what of its settings is to differ; values as ``--force_yml`` reads them.

    Raises:
        OptionError: for more than one of the three, what cannot be read or built, or a scale that differs.
        CheckpointError: for a run without a checkpoint, or a damaged one.
    """
    sources = {'--preset': preset, '-opt': option_file, '--checkpoint': checkpoint}
    given = [name for name, value in sources.items() if value is not None]
    if len(given) > 1:
        raise OptionError(f'each of {" and ".join(given)} says how to degrade; give one of them')
    changed = _settings(changes)
    section, stated = _section(preset, option_file, checkpoint)
    section = {**section, **changed}
    try:
        whole = expanded(section)
        stated = whole.get('scale', stated) if stated is None or 'scale' in changed else stated
        if None not in (scale, stated) and scale != stated:
            what = f'{given[0]} {sources[given[0]]}' if given else DEFAULT_PRESET
            raise OptionError(f'is {scale}, but {what} reduces by {stated}; leave it out', ('--scale',))
        _refuse_faults(whole, changed)
        return build_degradation(section, stated or scale or DEFAULT_SCALE)
    except OptionError as err:
        raise OptionError(err.message, _given_key(err.key, changed, checkpoint is not None)) from err


def _section(preset: str | None, option_file: Path | None, checkpoint: Path | None) -> tuple[dict[str, Any], Any]:
    """A ``degradation:`` section, and the scale that its source states beside it."""
    if option_file is not None:
        return _section_of(option_file)
    if checkpoint is None:
        return {'preset': known_name(('--preset',), preset or DEFAULT_PRESET, PRESETS)}, None
    path = latest_checkpoint(checkpoint, ('--checkpoint',)) if checkpoint.is_dir() else checkpoint
    try:
        _, net = read_degradation_net(path)
    except OptionError as err:
        raise OptionError(err.message, ('--checkpoint',)) from err
    return {'type': LearnedDegradation.__name__, 'checkpoint': str(path)}, net.scale


def _section_of(option_file: Path) -> tuple[dict[str, Any], Any]:
    file = OptionFile.read(str(option_file))
    if file.problems:
        raise OptionError('\n'.join(map(str, file.problems)))
    section = file.options.get('degradation')
    if not isinstance(section, dict) or not section:
        raise OptionError(f'{option_file} has no degradation section (such as preset: realesrgan)', ('-opt',))
    return dict(section), file.options.get('scale')


def _settings(changes: Sequence[str]) -> dict[str, Any]:
    """The settings of ``--set``."""
    found: dict[str, Any] = {}
    for entry in changes:
        name, equals, text = (part.strip() for part in entry.partition('='))
        if not equals or not name:
            raise OptionError(f'{entry!r} is no setting; write KEY=VALUE, as blur_sigma=[0.2,3]', ('--set',))
        try:
            found[name] = override_value(text)
        except yaml.YAMLError as err:
            reason = str(err).split('\n')[0]
            raise OptionError(f'{text!r} is no value: {reason}', (f'--set {name}',)) from err
    return found


def _refuse_faults(whole: dict[str, Any], changed: dict[str, Any]) -> None:
    """Refuses what the degradation's signature does not have, and values of another kind."""
    kind = whole.get('type')
    if kind in registry_names(DEGRADATION_REGISTRY):
        found = argument_faults(DEGRADATION_REGISTRY.get(kind), whole, ('degradation',), ('scale',))
        refuse([replace(fault, key=_given_key(fault.key, changed, False)) for fault in found])


def _given_key(key: KeyPath, changed: dict[str, Any], network: bool) -> KeyPath:
    """Where on the command line a setting was given; as it is for one of an option file."""
    if len(key) > 1 and key[0] == 'degradation' and key[1] in changed:
        return f'--set {key[1]}', *key[2:]
    return ('--checkpoint',) if network and key == ('degradation', 'checkpoint') else key
