"""Fixtures that every test folder can use."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import facesr_ext

# One thread, here and in every process that a test starts: on tensors as small as these several threads gain nothing,
# and on a busy machine they wait for each other for minutes. Before torch is imported, which reads it once.
os.environ.setdefault('OMP_NUM_THREADS', '1')

facesr_ext.register()  # also where the start-up hook is not read

# A CI runner may start the tests as a background job, which ignores Ctrl-C and hands that on to every child.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """How often what is drawn at random is tried."""
    parser.addoption('--fuzz', type=int, default=0, metavar='N', help='N inputs of each reader in tests/fuzzing')
    parser.addoption('--faults', type=int, default=0, metavar='N', help='N kills of each kind in tests/faults')


RunPython = Callable[..., 'subprocess.CompletedProcess[str]']


@pytest.fixture(scope='session')
def run_python(tmp_path_factory: pytest.TempPathFactory) -> RunPython:
    """Runs Python in a process of its own and returns what it wrote.

    ``run_python(code_or_arguments, env=..., cwd=..., python=..., check=True)``: a str is run with ``-c``, a list is the
    command line. The process starts with one thread, no FACESR_EXT_* variables, and outside the source tree.
    """
    outside = tmp_path_factory.mktemp('cwd')

    def run(
        code: str | Sequence[str],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        python: str | Path = sys.executable,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith('FACESR_') and k != 'PYTHONPATH'}
        arguments = ['-c', code] if isinstance(code, str) else list(code)
        result = subprocess.run(
            [str(python), *arguments],
            env={**clean, 'OMP_NUM_THREADS': '1', **(env or {})},
            cwd=cwd or outside,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if check and result.returncode != 0:
            pytest.fail(f'exit status {result.returncode}\n{result.stdout}\n{result.stderr}')
        return result

    return run


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What a run's log is given."""
    lines: list[str] = []
    logger, handler = logging.getLogger('basicsr'), logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)
