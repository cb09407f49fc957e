"""BasicSR's train and test pipelines: the option file is looked through, then the pipeline runs.

``python -m basicsr.train``, ``python basicsr/train.py``, ``facesr train`` and ``facesr test`` all end here.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from basicsr.utils import get_root_logger
from torch import distributed

from facesr_ext.check import examine, needs
from facesr_ext.errors import FaceSRError, disk_fault
from facesr_ext.host import interrupts, loading, names, run_lock
from facesr_ext.host.entry import Kind, arguments, split_arguments
from facesr_ext.host.workers import is_lost_worker

Note = tuple[int, str]
"""What is to be told in the log: level and text."""


def run(kind: Kind, argv: Sequence[str] | None = None) -> None:
    """Entry of a process: runs a pipeline and turns a user's error into one message and exit status 2.

    Args:
        kind (str): 'train' or 'test'.
        argv (Sequence[str] | None): BasicSR's arguments without the program name; None takes those of the process.

    Raises:
        SystemExit: With status 2 after a FaceSRError, which has been logged; with 130 or 143 where Ctrl-C or SIGTERM
            has ended a training after it was saved.
    """
    try:
        run_pipeline(kind, argv)
    except FaceSRError as err:
        get_root_logger().error(str(err))
        raise SystemExit(2) from None
    except interrupts.RunInterrupted as err:
        raise SystemExit(err.status) from None


def run_pipeline(kind: Kind, argv: Sequence[str] | None = None) -> None:
    """Runs ``train_pipeline`` or ``test_pipeline`` of the imported (and so repaired) BasicSR.

    Args:
        kind (str): 'train' or 'test'.
        argv (Sequence[str] | None): BasicSR's arguments without the program name; None takes those of the process.

    Raises:
        FaceSRError: The user can mend it.
        RunInterrupted: A signal has ended a training of ours; its state is saved.
    """
    module = importlib.import_module(f'basicsr.{kind}')
    argv = sys.argv[1:] if argv is None else argv
    signals = interrupts.watched() if kind == 'train' else contextlib.nullcontext()
    notes = [(logging.INFO, f'This run writes below the current directory, {Path.cwd()}.'), *_check_options(kind, argv)]
    with arguments(argv), _told_in_the_log(vars(module), notes), signals, run_lock.released(), _faults_named(kind):
        getattr(module, f'{kind}_pipeline')(os.getcwd())
    _leave_group()


@contextlib.contextmanager
def _faults_named(kind: Kind) -> Iterator[None]:
    """A disk and a machine that fail end a run with a message, not with a traceback."""
    remedy = 'What was saved is whole: go on with --auto_resume.' if kind == 'train' else 'Then test again.'
    try:
        yield
    except OSError as err:
        fault = disk_fault(err)
        if fault is None:
            raise
        raise FaceSRError(f'{fault} {remedy}') from err
    except RuntimeError as err:
        if not is_lost_worker(err):
            raise
        raise FaceSRError(
            f'{err}\nA process that reads images has ended: was it killed for memory, or is /dev/shm too small? Set '
            f'num_worker_per_gpu lower. {remedy}'
        ) from err


def check_for(runner: dict[str, Any], kind: Kind) -> None:
    """Has the option file checked for a main program of another package, which tells the warnings in its own log.

    Args:
        runner (dict): The global names of the program.
        kind (str): 'train' or 'test'.

    Raises:
        SystemExit: With status 2 where the check refuses the file, which has been logged.
    """
    try:
        notes = _check_options(kind, sys.argv[1:])
    except FaceSRError as err:
        get_root_logger().error(str(err))
        raise SystemExit(2) from None
    if notes:
        _make_teller(runner, notes)


def _leave_group() -> None:
    """Ends the group of processes, if there is one, once the first process has validated for the last time.

    Without it some processes abort at their exit (gloo's threads outlive the interpreter), and so they do where a
    network still holds the group: the model is gone only after its reference cycles have been collected.
    Upstream: https://github.com/pytorch/pytorch/pull/179291
    """
    if distributed.is_available() and distributed.is_initialized():
        gc.collect()
        distributed.barrier()
        distributed.destroy_process_group()


def _check_options(kind: Kind, argv: Sequence[str]) -> list[Note]:
    """Looks the option file through before anything is built; a missing argument is left to BasicSR's parser.

    Returns:
        list: Warnings and what ``auto`` is, for the log.

    Raises:
        OptionError: listing all findings, where one of them is an error.
        DependencyError: for weights of a loss that are nowhere and cannot be downloaded.
    """
    args, _ = split_arguments(argv)
    if args.opt is None:
        return []
    seen = examine.examine(args.opt, kind, args.force_yml or (), args.launcher, args.auto_resume)
    findings = seen.findings()
    examine.refuse_faults(args.opt, findings)
    needs.fetch_weights(seen)
    notes = [(logging.WARNING, str(told)) for told in (names.note_of_taken(), *findings) if told is not None]
    workers = loading.workers_note(seen.opt, args.launcher != 'none')
    return notes if workers is None else [*notes, (logging.INFO, workers)]


@contextlib.contextmanager
def _told_in_the_log(runner: dict[str, Any], notes: list[Note]) -> Iterator[None]:
    """Logs notes once BasicSR has opened its log, which never gets its file if anybody logs before.

    Args:
        runner (dict): The names of the module whose pipeline runs, basicsr.train for example.
        notes (list): What to tell.
    """
    stock, tell = _make_teller(runner, notes)
    try:
        yield
    finally:
        runner['get_root_logger'] = stock
        if notes:  # the run has ended before
            tell()


def _make_teller(runner: dict[str, Any], notes: list[Note]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Has a runner's get_root_logger tell notes at its first call; returns the stock function and the new one."""
    stock: Any = runner.get('get_root_logger', get_root_logger)

    def tell(*args: Any, **kwargs: Any) -> Any:
        logger = stock(*args, **kwargs)
        while notes:
            logger.log(*notes.pop(0))
        return logger

    runner['get_root_logger'] = tell
    return stock, tell
