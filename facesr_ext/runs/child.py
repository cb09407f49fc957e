"""Trainings as child processes of the ordinary runner: one at a time, stopped and gone on with as one is by hand."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

_LOCK = '.lock'
_TAIL = 6
"""Lines of a log that tell why a run has failed."""
_STAMP = re.compile(r'^\d{4}-\d\d-\d\d [\d:,]+ (ERROR|WARNING): ')
_STOPPED = (130, 143, -signal.SIGINT, -signal.SIGTERM)
"""Exit statuses of a training that a signal has asked to stop."""

Tell = Callable[[str], None]


class TrainingStopped(KeyboardInterrupt):
    """A signal has ended a training; its state is saved."""


class Ended(NamedTuple):
    """How a training has ended: its exit status, below 0 where a signal has killed it, and the reason where not 0."""

    status: int
    reason: str


def run_training(opt: str, forced: Sequence[str], log: Path, lock: IO[str]) -> Ended:
    """Trains an option file to its end, or goes on with it where it was left.

    Args:
        opt (str): The option file.
        forced (Sequence[str]): What is to differ from it.
        log (Path): What the process writes is added to this file.
        lock (IO): Of `locked`; the process holds it, too.

    Raises:
        TrainingStopped: A signal has ended it; its state is saved.
    """
    words = [sys.executable, '-m', 'facesr_ext', 'train', '-opt', opt, '--auto_resume']
    words += ['--force_yml', *forced] if forced else []
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('ab') as output:
        begin = output.tell()
        more: dict[str, Any] = {'pass_fds': (lock.fileno(),)} if os.name == 'posix' else {}
        with subprocess.Popen(  # in a session of its own: Ctrl-C is handed on below, once
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **more
        ) as process:
            status = _wait(process)
    if not status:
        return Ended(0, '')
    killed = f'ended by signal {-status}; is there too little memory?\n' if status < 0 else ''
    return Ended(status, killed + _tail(log, begin))


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit status; Ctrl-C and SIGTERM have the training save, a second one ends it at once."""
    asked = False
    with _sigterm_as_interrupt():
        while True:
            try:
                status = process.wait()
                break
            except KeyboardInterrupt:
                asked = True
                process.terminate()
    if asked or status in _STOPPED:
        raise TrainingStopped('stopped; the same command goes on')
    return status


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def locked(folder: Path, tell: Tell) -> Iterator[IO[str]]:
    """A file that one command at a time holds, with the training that it has started.

    A training whose command was killed goes on by itself; the next one waits for it. On Windows nothing is locked.

    Args:
        folder (Path): Of the command's results.
        tell (Callable): Is told that there is something to wait for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open('w', encoding='utf-8') as file:
        if os.name == 'posix':
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tell(f'another process is at work on {folder}, or a training of it; waiting for its end')
                fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _tail(log: Path, begin: int) -> str:
    """The last lines of a log from a place on, without the steps of progress bars."""
    with log.open('rb') as file:
        file.seek(begin)
        text = file.read().decode('utf-8', errors='replace')
    lines = [line.rstrip().rpartition('\r')[2] for line in text.split('\n')]
    lines = [line for line in lines if line]
    errors = [i for i, line in enumerate(lines) if ' ERROR: ' in line]
    chosen = lines[errors[-1] :][:_TAIL] if errors else lines[-_TAIL:]
    return '\n'.join(_STAMP.sub('', line)[:300] for line in chosen) or 'it has written nothing'
