"""Processes that are killed at a moment of choice, forked from one that has imported everything: half a second each."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

_SERVER = multiprocessing.get_context('forkserver') if os.name == 'posix' else None
_IMPORTED = ['facesr_ext', 'basicsr.train', 'facesr_ext.cli.run', 'facesr_ext.cli.main', 'facesr_ext.cli.compare']
_LONGEST = 120


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


class Running:
    """A command in a process of its own, as a user's.

    Args:
        words (Sequence[str]): 'basicsr.train' and its arguments, or a command of ``facesr`` and its arguments.
        cwd (Path): Where it runs; what it writes goes to a file beside.
        threads (int): Of torch. Default: 1.
        largest (int | None): Bytes that no file may exceed. Default: any may.
        cores (int | None): On which it may run. Default: on those of this process.
    """

    def __init__(
        self,
        words: Sequence[str],
        cwd: Path,
        threads: int = 1,
        largest: int | None = None,
        cores: int | None = None,
    ) -> None:
        assert _SERVER is not None
        _SERVER.set_forkserver_preload(_IMPORTED)
        cwd.mkdir(parents=True, exist_ok=True)
        self.said = cwd.with_name(f'{cwd.name}.txt')
        self.said.unlink(missing_ok=True)
        given = (list(words), str(cwd), str(self.said), threads, largest, cores)
        self.process = _SERVER.Process(target=_work, args=given)
        self.process.start()
        while not self.said.exists() and self.process.exitcode is None:
            time.sleep(0.002)  # its first act; the very first process waits for the server's imports
        self.begin = time.perf_counter()

    def wait_for(self, path: Path) -> None:
        """Waits until a file is there.

        Raises:
            AssertionError: if the process ends without it.
        """
        while not path.exists():
            assert self.process.exitcode is None, self.said.read_text(encoding='utf-8')
            time.sleep(0.002)

    def workers(self) -> list[int]:
        """The processes that it has started."""
        pid = self.process.pid
        return [int(word) for word in Path(f'/proc/{pid}/task/{pid}/children').read_text(encoding='ascii').split()]

    def end(self, kill_after: float | None = None) -> Ended:
        """Waits for its end, or kills it (kill -9) after so many seconds."""
        self.process.join(_LONGEST if kill_after is None else kill_after)
        hung = self.process.exitcode is None
        if hung:
            self.process.kill()
            self.process.join()
        seconds = time.perf_counter() - self.begin
        status = self.process.exitcode
        self.process.close()
        said = self.said.read_text(encoding='utf-8', errors='replace') if self.said.is_file() else ''
        assert status is not None and not (hung and kill_after is None), f'it has hung: {said}'
        return Ended(status, said, seconds)


def run(words: Sequence[str], cwd: Path, kill_after: float | None = None, **how: int | None) -> Ended:
    """Runs a command to its end, or kills it (kill -9) after so many seconds; the rest is that of `Running`."""
    return Running(words, cwd, **how).end(kill_after)  # type: ignore[arg-type]


def _work(words: list[str], cwd: str, said: str, threads: int, largest: int | None, cores: int | None) -> None:
    multiprocessing.set_start_method(None, force=True)  # of its own workers: as a user's process has it
    os.chdir(cwd)
    os.environ['CUDA_VISIBLE_DEVICES'] = ''
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for handle in (1, 2):
        os.dup2(output, handle)
    sys.stdout, sys.stderr = (os.fdopen(handle, 'w', closefd=False) for handle in (1, 2))
    torch.set_num_threads(threads)
    if cores is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    if largest is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    if words[0] == 'basicsr.train':
        from facesr_ext.cli.run import run as train

        train('train', words[1:])
    else:
        from facesr_ext.cli.main import main

        main(words)
