"""What a run and its unbroken twin have to have in common: everything but times and places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from facesr_ext.runs.run_log import read_run

OF_EACH_PROCESS = ('first_batch.png',)
"""What shows the first batch after the start of each process."""


def assert_same(one: Any, other: Any, place: str = '') -> None:
    """Asserts that nested values are equal, tensors bit for bit."""
    assert type(one) is type(other), f'{place}: {type(one)} and {type(other)}'
    if isinstance(one, dict):
        assert list(one) == list(other), f'{place}: {list(one)} and {list(other)}'
        for key in one:
            assert_same(one[key], other[key], f'{place}/{key}')
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), place
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f'{place}/{index}')
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and torch.equal(one, other), f'{place} differs'
    else:
        assert one == other or (one != one and other != other), f'{place}: {one} and {other}'


def assert_same_run(unbroken: Path, broken: Path, iterations: int) -> None:
    """Asserts that the folder of a resumed run holds what that of an unbroken one holds, and no file besides.

    Args:
        unbroken (Path): experiments/NAME of the one.
        broken (Path): Of the other.
        iterations (int): How many the log has to tell of, one line each.
    """
    wanted, found = files(unbroken), files(broken)
    assert sorted(found) == sorted(wanted)
    for name, path in wanted.items():
        if path.suffix in ('.pth', '.state'):
            one, other = (torch.load(p, map_location='cpu', weights_only=True) for p in (path, found[name]))
            assert_same(one, other, name)
        elif path.suffix in ('.csv', '.png') and path.name not in OF_EACH_PROCESS:
            assert path.read_bytes() == found[name].read_bytes(), name
    logs = [read_run(folder) for folder in (unbroken, broken)]
    steps = [[(step.iteration, step.lr, step.figures) for step in log.steps] for log in logs]
    assert steps[0] == steps[1] and [step[0] for step in steps[0]] == list(range(1, iterations + 1))
    assert logs[0].validations == logs[1].validations


def files(folder: Path) -> dict[str, Path]:
    """Every file by its place in the folder, hidden ones too; logs and the option file, one a process, do not count."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob('*')) if path.is_file()}
    return {name: path for name, path in found.items() if path.suffix not in ('.log', '.yml')}
