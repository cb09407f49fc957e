"""Every network as a file for other engines: how much it differs, how large it is, how fast it runs on one thread.

    python -m benchmarks.export --cpu-seconds
    python -m benchmarks.export --only NAFSR FSRNet --size 256 --repeats 9

Networks are those of the recipes at full size, with weights of which every one counts; PyTorch and ONNX Runtime take
turns on one drawn face. The differences are those that `facesr export` finds on drawn faces, in [0, 1]; that through
spandrel is of the same face from the weights.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
import yaml
from basicsr.utils.registry import ARCH_REGISTRY

from benchmarks.common import OPTIONS, add_clock, argument_parser, timed, told
from facesr_ext.errors import CheckpointError, DependencyError, OptionError
from facesr_ext.host.parts import build_part
from facesr_ext.inference.export import export
from facesr_ext.inference.export_graph import faces
from facesr_ext.inference.onnx_network import open_onnx
from facesr_ext.inference.restorer import Restorer
from facesr_ext.runs.checkpoints import META_KEY, save_atomic
from facesr_ext.spandrel import GUESSES, install

RECIPES = (
    'nafsr', 'restore', 'fsrnet', 'fsrnet_fast', 'faceattention', 'srcnn', 'espcn', 'srresnet', 'srnet', 'srpggan_x4',
    'challenge/baseline_2024', 'rrdbnet_psnr',
)  # fmt: skip
PLAIN: tuple[dict[str, Any], ...] = tuple(
    {'type': name, 'scale': 4} for name in ('Bicubic', 'Lanczos', 'Nearest', 'Anime4K')
)
REFUSED = (
    'DegradationNet', 'DegradationDiscriminator', 'PatchDiscriminator', 'SRGANDiscriminator', 'WGANCritic',
    'SRPGGANCritic',
)  # fmt: skip
"""Make no image of one that is as large or larger."""
HEAD = '| network | parameters | fp32: differs | MB | fp16: differs | MB | PyTorch, ms | ONNX Runtime, ms | spandrel |'


def main() -> None:
    """Measures and prints a table."""
    parser = argument_parser(__doc__)
    parser.add_argument('--size', type=int, default=128, help='px of the result')
    parser.add_argument('--repeats', type=int, default=5, help='runs of each')
    parser.add_argument('--only', nargs='*', default=(), help='networks by their names')
    add_clock(parser)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with told(parser), tempfile.TemporaryDirectory() as folder:
        print(f'{args.size} px, one thread, median of {args.repeats}\n\n{HEAD}')
        print('|---|' + '---:|' * (HEAD.count('|') - 2))
        for section in _sections():
            if not args.only or section['type'] in args.only:
                print(_row_or_reason(section, Path(folder), args.size, args.repeats, args.clock), flush=True)


def _sections() -> list[dict[str, Any]]:
    recipes = [yaml.safe_load((OPTIONS / f'{name}.yml').read_text(encoding='utf-8')) for name in RECIPES]
    return [*(opt['network_g'] for opt in recipes), *PLAIN, *({'type': name} for name in REFUSED)]


def _row_or_reason(section: dict[str, Any], *how: Any) -> str:
    """A row; of a network that is not exported, what it says."""
    try:
        return _row(section, *how)
    except OptionError as err:
        return f'| {section["type"]} | not exported: {err.message} |' + ' |' * (HEAD.count('|') - 3)


def _row(section: dict[str, Any], folder: Path, size: int, repeats: int, clock: Any) -> str:
    restorer = _restorer(section, folder)
    model: Any = restorer.files[0] if restorer.files else restorer
    made = [_made(model, folder / 'a.onnx', half) for half in (True, False)]  # fp32 is timed
    scale = restorer.info.scale if restorer.info.input == 'small' else 1
    lq = faces(1, (size // scale, size // scale))
    runs = {'torch': restorer.net, 'onnx': open_onnx(folder / 'a.onnx')}
    spent: dict[str, list[float]] = {name: [] for name in runs}
    with torch.no_grad():
        for _ in range(repeats + 1):
            for name, run in runs.items():
                spent[name].append(timed(lambda run=run: run(lq), 'cpu', clock))  # type: ignore[misc]
    times = [f'{1000 * statistics.median(values[1:]):.1f}' for values in spent.values()]  # the first one warms up
    apart = [f'{key} {section[key]}' for key in ('scale', 'upscale', 'fold') if key in section]
    number = f'{sum(p.numel() for p in restorer.net.parameters()):,}'
    other = _through_spandrel(section['type'], model, folder, lq, restorer)
    return f'| {" | ".join([", ".join([section["type"], *apart]), number, *reversed(made), *times, other])} |'


def _made(model: Any, path: Path, half: bool) -> str:
    """Difference and size of the file; a network that fp16 changes too much is not written with it."""
    try:
        made = export(model, path, half=half, force=True)
    except CheckpointError:
        if not half:
            raise
        return 'refused | -'
    return f'{made.difference:.1e} | {made.size / 1e6:.2f}'


def _restorer(section: dict[str, Any], folder: Path) -> Restorer:
    torch.manual_seed(0)
    net = build_part(('network_g',), ARCH_REGISTRY, section)
    if not list(net.parameters()):
        return Restorer(None, arch=section, device='cpu')
    for parameter in net.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.01)
    save_atomic({'params': net.state_dict(), META_KEY: {'arch': section, 'scale': _scale(section)}}, folder / 'net.pth')
    return Restorer(folder / 'net.pth', device='cpu')


def _scale(section: dict[str, Any]) -> int:
    return int(section.get('scale') or section.get('upscale') or 4)


def _through_spandrel(kind: str, model: Any, folder: Path, lq: torch.Tensor, restorer: Restorer) -> str:
    """By how much what spandrel makes of the exported weights differs."""
    if kind not in GUESSES and kind != 'RRDBNet':
        return 'no weights'
    try:
        import spandrel
    except ImportError as err:
        raise DependencyError(f"the table needs spandrel: pip install 'facesr_ext[export]' ({err})") from err
    install()
    path = export(model, folder / 'a.safetensors', to='safetensors', force=True).path
    made = spandrel.ModelLoader('cpu').load_from_file(path)(lq)
    with torch.no_grad():
        apart = float((made - restorer.net(lq).clamp(0, 1)).abs().max())
    return f'{apart:.1e}' if apart else '0'


if __name__ == '__main__':
    main()
