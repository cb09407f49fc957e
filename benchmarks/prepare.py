"""``facesr prepare``: images a second on one and two processes, where time goes, how the search for copies grows.

    python -m benchmarks.prepare FOLDER [--num 400] [--size 128] [--detector centerface] [--prints 1000 10000 100000]

Images of the folder are made into a data set in a temporary folder, by one process and by two; seconds include the
start of the workers, the search for copies and the writing. The parts are of one process, shares of its CPU time.

The search is timed on fingerprints of fields of 13 x 13 that are smooth as photographs are, each with its 22 looks; one
in a hundred is the copy of another with 12 bits changed. ``growth`` is the factor of time for that of number: 10 would
be linear, 100 quadratic.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.common import argument_parser, time_of_parts, timed
from facesr_ext.data.image_io import list_images
from facesr_ext.preparation.find import Found
from facesr_ext.preparation.fingerprints import BITS, SIDE, candidates
from facesr_ext.preparation.plan import Plan
from facesr_ext.preparation.process import Processor
from facesr_ext.preparation.run import prepare

LOOKS = 22
PARTS = {
    'read': 'find.read_photo', 'find': 'process._parts', 'cut out': 'alignment.cut', 'measure': 'selection.sharpness',
    'fingerprint': 'fingerprints.looks', 'write': 'process._stage',
}  # fmt: skip
"""What a part is called, and the function of the package that does it."""


def print_speed(files: list[Path], plan: Plan) -> None:
    """Images a second of the whole way."""
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            run = Plan(**{**vars(plan), 'workers': workers})
            seconds = timed(lambda run=run, folder=folder: prepare(files, Path(folder) / 'set', run), 'cpu')  # type: ignore[misc]
        print(f'{workers} process{"es" * (workers > 1):2} {len(files) / seconds:7.1f} images/s ({seconds:.1f} s)')


def print_parts(files: list[Path], plan: Plan) -> None:
    """Where the time of one image goes, without start, search for copies and manifest."""
    with tempfile.TemporaryDirectory() as folder:
        processor = Processor(plan, Path(folder))

        def process() -> None:
            for path in files:
                processor(Found(path, path.name))

        spent = time_of_parts(process, {**PARTS, 'whole': 'process.__call__'}, time.process_time)
    whole = spent.pop('whole')
    print(f'CPU of an image: {1000 * whole / len(files):.1f} ms')
    for part, seconds in spent.items():
        print(f'  {part:12} {seconds / whole:6.1%}')


def drawn_prints(num: int, rng: np.random.Generator) -> np.ndarray:
    """(num, 22, 22) uint8: looks of smooth fields; the last hundredth are copies of the first with 12 bits changed."""
    fields = rng.standard_normal((num, SIDE, SIDE + 1), np.float32)
    smooth = gaussian_filter(fields, (0, 1.5, 1.5)) + 0.02 * fields
    bits = (smooth[:, :, 1:] > smooth[:, :, :-1]).reshape(num, BITS)
    copies = max(1, num // 100)
    bits[-copies:] = bits[:copies]
    for row in bits[-copies:]:
        row[rng.choice(BITS, 12, replace=False)] ^= True
    out = np.empty((num, LOOKS, -(-BITS // 8)), np.uint8)
    out[:, 0] = np.packbits(bits, axis=1)
    for look in range(1, LOOKS):  # cut off a little, or mirrored
        changed = bits ^ (rng.random((num, BITS), np.float32) < 0.1)
        turned = changed.reshape(num, SIDE, SIDE)[:, :, :: 1 if look < LOOKS // 2 else -1].reshape(num, BITS)
        out[:, look] = np.packbits(turned if look < LOOKS // 2 else ~turned, axis=1)
    return out


def print_search(numbers: list[int]) -> None:
    """CPU seconds of the search for copies, and how they grow."""
    before: tuple[int, float] | None = None
    for num in numbers:
        looks = drawn_prints(num, np.random.default_rng(0))
        start = time.process_time()
        pairs = candidates(looks[:, 0], looks)
        seconds, copies = time.process_time() - start, max(1, num // 100)
        found = {tuple(pair) for pair in pairs.tolist()}
        planted = sum((index, num - copies + index) in found for index in range(copies))
        told = f'{planted} of {copies} copies found, {len(pairs)} pairs'
        growth = f', growth {seconds / before[1]:.1f} for {num / before[0]:.0f}' if before else ''
        print(f'{num:8} fingerprints {seconds:7.1f} s of CPU, {told}{growth}')
        before = num, seconds


def main() -> None:
    """Prints what the head of this file says."""
    parser = argument_parser(__doc__)
    parser.add_argument('folder', type=Path, nargs='?', help='photographs; without it the search alone is timed')
    parser.add_argument('--num', type=int, default=400)
    parser.add_argument('--size', type=int, default=128)
    parser.add_argument('--detector', default='centerface')
    parser.add_argument('--prints', type=int, nargs='*', default=[1000, 10000, 100000])
    args = parser.parse_args()
    if args.folder:
        names = list_images(args.folder)
        files = [args.folder / name for name in names[:: max(1, len(names) // args.num)][: args.num]]
        plan = Plan(detector=args.detector, sizes=(args.size,), crop='box', min_face=args.size // 2)
        print_speed(files, plan)
        print_parts(files, plan)
    print_search(args.prints)


if __name__ == '__main__':
    main()
