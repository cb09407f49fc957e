"""Repairs of the runners: where they run, and how they resume."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any

from facesr_ext.host import entry, resume
from facesr_ext.host.patching import names_used

# `basicsr.train` as an attribute may be anything (the package star-imports it); the module is what sys.modules holds.
_train = sys.modules['basicsr.train']


def repair_runners() -> None:
    """Lets ``python -m basicsr.train`` and ``basicsr.test`` run the imported module, under the current directory.

    Symptom: installed by pip, runs are written into site-packages, while ``--auto_resume`` looks into ./experiments,
    finds nothing, and moves the finished run away; and no repair of basicsr.train has any effect.
    Cause: the root is the folder two levels above the file; runpy executes a second copy of the module as ``__main__``.
    Upstream: https://github.com/XPixelGroup/BasicSR/issues/679
    """
    for kind in ('train', 'test'):
        spec = sys.modules[f'basicsr.{kind}'].__spec__
        if spec is not None and not hasattr(spec.loader, 'facesr_ext_kind'):
            spec.loader = entry.RunnerLoader(spec.loader, kind)  # type: ignore[assignment, arg-type]
    # runpy warns that it will execute a module twice, which is no longer so.
    warnings.filterwarnings('ignore', r"'basicsr\.(train|test)' found in sys\.modules", RuntimeWarning)


def repair_resume() -> None:
    """Replaces basicsr.train.load_resume_state by `resume.load_resume_state`.

    Symptom: resuming on a CPU raises "Found no NVIDIA driver"; ``--auto_resume`` misses the states of an installed
    BasicSR; a half-written newest state ends the run.
    Cause: torch.cuda.current_device() without a look whether there is one; the folder is a literal.
    Upstream: https://github.com/XPixelGroup/BasicSR/issues/679, https://github.com/XPixelGroup/BasicSR/issues/64
    """
    if 'current_device' in names_used(_train.load_resume_state):  # type: ignore[attr-defined]
        functools.update_wrapper(resume.load_resume_state, _train.load_resume_state)  # type: ignore[attr-defined]
    repair_resume_of(vars(_train))


def repair_resume_of(runner: dict[str, Any]) -> None:
    """Does it in a runner, given by the names of its module."""
    if 'current_device' in names_used(runner.get('load_resume_state')):
        runner['load_resume_state'] = resume.load_resume_state


REPAIRS: tuple[Callable[[], None], ...] = (repair_runners, repair_resume)
