"""Repairs of BasicSR 1.4.2, applied to the imported package; its files stay as they are.

One function per defect: its docstring says the symptom, the cause and what is done. Each looks first whether the defect
is there, by a feature and never by a version number, so that a mended BasicSR is left alone and a second call does
nothing. Only what crashes, hangs or lies is repaired; whatever would change the numbers of other people's runs is not,
but for the streams that their draws come from: without these no resumed run equals an unbroken one.

The modules that BasicSR imports and newer packages no longer have (``torchvision.transforms.functional_tensor``,
``scipy.ndimage.filters``) are supplied by the start-up hook (``_facesr_ext_boot``), since BasicSR cannot even be
imported before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from facesr_ext.host import entry, run_logs
from facesr_ext.host.repairs import device, loaders, options, parts, runner

REPAIRS: tuple[Callable[[], None], ...] = (
    *runner.REPAIRS,
    *loaders.REPAIRS,
    *device.REPAIRS,
    *parts.REPAIRS,
    run_logs.repair_loggers,
    run_logs.repair_lines,
    run_logs.repair_greeting,
    *options.REPAIRS,
)


RUNNER_REPAIRS: tuple[Callable[[dict[str, Any]], None], ...] = (
    runner.repair_resume_of,
    loaders.repair_sampler_of,
    run_logs.repair_loggers_of,
)


def apply_all() -> None:
    """Applies every repair; a second call does nothing."""
    for repair in REPAIRS:
        repair()
    entry.on_foreign_runner(_repair_copy)


def apply_what_fits() -> None:
    """Applies those repairs whose features an older BasicSR has."""
    for repair in REPAIRS:
        with contextlib.suppress(AttributeError, ImportError, KeyError, TypeError):
            repair()


def _repair_copy(names: dict[str, Any]) -> None:
    """Puts the repaired functions of basicsr.train into a runner that has copies of the stock ones."""
    for repair in RUNNER_REPAIRS:
        repair(names)
