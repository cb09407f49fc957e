"""Seconds per image of every method that the option files name, in one run: the speed table of report S2.

    python -m benchmarks.speed [--size 256] [--rounds 9] [--against Anime4K] [--device cpu]

Every network is built as its option file has it, and takes one LQ, from which it makes one image of the same size as
the others do; enlarging the LQ first is counted for those that need it. The methods take turns, so that what else the
machine does weighs on all alike. Printed are medians, and how many times slower than ``--against`` each is.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch
import yaml
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from benchmarks.common import OPTIONS, add_device, argument_parser, timed
from facesr_ext.archs.arch_info import arch_info
from facesr_ext.errors import OptionError
from facesr_ext.host.parts import build_part
from facesr_ext.imaging import imresize


def networks() -> dict[str, dict[str, Any]]:
    """Each distinct ``network_g`` of the option files that enlarges images, under its first file's name."""
    found: dict[str, dict[str, Any]] = {}
    for file in (*sorted(OPTIONS.glob('*.yml')), *sorted((OPTIONS / 'test').glob('*.yml'))):
        opt = yaml.safe_load(file.read_text(encoding='utf-8'))
        part = {'network': opt['network_g'], 'scale': opt['scale']}
        if opt['model_type'] != 'DegradationModel' and part not in found.values():
            found[file.stem] = part
    return found


def runner(net: nn.Module, lq: torch.Tensor, scale: int) -> Callable[[], torch.Tensor]:
    """What is timed: enlarging where the network needs it, and the network."""
    size = (lq.shape[-2] * scale, lq.shape[-1] * scale)
    enlarge = arch_info(net).input == 'enlarged'
    return lambda: net(imresize(lq, size) if enlarge else lq)


@torch.inference_mode()
def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('--size', type=int, default=256, help='height and width of the result')
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--against', default='Anime4K', help='network whose time is 1')
    add_device(parser)
    args = parser.parse_args()
    device = torch.device(args.device)
    rows, runs = [], []
    for name, part in networks().items():
        try:
            net = build_part((name, 'network_g'), ARCH_REGISTRY, part['network']).to(device).eval()
        except OptionError as err:
            parser.error(str(err))
        lq = torch.rand(1, 3, args.size // part['scale'], args.size // part['scale'], device=device)
        rows.append((name, type(net).__name__, part['scale'], sum(p.numel() for p in net.parameters())))
        runs.append(runner(net, lq, part['scale']))
        runs[-1]()  # the first call allocates and chooses kernels
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(args.rounds):
        for run, times in zip(runs, seconds, strict=True):
            times.append(timed(run, device))
    medians = [statistics.median(times) for times in seconds]
    base = next((m for m, row in zip(medians, rows, strict=True) if row[1] == args.against), None)
    if base is None:
        parser.error(f'--against: no option file has a network {args.against}')
    print(f'one image of {args.size} x {args.size} px, {args.device}, {torch.get_num_threads()} threads, medians')
    print(
        f'{"option file":24s} {"network":20s} {"scale":>5s} {"parameters":>12s} {"ms":>9s} {"x " + args.against:>10s}'
    )
    for (name, network, scale, count), median in sorted(zip(rows, medians, strict=True), key=lambda pair: pair[1]):
        print(f'{name:24s} {network:20s} {scale:5d} {count:12,d} {median * 1e3:9.2f} {median / base:10.2f}')


if __name__ == '__main__':
    main()
