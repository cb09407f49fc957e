"""BasicSR's train and test pipelines: the option file is looked through, then the pipeline runs.

``python -m basicsr.train``, ``facesr train`` and ``facesr test`` all end here.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from basicsr.utils import get_root_logger
from torch import distributed

from facesr_ext.check import examine
from facesr_ext.errors import FaceSRError
from facesr_ext.host import interrupts, names
from facesr_ext.host.entry import Kind, arguments, run_root, split_arguments


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
    with arguments(argv), _told_in_the_log(module, _check_options(kind, argv)), signals:
        getattr(module, f'{kind}_pipeline')(str(run_root(module)))
    _leave_group()


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


def _check_options(kind: Kind, argv: Sequence[str]) -> list[str]:
    """Looks the option file through before anything is built; a missing argument is left to BasicSR's parser.

    Returns:
        list[str]: Warnings.

    Raises:
        OptionError: listing all findings, where one of them is an error.
    """
    args, _ = split_arguments(argv)
    if args.opt is None:
        return []
    findings = examine.check_file(args.opt, kind, args.force_yml or (), args.launcher, args.auto_resume)
    examine.refuse_faults(args.opt, findings)
    return [*filter(None, [names.note_of_taken()]), *map(str, findings)]


@contextlib.contextmanager
def _told_in_the_log(module: ModuleType, warnings: list[str]) -> Iterator[None]:
    """Logs warnings once BasicSR has opened its log, which never gets its file if anybody logs before.

    Args:
        module (ModuleType): basicsr.train or basicsr.test.
        warnings (list[str]): What to tell.
    """
    stock: Any = getattr(module, 'get_root_logger', get_root_logger)

    def tell(*args: Any, **kwargs: Any) -> Any:
        logger = stock(*args, **kwargs)
        while warnings:
            logger.warning(warnings.pop(0))
        return logger

    module.get_root_logger = tell  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.get_root_logger = stock  # type: ignore[attr-defined]
        if warnings:  # the run has ended before
            tell()
