"""What it takes until something happens: the start-up hook, imports, ``facesr --help``, ``facesr env``, an iteration.

    python -m benchmarks.startup [--quick] [--cold] [--out FILE]

Each is a fresh process, in turns; seconds, and seconds of the processor. With ``--cold`` also with the packages' files
out of the system's cache, as far as no other process uses them (Linux).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import OPTIONS, Spent, Table, add_output, argument_parser, in_turns, spent, told
from facesr_ext.errors import FaceSRError, OptionError

FIRST = 'train, until the first iteration is done and saved'
_TRAIN = ('datasets:train:num_faces=16', 'train:total_iter=1', 'val=null', 'logger:print_freq=1')
COLUMNS = {'what': '', 's': '.3f', 'CPU s': '.3f', 'more than Python alone, s': '.3f', 'cold, s': '.3f'}
PLAIN = 'Python alone'


def commands() -> dict[str, list[str]]:
    """What is started, by what it is called."""
    facesr = ['-m', 'facesr_ext']
    train = [*facesr, 'train', '-opt', str(OPTIONS / 'quickstart.yml'), '--force_yml', *_TRAIN]
    return {
        PLAIN: ['-c', 'pass'],
        'the hook': ['-c', 'import _facesr_ext_boot; _facesr_ext_boot.autoload()'],
        'import facesr_ext': ['-c', 'import facesr_ext'],
        'import torch': ['-c', 'import torch'],
        'import basicsr, with all that we register': ['-c', 'import facesr_ext; facesr_ext.register()'],
        'facesr --help': [*facesr, '--help'],
        'facesr env': [*facesr, 'env'],
        FIRST: train,
    }


def start(words: Sequence[str], folder: Path) -> Spent:
    """One process, from its start to its end.

    Raises:
        FaceSRError: if it fails, with the end of what it has said.
    """
    env = {**os.environ, 'FACESR_EXT_AUTOLOAD': '0'}  # the hook is measured by itself

    def run() -> None:
        command = [sys.executable, *words]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise FaceSRError(f'{" ".join(words)} ended with status {done.returncode}: {done.stderr[-500:]}')

    return spent(run)


def forget(folders: Iterable[Path]) -> int:
    """Takes files out of the system's cache, as far as nobody has them mapped.

    Returns:
        int: How many there were.

    Raises:
        OptionError: where the system has no such call.
    """
    if not hasattr(os, 'posix_fadvise'):
        raise OptionError('is for Linux', ('--cold',))
    count = 0
    for path in (path for folder in folders for path in folder.rglob('*') if path.is_file()):
        with path.open('rb') as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        count += 1
    return count


def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('--only', nargs='+', choices=commands(), help='some of them, beside Python alone')
    parser.add_argument('--rounds', type=int, help='starts of each; 7')
    parser.add_argument('--cold', action='store_true', help='also without the cache; others are slower for a while')
    add_output(parser)
    args = parser.parse_args()
    rounds = args.rounds or (3 if args.quick else 7)
    chosen = {name: words for name, words in commands().items() if not args.only or name in (PLAIN, *args.only)}
    with told(parser), tempfile.TemporaryDirectory() as folder:
        runs: dict[str, Callable[[], Spent]] = {
            name: partial(start, words, Path(folder)) for name, words in chosen.items()
        }
        table = Table(f'Starts, medians of {rounds}', COLUMNS)
        values = in_turns(runs, rounds)
        base = statistics.median(value.wall for value in values[PLAIN])
        for name, found in values.items():
            wall = statistics.median(value.wall for value in found)
            row: dict[str, Any] = {'what': name, 's': wall, 'CPU s': statistics.median(value.cpu for value in found)}
            if args.cold:
                forget([Path(sysconfig.get_paths()['purelib']), OPTIONS.parent / 'facesr_ext'])
                row['cold, s'] = runs[name]().wall
            table.add({**row, 'more than Python alone, s': wall - base})
    table.write(args.out)


if __name__ == '__main__':
    main()
