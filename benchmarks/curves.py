"""Whether our faster iteration trains as well: BasicSR's own model and ours from the same weights, over several seeds.

    python -m benchmarks.curves [--quick] [--nets MSRResNet FSRNet] [--seeds 3] [--iterations 200] [--out FILE]

Each seed gives both sides the same weights and the same order of the same drawn faces, and one loss, that of the
pixels; where ours is a recipe of its own (FSRNet folded, for CPUs), its weights and optimiser are its own, too.
BasicSR's side is in fp32; ours in bf16 with channels_last, as `precision: auto` has it. `loss` is the mean over the
last quarter of the iterations; PSNR-RGB is that of the weights' mean over the same quarter, on faces that neither has
seen. An interval of 95 % is that of the mean over the seeds' differences (ours less BasicSR's), by Student's t.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scipy import stats

from benchmarks.common import OPTIONS, Interval, Spent, Table, add_device, add_output, argument_parser, told
from benchmarks.train_sides import BASICSR, Case
from benchmarks.train_step import Worker, workers

OURS = 'ours'


class Net(NamedTuple):
    """What is trained.

    Attributes:
        recipe (str): Of both sides.
        px (int): Side of what the network takes.
        preset (str | None): A degradation instead of the file's. Default: None.
        ours (str | None): Our side's recipe, where it is another one. Default: None.
    """

    recipe: str
    px: int
    preset: str | None = None
    ours: str | None = None


NETS = {
    'MSRResNet': Net('realesrfsr_msrresnet', 32, 'bicubic_x4'),
    'FSRNet': Net('fsrnet_noprior', 64),
    'FSRNet, ours folded': Net('fsrnet_noprior', 64, ours='fsrnet_fast'),
}
COLUMNS = {
    'network': '', 'seed': '', 'loss, BasicSR': '.5f', 'loss, ours': '.5f', 'PSNR, BasicSR': '.3f', 'PSNR, ours': '.3f',
    'difference, dB': '', 'BasicSR, CPU s': '.1f', 'ours, CPU s': '.1f', 'ratio of CPU s': '.2f',
}  # fmt: skip
_HELD_OUT = 32


class Trained(NamedTuple):
    """What a side's training gave: the loss of each iteration, the PSNR of each face, what it cost."""

    losses: list[float]
    psnrs: list[float]
    cost: Spent

    @property
    def late_loss(self) -> float:
        """Mean over the last quarter of the iterations."""
        return statistics.fmean(self.losses[-max(1, len(self.losses) // 4) :])

    @property
    def psnr(self) -> float:
        """Mean over the faces."""
        return statistics.fmean(self.psnrs)


def train(worker: Worker, case: Case, stock: bool, folder: Path, iterations: int) -> Trained:
    """Trains one side and looks at what it has learnt."""
    worker.ask('build', case, stock, folder)
    losses, cost = worker.ask('train', iterations)
    return Trained(losses, worker.ask('psnrs', _HELD_OUT), cost)


def mean_interval(values: Sequence[float]) -> Interval:
    """A mean, and where it lies with 95 %, by Student's t; not known of a single value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Interval(mean, float('nan'), float('nan'))
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return Interval(mean, mean - half, mean + half)


def row(theirs: Sequence[Trained], ours: Sequence[Trained]) -> dict[str, Any]:
    """What the trainings of some seeds say together."""
    figures: dict[str, Any] = {}
    for name, side in ((BASICSR, theirs), (OURS, ours)):
        figures |= {
            f'loss, {name}': statistics.fmean(one.late_loss for one in side),
            f'PSNR, {name}': statistics.fmean(one.psnr for one in side),
            f'{name}, CPU s': statistics.fmean(one.cost.cpu for one in side),
        }
    differences = [mine.psnr - other.psnr for mine, other in zip(ours, theirs, strict=True)]
    return figures | {
        'difference, dB': mean_interval(differences) if len(differences) > 1 else f'{differences[0]:+.3f}',
        'ratio of CPU s': figures[f'{BASICSR}, CPU s'] / figures[f'{OURS}, CPU s'],
    }


def main() -> None:
    """Trains and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('--nets', nargs='+', choices=NETS, default=list(NETS))
    parser.add_argument('--seeds', type=int, help='trainings of each side; 3')
    parser.add_argument('--iterations', type=int, help='of each; 200')
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--threads', type=int, default=1)
    add_device(parser)
    add_output(parser)
    args = parser.parse_args()
    seeds, iterations = args.seeds or (1 if args.quick else 3), args.iterations or (20 if args.quick else 200)
    table = Table(f'{iterations} iterations of {args.batch} faces, {args.threads} threads', COLUMNS, args.device)
    with told(parser), tempfile.TemporaryDirectory() as folder, workers((BASICSR, OURS)) as pool:
        for name in args.nets:
            net = NETS[name]
            sides: dict[str, list[Trained]] = {BASICSR: [], OURS: []}
            for seed in range(seeds):
                for side, precision in ((BASICSR, 'fp32'), (OURS, 'bf16')):
                    recipe = net.ours or net.recipe if side == OURS else net.recipe
                    how = args.batch, args.threads, precision, net.preset, args.device
                    case = Case(OPTIONS / f'{recipe}.yml', net.px, *how, batches=16, seed=seed, pixels_alone=True)
                    sides[side].append(train(pool[side], case, side == BASICSR, Path(folder), iterations))
                last = [sides[side][-1:] for side in (BASICSR, OURS)]
                curves = {f'losses, {side}': sides[side][-1].losses for side in sides}
                table.add({'network': name, 'seed': str(seed), **row(*last), **curves})
            table.add({'network': name, 'seed': 'mean', **row(sides[BASICSR], sides[OURS])})
    table.write(args.out)


if __name__ == '__main__':
    main()
