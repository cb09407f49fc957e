"""The option check: everything that is wrong with an option file, at once, before anything is built.

`check_file` reads the file as data (`host.source`) and lets the checks of `sections` (what settings/ states),
`runner` (what BasicSR's runner needs), `parts` (classes and their arguments), `data` (folders and images), `fit`
(whether they suit each other) and `needs` (GT, weights of others) look at it. It speaks with force only about files
that name a part of facesr_ext; what other files say is their models' affair, so they get warnings at most.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from facesr_ext.check import data, fit, needs, parts, runner, sections
from facesr_ext.check.report import Check, Phase, first_line
from facesr_ext.errors import Finding, OptionError
from facesr_ext.host.source import OptionFile

MODULES = (sections, runner, parts, data, fit, needs)
"""In this order: each builds on what those before it have found in order."""


def check_file(
    path: str,
    phase: Phase,
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
    path: str,
    phase: Phase | None = None,
    force_yml: Sequence[str] = (),
    launcher: str = 'none',
    auto_resume: bool = False,
) -> Check:
    """The examination that :func:`check_file` reports on; without a phase a file that has ``train`` is to train."""
    file = OptionFile.read(path, force_yml)
    phase = phase or ('train' if 'train' in file.options else 'test')
    check = Check(file, phase, launcher, auto_resume)
    for module in MODULES if file.readable else ():
        for look in module.CHECKS:
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
