"""Whether memory stays what it was: 20,000 iterations of a training, or 2,000 photographs restored.

    python -m benchmarks.memory [--quick] [--iterations 20000] [--opt options/srcnn.yml] [--out FILE]
    python -m benchmarks.memory --restore PHOTO... [--files 2000]

The recipe is made small (faces of 64 px, a batch of two, validation and a checkpoint every tenth of the way), trained
by ``python -m basicsr.train``, and its resident memory read a hundred times on the way (Linux). The photographs are
restored again and again by one ``facesr restore`` of a folder. A table has tenths of the way; the last line is the
slope over the second half, after what comes once has come.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.common import OPTIONS, Table, add_output, argument_parser, told
from facesr_ext._threads import wanted
from facesr_ext.errors import FaceSRError

COLUMNS = {'after': 'd', 'MB': '.1f', 'most so far, MB': '.1f'}
_READINGS = 100
_ITERATION = re.compile(r'\[epoch:.*iter: *([\d,]+),')


def small_recipe(path: Path, iterations: int) -> dict[str, Any]:
    """An option file on small faces, which validates and saves every tenth of the way, and logs at each reading."""
    opt: dict[str, Any] = yaml.safe_load(path.read_text(encoding='utf-8'))
    opt.update(name='memory', num_gpu=0)
    opt['datasets']['train'] |= {
        'num_faces': 64, 'image_size': 64, 'batch_size_per_gpu': 2, 'num_worker_per_gpu': 0,
        'persistent_workers': False,
    }  # fmt: skip
    opt['datasets']['val'] |= {'num_faces': 2, 'image_size': 64}
    opt['train']['total_iter'] = iterations
    opt['val']['val_freq'] = iterations // 10
    opt['logger'] |= {
        'print_freq': iterations // _READINGS, 'save_checkpoint_freq': iterations // 10, 'keep_last': 2,
        'use_tb_logger': False,
    }  # fmt: skip
    return opt


def readings(opt: dict[str, Any], folder: Path) -> list[tuple[int, float]]:
    """Trains, and reads the resident memory whenever a line of the log has come: iteration, MB.

    Raises:
        FaceSRError: if the training fails; with the end of what it said.
    """
    file = folder / 'opt.yml'
    file.write_text(yaml.safe_dump(opt, sort_keys=False), encoding='utf-8')
    words = [sys.executable, '-m', 'basicsr.train', '-opt', str(file)]
    found: list[tuple[int, float]] = []
    said: list[str] = []
    pipes: dict[str, Any] = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, 'text': True}
    with subprocess.Popen(words, cwd=folder, env={**wanted(), **os.environ}, **pipes) as process:
        for line in process.stdout or ():
            said = [*said[-20:], line]
            if at := _ITERATION.search(line):
                found.append((int(at[1].replace(',', '')), resident(process.pid)))
    if process.returncode:
        raise FaceSRError(f'the training ended with {process.returncode}: {"".join(said)}')
    return found


def readings_of_restoring(photos: Sequence[Path], count: int, folder: Path) -> list[tuple[int, float]]:
    """Restores so many files, and reads the resident memory on the way: files done, MB.

    Raises:
        FaceSRError: if it fails; with the end of what it said.
    """
    given, made = folder / 'given', folder / 'made'
    given.mkdir()
    for number, photo in zip(range(count), itertools.cycle(photos), strict=False):
        shutil.copy(photo, given / f'{number:05d}{photo.suffix}')
    words = [sys.executable, '-m', 'facesr_ext', 'restore', str(given), '-o', str(made)]
    found: list[tuple[int, float]] = []
    with (folder / 'said.txt').open('wb') as said:
        pipes: dict[str, Any] = {'stdout': said, 'stderr': subprocess.STDOUT}
        with subprocess.Popen(words, cwd=folder, env={**wanted(), **os.environ}, **pipes) as process:
            while process.poll() is None:
                time.sleep(0.2)
                done = len(list(made.glob('[0-9]*'))) if made.is_dir() else 0
                if done and (not found or done - found[-1][0] >= count / _READINGS):
                    found.append((done, resident(process.pid)))
    if process.returncode:
        text = (folder / 'said.txt').read_text(encoding='utf-8', errors='replace')
        raise FaceSRError(f'facesr restore ended with {process.returncode}: {text[-2000:]}')
    return found


def resident(pid: int) -> float:
    """Memory of a process that is in use, in MB."""
    pages = int(Path(f'/proc/{pid}/statm').read_text(encoding='ascii').split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 1e6


def slope(values: list[tuple[int, float]]) -> float:
    """MB for each 1,000, by the line through all readings."""
    return 1000 * statistics.linear_regression(*zip(*values, strict=True)).slope


def main() -> None:
    """Trains, reads and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('--opt', type=Path, default=OPTIONS / 'srcnn.yml', help='recipe')
    parser.add_argument('--iterations', type=int, help='20000')
    parser.add_argument('--restore', type=Path, nargs='+', metavar='PHOTO', help='restore these, instead of a training')
    parser.add_argument('--files', type=int, help='restored; 2000')
    add_output(parser)
    args = parser.parse_args()
    iterations, files = args.iterations or (1000 if args.quick else 20000), args.files or (100 if args.quick else 2000)
    what = f'facesr restore, {files} files' if args.restore else f'{args.opt.name}, {iterations} iterations'
    table = Table(what, COLUMNS)
    with told(parser), tempfile.TemporaryDirectory() as folder:
        if args.restore:
            found = readings_of_restoring(args.restore, files, Path(folder))
        else:
            found = readings(small_recipe(args.opt, iterations), Path(folder))
    for number, (done, value) in enumerate(found, 1):
        if number in (1, len(found)) or number % max(1, len(found) // 10) == 0:
            table.add({'after': done, 'MB': value, 'most so far, MB': max(v for _, v in found[:number])})
    print(f'\nsecond half: {slope(found[len(found) // 2 :]):+.3f} MB for each 1,000')
    table.write(args.out)


if __name__ == '__main__':
    main()
