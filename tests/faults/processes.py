"""Processes that are killed at a moment of choice, forked from one that has imported everything: half a second each."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_SERVER = multiprocessing.get_context('forkserver') if os.name == 'posix' else None
_IMPORTED = ['facesr_ext', 'basicsr.train', 'facesr_ext.cli.run', 'facesr_ext.cli.main', 'facesr_ext.cli.compare']
_LONGEST = 240


class Ended(NamedTuple):
    """How a process has ended.

    Attributes:
        status (int): Its exit status, -9 where it was killed.
        said (str): What it wrote.
        seconds (float): How long it ran.
    """

    status: int
    said: str
    seconds: float


def run(words: Sequence[str], cwd: Path, kill_after: float | None = None) -> Ended:
    """Runs a command as its own process does, and kills it (kill -9) after so many seconds.

    Args:
        words (Sequence[str]): 'basicsr.train' and its arguments, or a command of ``facesr`` and its arguments.
        cwd (Path): Where it runs.
        kill_after (float | None): Seconds from when the process is there. Default: it may run to its end.
    """
    assert _SERVER is not None
    _SERVER.set_forkserver_preload(_IMPORTED)
    cwd.mkdir(parents=True, exist_ok=True)
    said = cwd / 'said.txt'
    said.unlink(missing_ok=True)
    process = _SERVER.Process(target=_work, args=(list(words), str(cwd)))
    process.start()
    while not said.exists() and process.exitcode is None:
        time.sleep(0.002)  # its first act; the very first process waits for the server's imports
    begin = time.perf_counter()
    process.join(_LONGEST if kill_after is None else kill_after)
    if process.exitcode is None:
        process.kill()
        process.join()
    seconds = time.perf_counter() - begin
    status = process.exitcode
    process.close()
    assert status is not None and (kill_after is not None or status != -9), 'it has hung'
    return Ended(status, said.read_text(encoding='utf-8', errors='replace') if said.is_file() else '', seconds)


def _work(words: list[str], cwd: str) -> None:
    os.chdir(cwd)
    os.environ['CUDA_VISIBLE_DEVICES'] = ''
    output = os.open('said.txt', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for handle in (1, 2):
        os.dup2(output, handle)
    sys.stdout, sys.stderr = (os.fdopen(handle, 'w', closefd=False) for handle in (1, 2))
    if words[0] == 'basicsr.train':
        from facesr_ext.cli.run import run as train

        train('train', words[1:])
    else:
        from facesr_ext.cli.main import main

        main(words)
