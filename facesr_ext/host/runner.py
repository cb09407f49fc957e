"""BasicSR's train and test pipelines, started so that runs land under the current directory.

``python -m basicsr.train`` and ``facesr train`` both end here.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Literal

from basicsr.utils import get_root_logger
from torch import distributed

from facesr_ext.errors import FaceSRError
from facesr_ext.host import interrupts

Kind = Literal['train', 'test']


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
    with _arguments(argv), _told_in_the_log(module, _check_options(kind, argv)), signals:
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


def run_root(module: ModuleType) -> Path:
    """Returns the folder under which experiments/, tb_logger/ and results/ are written.

    BasicSR takes the folder that holds its package: right for a git clone, but site-packages for a pip installation.

    Args:
        module (ModuleType): basicsr.train or basicsr.test.

    Returns:
        Path: BasicSR's own root for a clone, the current directory for an installed package.
    """
    root = Path(str(module.__file__)).resolve().parent.parent
    installed = {'site-packages', 'dist-packages'} & set(root.parts) or any(root.glob('basicsr-*.dist-info'))
    return Path.cwd() if installed else root


def split_arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Reads BasicSR's arguments as its own parser does, but demands none and refuses none.

    Args:
        argv (Sequence[str]): Arguments without the program name.

    Returns:
        tuple[Namespace, list[str]]: opt, launcher, auto_resume, debug, force_yml; and argv without ``--force_yml``.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('-opt')
    parser.add_argument('--launcher', default='none')
    parser.add_argument('--auto_resume', action='store_true')
    parser.add_argument('--debug', action='store_true')
    parser.add_argument('--local_rank', '--local-rank')
    parser.add_argument('--force_yml', nargs='+')
    args, rest = parser.parse_known_args(argv)
    kept = ['-opt', args.opt] if args.opt is not None else []
    kept += ['--launcher', args.launcher] if args.launcher != 'none' else []
    kept += ['--local_rank', args.local_rank] if args.local_rank is not None else []
    kept += [f'--{flag}' for flag in ('auto_resume', 'debug') if getattr(args, flag)]
    return args, kept + rest


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
    check = importlib.import_module('facesr_ext.host.option_check')  # it needs every part registered
    findings = check.check_file(args.opt, kind, args.force_yml or (), args.launcher, args.auto_resume)
    check.refuse_faults(args.opt, findings)
    return [str(finding) for finding in findings]


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


@contextlib.contextmanager
def _arguments(argv: Sequence[str]) -> Iterator[None]:
    """Shows argv to BasicSR's argparse, with torch's newer spelling ``--local-rank`` turned into BasicSR's.

    Upstream: https://github.com/XPixelGroup/BasicSR/issues/626
    """
    saved = sys.argv
    sys.argv = [saved[0], *(re.sub(r'^--local-rank(?=$|=)', '--local_rank', arg) for arg in argv)]
    try:
        yield
    finally:
        sys.argv = saved


class RunnerLoader:
    """Loader of basicsr.train or basicsr.test that hands runpy a call of `run` in place of the module's code.

    ``python -m basicsr.train`` makes runpy ask the imported module's loader for its code and execute it once more as
    ``__main__``: a second copy with the stock functions, which no repair of the imported module can reach.

    Args:
        loader (Any): The real loader; everything but get_code is left to it.
        kind (str): 'train' or 'test'.
    """

    def __init__(self, loader: Any, kind: Kind) -> None:
        self.facesr_ext_stock = loader
        self.facesr_ext_kind = kind

    def __getattr__(self, name: str) -> Any:
        if name == 'facesr_ext_stock':  # a half-built object (copy, pickle) would recurse for ever
            raise AttributeError(name)
        return getattr(self.facesr_ext_stock, name)

    def get_code(self, fullname: str) -> CodeType:
        """Returns what runpy executes; nothing happens in a spawned worker, which imports it as ``__mp_main__``."""
        source = (
            'if __name__ == "__main__":\n'
            '    from facesr_ext.host.runner import run\n'
            f'    run({self.facesr_ext_kind!r})\n'
        )
        return compile(source, f'<facesr_ext: python -m {fullname}>', 'exec')
