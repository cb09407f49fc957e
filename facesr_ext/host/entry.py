"""The ways into BasicSR's runners: its command line, what ``python -m basicsr.train`` executes, and its options."""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from types import CodeType
from typing import Any, Literal

from facesr_ext import _hook

Kind = Literal['train', 'test']
_REPAIRS_OF_RUNNERS: list[Callable[[dict[str, Any]], None]] = []


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


@contextlib.contextmanager
def arguments(argv: Sequence[str]) -> Iterator[None]:
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
            '    from facesr_ext._hook import run_main\n'
            f'    run_main({self.facesr_ext_kind!r})\n'
        )
        return compile(source, f'<facesr_ext: python -m {fullname}>', 'exec')


def on_foreign_runner(repair: Callable[[dict[str, Any]], None]) -> None:
    """Registers a function that repairs a runner which is not the imported one, given by the names of its module."""
    if repair not in _REPAIRS_OF_RUNNERS:
        _REPAIRS_OF_RUNNERS.append(repair)


def meet_runner(names: dict[str, Any], kind: Kind) -> None:
    """Gives a runner that begins to read its options what ``python -m basicsr.train`` has: repairs and the check.

    A program that is BasicSR's own file (``python basicsr/train.py -opt ...``) is run to its end by the imported module
    in its place. One that another package has made of it (its own ``train.py``) goes on itself, with the repaired
    functions where it has copies of the stock ones; where its files go it says itself.

    Args:
        names (dict): The global names of the caller.
        kind (str): 'train' or 'test'.

    Raises:
        SystemExit: The run is over, or the check has refused the option file.
    """
    module = sys.modules[f'basicsr.{kind}']
    main = names.get('__name__') == '__main__'
    if names is vars(module) or not (main or 'load_resume_state' in names):
        return
    if main and _is_same_file(names.get('__file__'), module.__file__):
        _hook.run_to_the_end(kind)
    for repair in _REPAIRS_OF_RUNNERS if kind == 'train' else ():
        repair(names)
    if main and callable(names.get(f'{kind}_pipeline')):
        _hook.check_for(names, kind)


def _is_same_file(one: str | None, other: str | None) -> bool:
    try:
        return one is not None and other is not None and filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def read_options(
    path: str, force_yml: Sequence[str] = (), root: str | os.PathLike[str] = '.', launcher: str = 'none'
) -> dict[str, Any]:
    """The options of a training as BasicSR's runner hands them to a model.

    Args:
        path (str): The option file.
        force_yml (Sequence[str]): Overrides.
        root (str | PathLike): The folder below which the run's own folders would be; none is made.
        launcher (str): BasicSR's ``--launcher``; any but 'none' starts the group of processes.
    """
    words = ['-opt', path, '--launcher', launcher, *(['--force_yml', *force_yml] if force_yml else [])]
    with arguments(words), open(os.devnull, 'w', encoding='utf-8') as nowhere, contextlib.redirect_stdout(nowhere):
        opt, _ = sys.modules['basicsr.utils.options'].parse_options(str(root), is_train=True)
    return dict(opt)
