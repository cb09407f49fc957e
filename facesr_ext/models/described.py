"""What a test's option file may leave out, since the checkpoint says it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from basicsr.utils import get_root_logger

from facesr_ext.errors import OptionError
from facesr_ext.runs.checkpoints import described_options
from facesr_ext.runs.folder import latest_checkpoint

_PLACE = 'pretrain_network_g'


def complete_options(opt: dict[str, Any]) -> dict[str, Any]:
    """The options of a test with what they leave out, as the checkpoint at ``path: pretrain_network_g`` says it.

    Args:
        opt (dict): The option file. ``pretrain_network_g`` may name the folder of a run, whose latest checkpoint is
            taken. What may be missing: ``network_g``, ``scale``, ``challenge``, and ``degradation`` where a data set
            has no LQ of its own.

    Returns:
        dict: Another one; the log says what was taken.

    Raises:
        OptionError: if the network or the scale is missing, and nothing says it.
        CheckpointError: if the checkpoint cannot be read.
    """
    path = opt['path'].get(_PLACE)
    if path and Path(path).is_dir():
        path = str(latest_checkpoint(path))
        opt = {**opt, 'path': {**opt['path'], _PLACE: path}}
    missing = [key for key in ('network_g', 'scale') if not opt.get(key)]
    if not opt.get('degradation') and _needs_degradation(opt):
        missing.append('degradation')
    if not missing:
        return opt
    said = described_options(path) if path else {}
    for key in missing:
        if key not in said and key != 'degradation':
            raise OptionError(_remedy(path), (key,))
    wanted = [*missing, *(['challenge'] if not opt.get('challenge') else [])]
    taken = {key: said[key] for key in wanted if key in said}
    if taken:
        shown = yaml.safe_dump(taken, default_flow_style=None, sort_keys=False, width=10**6).strip()
        get_root_logger().info(f'Taken from {path}, since the option file does not say it:\n{shown}')
    return {**opt, **taken}


def _needs_degradation(opt: Mapping[str, Any]) -> bool:
    """Whether a data set has no LQ."""
    return any(not section.get('dataroot_lq') for section in (opt.get('datasets') or {}).values())


def _remedy(path: str | None) -> str:
    if path is None:
        return f'is missing; write it, or name a checkpoint of facesr_ext that says it: path:{_PLACE}'
    return f'is missing, and {path} does not say it, since it was not written by facesr_ext; write it as it was trained'
