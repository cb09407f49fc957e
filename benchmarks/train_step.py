"""The whole training iteration of an option file: BasicSR's own code against ours, in turns, and what is the least.

    python -m benchmarks.train_step [--quick] [--nets NAFSR ...] [--px 64 128] [--threads 1 2] [--device cpu]

An iteration reads faces from PNG files, degrades them (BasicSR reads a stored LQ; Real-ESRGAN's model makes it), goes
forward and backward, steps the optimiser, averages the weights and gives the figures of the log. Each side is a process
of its own; they take turns, and every other round the other one begins. BasicSR's is its own model and data set, with
the repairs without which they do not run on a CPU, with the same network class, losses and optimiser; losses of inner
results (FSRNet's coarse image and prior) and a limit of the gradient it does not have. SRGAN is trained on pixels and
its discriminator, without VGG. Both are given a batch of two, RRDBNet one.

`px` is the side of what the network takes: the small image, FSRNet's at its final size. `floor` is the least time that
the iteration could take: the multiply-adds at the speed of the fastest convolution or product, or the memory that has
to be moved at the speed of a copy, whichever takes longer, measured in the same process. What lies between is the rest
of `networks`, and the columns of parts (ms).
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest.mock import patch

from benchmarks.common import OPTIONS, Spent, Table, add_device, add_output, argument_parser, in_turns, ratio, told
from benchmarks.train_sides import BASICSR, COMPILED, Case, Floor, Side
from facesr_ext._threads import wanted
from facesr_ext.errors import FaceSRError


class Net(NamedTuple):
    """A recipe: its batch, a degradation instead of the file's, and the largest size that both sides can take."""

    recipe: str
    batch: int = 2
    preset: str | None = None
    largest: int = 1024


NETS = {
    'MSRResNet': Net('realesrfsr_msrresnet', preset='bicubic_x4'),
    'NAFSR': Net('nafsr', batch=4),
    'FSRNet fast': Net('fsrnet_fast', batch=16),
    'FSRNet': Net('fsrnet', batch=4),
    'SRGAN': Net('srgan'),
    'RRDBNet': Net('rrdbnet_psnr', batch=1),
    'MSRResNet, Real-ESRGAN': Net('realesrfsr_msrresnet', largest=100),  # its data set cuts images to 400 px
}
QUICK = ('MSRResNet', 'NAFSR', 'FSRNet fast')
PRECISIONS = ('fp32', 'bf16', f'bf16{COMPILED}')
COLUMNS = {
    'network': '', 'px': 'd', 'batch': 'd', 'threads': 'd', 'precision': '', 'BasicSR, s': '.3f', 'ours, s': '.3f',
    'ratio': '', 'BasicSR, CPU s': '.3f', 'ours, CPU s': '.3f', 'ratio of CPU s': '', 'floor': '.3f',
    'above it': '.1f', 'data': '.1f', 'degradation': '.1f', 'networks': '.1f', 'optimiser': '.1f', 'EMA': '.1f',
    'log': '.1f',
}  # fmt: skip
PARTS = ('data', 'degradation', 'networks', 'optimiser', 'EMA', 'log')


class Worker:
    """A process that holds one side at a time.

    Args:
        variables (Mapping): Environment variables that it has besides. Default: none.
    """

    def __init__(self, variables: Mapping[str, str] = MappingProxyType({})) -> None:
        context = multiprocessing.get_context('spawn')
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other,))  # no daemon: it may load by processes of its own
        with patch.dict(os.environ, variables):
            self._process.start()
        other.close()

    def ask(self, what: str, *given: Any) -> Any:
        """Has it build a `Side` ('build'), or call one of its methods.

        Raises:
            FaceSRError: What went wrong there.
        """
        self._pipe.send((what, given))
        try:
            made = self._pipe.recv()
        except EOFError:
            raise FaceSRError(f'a process of the benchmark has ended in {what}: out of memory?') from None
        if isinstance(made, _Failure):
            raise FaceSRError(f'{what}: {made.text}')
        return made

    def end(self) -> None:
        """Ends the process."""
        self._pipe.close()
        self._process.join()


class _Failure(NamedTuple):
    text: str


def _serve(pipe: Connection) -> None:
    side: Side | None = None
    while True:
        try:
            what, given = pipe.recv()
        except EOFError:
            return
        try:
            if what == 'build':
                side = None  # its memory first
                side, made = Side(*given), None
            else:
                made = getattr(side, what)(*given)
        except Exception:  # noqa: BLE001 - whatever it is, the process that asked has to say it
            made = _Failure(traceback.format_exc())
        pipe.send(made)


@contextmanager
def workers(names: Sequence[str]) -> Iterator[dict[str, Worker]]:
    """A process for each side. BasicSR's has none of the settings that ours makes where a process begins."""
    started: dict[str, Worker] = {}
    try:
        for name in names:
            started[name] = Worker({} if name == BASICSR else wanted())
        yield started
    finally:
        for worker in started.values():
            worker.end()


def compare(cases: dict[str, Case], pool: dict[str, Worker], folder: Path, limits: tuple[int, float]) -> Iterator[Any]:
    """Rows of one network, size and number of threads: a precision each.

    Args:
        cases (dict): BASICSR and the precisions -> what they train.
        pool (dict): The same -> process.
        folder (Path): For files.
        limits (tuple): Rounds, and seconds after which no further one begins.
    """
    for name, case in cases.items():
        pool[name].ask('build', case, name == BASICSR, folder)
    runs: dict[str, Callable[[], Spent]] = {name: partial(pool[name].ask, 'iterate') for name in cases}
    values = in_turns(runs, *limits)
    parts = {name: pool[name].ask('parts') for name in cases}
    theirs = values.pop(BASICSR)
    for precision, ours in values.items():
        floor: Floor = pool[precision].ask('floor')
        yield _row(cases[precision], theirs, ours, floor) | {
            **{part: 1000 * parts[precision].get(part, 0.0) for part in PARTS},
            'parts of BasicSR': {part: 1000 * parts[BASICSR].get(part, 0.0) for part in PARTS},
        }


def _row(case: Case, theirs: Sequence[Spent], ours: Sequence[Spent], floor: Floor) -> dict[str, Any]:
    row: dict[str, Any] = {'px': case.px, 'threads': case.threads, 'precision': case.precision, 'batch': case.batch}
    for kind, mark in (('wall', ''), ('cpu', 'CPU ')):
        first, second = ([getattr(value, kind) for value in values] for values in (theirs, ours))
        row |= {f'{BASICSR}, {mark}s': statistics.median(first), f'ours, {mark}s': statistics.median(second)}
        row['ratio of CPU s' if mark else 'ratio'] = ratio(first, second)
    least = floor.seconds
    above = row['ours, CPU s' if case.device == 'cpu' else 'ours, s'] / least
    return row | {'floor': least, 'above it': above, 'of the floor': floor._asdict(), 'rounds': len(ours)}


def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('--nets', nargs='+', choices=NETS, help='some of the networks')
    parser.add_argument('--px', nargs='+', type=int, help='sides of what the network takes; 64 and 128')
    parser.add_argument('--threads', nargs='+', type=int, help='1 and 2, as far as there are cores')
    parser.add_argument('--precisions', nargs='+', choices=PRECISIONS, default=PRECISIONS[:2])
    parser.add_argument('--rounds', type=int, default=5, help='rounds that count, at most')
    parser.add_argument('--seconds', type=float, default=10, help='of each comparison, but for two rounds')
    parser.add_argument('--batch', type=int, help="instead of each network's own")
    parser.add_argument('--workers', type=int, default=0, help='processes that load faces')
    add_device(parser)
    add_output(parser)
    args = parser.parse_args()
    nets = args.nets or (QUICK if args.quick else NETS)
    sizes = args.px or ([64] if args.quick else [64, 128])
    threads = args.threads or sorted({1, min(2, os.cpu_count() or 1)} if not args.quick else {1})
    names = [BASICSR, *args.precisions]
    table = Table(f'A training iteration, {args.device}, medians of at most {args.rounds} rounds', COLUMNS, args.device)
    limits = (3, 4.0) if args.quick else (args.rounds, args.seconds)
    with told(parser), tempfile.TemporaryDirectory() as folder, workers(names) as pool:
        for name in nets:
            net = NETS[name]
            for px in (px for px in sizes if px <= net.largest):
                for count in threads:
                    given = (OPTIONS / f'{net.recipe}.yml', px, args.batch or net.batch, count)
                    cases = {
                        side: Case(*given, _precision(side), net.preset, args.device, workers=args.workers)
                        for side in names
                    }
                    for row in compare(cases, pool, Path(folder), limits):
                        table.add({'network': name, **row})
    table.write(args.out)


def _precision(side: str) -> str:
    return 'fp32' if side == BASICSR else side


if __name__ == '__main__':
    main()
