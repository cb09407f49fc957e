"""The sides of benchmarks/train_step.py: BasicSR's own models and ours on the same option file and the same faces."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from basicsr.data import build_dataset
from basicsr.data.paired_image_dataset import PairedImageDataset
from basicsr.models import build_model
from basicsr.utils import get_root_logger
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, RandomSampler
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from benchmarks.common import Spent, spent
from benchmarks.degradation import STOCK
from facesr_ext.data.image_io import write_image, write_mask
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.faces.drawn.face import DrawnFaces
from facesr_ext.host.entry import read_options
from facesr_ext.imaging import to_images
from facesr_ext.metrics.face_metric import psnr_rgb

BASICSR = 'BasicSR'
_LONG = 0.1  # seconds
_ENDLESS = 10**5  # epochs that follow on each other, as in BasicSR's runner: workers go on
COMPILED = ', compiled'
_KINDS = ['iso', 'aniso', 'generalized_iso', 'generalized_aniso', 'plateau_iso', 'plateau_aniso']
_SHARES = [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
_KERNELS: dict[str, Any] = {
    'blur_kernel_size': 21, 'kernel_list': _KINDS, 'kernel_prob': _SHARES, 'sinc_prob': 0.1, 'blur_sigma': [0.2, 3],
    'betag_range': [0.5, 4], 'betap_range': [1, 2], 'blur_kernel_size2': 21, 'kernel_list2': _KINDS,
    'kernel_prob2': _SHARES, 'sinc_prob2': 0.1, 'blur_sigma2': [0.2, 1.5], 'betag_range2': [0.5, 4],
    'betap_range2': [1, 2], 'final_sinc_prob': 0.8, 'use_rot': False,
}  # fmt: skip
"""What Real-ESRGAN's option file says of its data set's kernels."""


class Case(NamedTuple):
    """What is trained.

    Attributes:
        recipe (Path): The option file.
        px (int): Side of the image that the network takes.
        batch (int): Samples of a step.
        threads (int): torch's.
        precision (str): Ours; BasicSR's models know fp32 alone. 'bf16, compiled' is bf16 with ``compile: true``.
        preset (str | None): A degradation instead of the file's. Default: None.
        device (str): Where. Default: 'cpu'.
        batches (int): Of an epoch; a loader with fewer faces than a batch has would give none, for ever. Default: 2.
        seed (int): Of the weights and of the order of the faces. Default: 0.
        pixels_alone (bool): The loss of the result's pixels is the only one, and nothing limits the gradient, as in
            BasicSR's models. Default: False.
        workers (int): Processes that load faces. Default: 0.
    """

    recipe: Path
    px: int
    batch: int
    threads: int
    precision: str
    preset: str | None = None
    device: str = 'cpu'
    batches: int = 2
    seed: int = 0
    pixels_alone: bool = False
    workers: int = 0


class Floor(NamedTuple):
    """What an iteration has to compute and to move at least, and how fast the machine is when it does nothing else.

    Attributes:
        flops (float): Two for each multiply-add of the convolutions and products, forward and backward.
        moved (float): Bytes that are written and read again: what waits for the backward pass, once each way; weights,
            gradients, moments and averaged weights in the optimiser.
        peak (float): Flops a second of a convolution or product in this precision, whichever is faster.
        bandwidth (float): Bytes a second of a copy, read and written.

    Seconds are a processor's, where it is one that computes: others that want it change nothing so.
    """

    flops: float
    moved: float
    peak: float
    bandwidth: float

    @property
    def seconds(self) -> float:
        """The least time of an iteration, if computing and moving go on side by side."""
        return max(self.flops / self.peak, self.moved / self.bandwidth)


class Side:
    """One side, ready to iterate as BasicSR's runner does: data, model, log.

    Args:
        case (Case): What is trained.
        stock (bool): BasicSR's model, else ours.
        folder (Path): For faces and runs; faces that are there are taken.
    """

    def __init__(self, case: Case, stock: bool, folder: Path) -> None:
        get_root_logger().setLevel(logging.ERROR)
        torch.set_num_threads(case.threads)
        opt = _options(case, folder)
        count = case.batches * case.batch
        name = f'{case.recipe.stem}_{opt["datasets"]["train"]["image_size"]}_{count}'
        files = _Files(opt, folder / name, count)
        (_as_stock if stock else _as_ours)(opt, files)
        for key in ('models', 'training_states', 'visualization'):
            Path(opt['path'][key]).mkdir(parents=True, exist_ok=True)
        self.case, self.iteration, self.files = case, 0, files
        data = build_dataset({**opt['datasets']['train'], 'manual_seed': case.seed})
        if isinstance(data, PairedImageDataset):  # as the disk lists them
            data.paths.sort(key=itemgetter('gt_path'))
        order = torch.Generator().manual_seed(case.seed)
        sampler = RandomSampler(data, num_samples=_ENDLESS * count, generator=order)
        self.loader = DataLoader(data, case.batch, sampler=sampler, num_workers=case.workers, pin_memory=_on_gpu(case))
        self.batches = self._batches()
        torch.manual_seed(case.seed)
        self.model: Any = build_model(deepcopy(opt))

    def _batches(self) -> Iterator[Any]:
        while True:
            yield from self.loader

    def iterate(self) -> Spent:
        """One iteration, from the files to the figures of the log."""
        return spent(self._iterate, self.case.device)

    def _iterate(self) -> None:
        self.iteration += 1
        self.model.update_learning_rate(self.iteration, warmup_iter=-1)
        self.model.feed_data(self.draw())
        self.model.optimize_parameters(self.iteration)
        self.model.get_current_log()

    def parts(self) -> dict[str, float]:
        """Seconds (`Floor`'s) of the parts of one iteration; the rest is networks and losses, both ways."""
        seconds: dict[str, float] = {}
        with contextlib.ExitStack() as stack:
            timed = partial(_timed, seconds, self.case.device)
            stack.enter_context(timed('degradation', self.model, 'feed_data'))
            stack.enter_context(timed('EMA', self.model, 'model_ema'))
            stack.enter_context(timed('log', self.model, 'get_current_log'))
            for optimizer in self.model.optimizers:
                stack.enter_context(timed('optimiser', optimizer, 'step'))
            stack.enter_context(timed('data', self, 'draw'))
            whole = working(spent(self._iterate, self.case.device), self.case.device)
        return {**seconds, 'networks': whole - sum(seconds.values())}

    def train(self, count: int) -> tuple[list[float], Spent]:
        """So many iterations: the loss of the pixels in each, and what they cost together.

        The weights of the last quarter are averaged, alike for both sides: those of a single iteration are noise.
        """
        net = self.model.get_bare_model(self.model.net_g)
        self.averaged = AveragedModel(net, use_buffers=True)
        losses = []

        def run() -> None:
            for number in range(count):
                self._iterate()
                losses.append(float(self.model.get_current_log()['l_pix']))
                if number >= 0.75 * count:
                    self.averaged.update_parameters(net)

        return losses, spent(run, self.case.device)

    def psnrs(self, count: int) -> list[float]:
        """PSNR-RGB (dB) of so many faces that were not trained on, by the average of `train`."""
        net, values = self.averaged.eval(), []
        for gt, lq in self.files.drawn(count, seed=1):
            with torch.no_grad():
                made = net(lq.to(next(net.parameters()).device)).cpu()
            values.append(psnr_rgb(to_images(made)[0][..., ::-1], to_images(gt)[0][..., ::-1]))
        return values

    def draw(self) -> Any:
        """The next batch, out of the files."""
        return next(self.batches)

    def floor(self) -> Floor:
        """What an iteration needs at least here."""
        dtype = torch.bfloat16 if self.case.precision.startswith('bf16') else torch.float32
        saved: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            saved[storage.data_ptr()] = storage.nbytes()
            return tensor

        counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: _backward_flops})
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), counter:
            self._iterate()
        nets = [net for net in vars(self.model).values() if isinstance(net, nn.Module)]
        weights = sum(p.nbytes for net in nets for p in net.parameters() if p.requires_grad)
        averaged = sum(p.nbytes for p in self.model.net_g.parameters()) if hasattr(self.model, 'net_g_ema') else 0
        moved = 2 * sum(saved.values()) + 8 * weights + 3 * averaged
        return Floor(counter.get_total_flops(), moved, peak(dtype, self.case.device), bandwidth(self.case.device))


def _on_gpu(case: Case) -> bool:
    return case.device != 'cpu'


def peak(dtype: torch.dtype, device: str) -> float:
    """Flops a second of what the library does fastest: a 3x3 convolution of 64 channels, or a product of matrices."""
    image = torch.rand(2, 64, 128, 128, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    conv = nn.Conv2d(64, 64, 3, 1, 1, bias=False, device=device, dtype=dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    matrix = torch.rand(1024, 1024, device=device, dtype=dtype)
    with torch.no_grad():
        return max(
            _rate(lambda: conv(image), 2 * image.numel() * 64 * 9, device),
            _rate(lambda: matrix @ matrix, 2 * 1024**3, device),
        )


def bandwidth(device: str) -> float:
    """Bytes a second of a copy that no cache holds."""
    source = torch.rand(32 * 1024**2, device=device)
    target = torch.empty_like(source)
    return _rate(lambda: target.copy_(source), 2 * source.nbytes, device)


def working(cost: Spent, device: str) -> float:
    """Seconds of the processor, where it is that which computes; else those that went by."""
    return cost.cpu if device == 'cpu' else cost.wall


def _rate(step: Callable[[], Any], amount: float, device: str) -> float:
    """The best of a few times, each long enough for the clock of a processor, which ticks for other threads."""
    step()
    count = math.ceil(_LONG / spent(step, device).wall)

    def run() -> None:
        for _ in range(count):
            step()

    return count * amount / min(working(spent(run, device), device) for _ in range(4))


def _backward_flops(grad: Any, image: Any, weight: Any, *rest: Any, **_: Any) -> int:
    """Of a convolution's backward pass; torch's own count leaves the groups of the weights out."""
    transposed, wanted = rest[4], rest[7]
    return conv_flop_count(image, weight, grad, transposed) * sum(map(bool, wanted[:2]))


@contextlib.contextmanager
def _timed(seconds: dict[str, float], device: str, part: str, owner: Any, name: str) -> Iterator[None]:
    """Adds up the time of an object's method."""
    method = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        made: list[Any] = []
        cost = spent(lambda: made.append(method(*args, **kwargs)), device)
        seconds[part] = seconds.get(part, 0.0) + working(cost, device)
        return made[0]

    setattr(owner, name, call)
    try:
        yield
    finally:
        delattr(owner, name)


# ---- the option file, for each side -----------------------------------------------------------------------------


class _Files:
    """Drawn faces on the disk, with masks, and the LQ that BasicSR's paired data set reads."""

    def __init__(self, opt: dict[str, Any], folder: Path, count: int) -> None:
        self.count, self.side = count, opt['datasets']['train']['image_size']
        self.degradation = build_degradation(opt['degradation'], opt['scale'])
        self.gt, self.lq, self.masks, self.names = (folder / name for name in ('gt', 'lq', 'masks', 'names.txt'))
        if self.names.exists():
            return
        for path in (self.gt, self.lq, self.masks):
            path.mkdir(parents=True)
        faces = DrawnFaces(count, 0, self.side)
        for i, (gt, lq) in enumerate(self.drawn(count, seed=0)):
            write_image(self.gt / f'{i:04d}.png', to_images(gt)[0])
            write_image(self.lq / f'{i:04d}.png', to_images(lq)[0])
            write_mask(self.masks / f'{i:04d}.png', faces[i].parsing)
        self.names.write_text(''.join(f'{i:04d}.png\n' for i in range(count)), encoding='utf-8')

    def drawn(self, count: int, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Pairs of GT and LQ, (1, 3, H, W) each, RGB, [0, 1]."""
        faces = DrawnFaces(count, seed, self.side)
        for i in range(count):
            gt = torch.from_numpy(faces[i].image).permute(2, 0, 1)[None].float() / 255
            yield gt, self.degradation.pair(gt, torch.Generator().manual_seed(i))[0]


def _options(case: Case, folder: Path) -> dict[str, Any]:
    """The option file as the runner hands it to a model, at the size and on the device that are wanted."""
    opt = read_options(str(case.recipe), (), folder / 'run')
    opt['num_gpu'] = int(_on_gpu(case))
    opt['precision'], opt['manual_seed'] = case.precision.removesuffix(COMPILED), 0
    opt['compile'] = case.precision.endswith(COMPILED)
    if case.preset is not None:
        opt['degradation'] = {'preset': case.preset}
    enlarged = build_degradation(opt['degradation'], opt['scale']).enlarged
    side = case.px if enlarged else case.px * opt['scale']
    opt['datasets']['train'] |= {'image_size': side, 'crop_scale': [1.0, 1.0], 'num_worker_per_gpu': 0}
    opt['datasets']['train']['batch_size_per_gpu'] = case.batch
    if 'input_size' in opt.get('network_d', {}):
        opt['network_d']['input_size'] = side
    if 'periods' in opt['train']['scheduler']:
        opt['train']['scheduler'].update(periods=[10**6], restart_weights=[1])  # it outlasts the measurement
    content = opt['train'].pop('content_opt', None)  # VGG's features need weights; both sides take the pixels alone
    if content is not None:
        opt['train']['pixel_opt'] = {'type': 'MSELoss', 'loss_weight': content.get('pixel_weight', 1.0)}
    if case.pixels_alone:
        if opt['network_g']['type'] == 'FSRNet':
            opt['network_g']['prior'] = False  # without a loss of its own it would be untaught
        for key in ('coarse_opt', 'parsing_opt', 'landmark_opt', 'grad_clip'):
            opt['train'].pop(key, None)
    return opt


def _as_ours(opt: dict[str, Any], files: _Files) -> None:
    opt['datasets']['train']['dataroot_gt'] = str(files.gt)
    if 'parsing_opt' in opt['train']:
        opt['datasets']['train']['dataroot_parsing'] = str(files.masks)


def _as_stock(opt: dict[str, Any], files: _Files) -> None:
    """BasicSR's model and data set; a loss of a network's inner results it does not know, and does without."""
    train, side = opt['datasets']['train'], opt['datasets']['train']['image_size']
    opt['scale'] = 1 if opt['degradation'].get('preset') == 'fsrnet_x8' else opt['scale']  # stored at the GT's size
    kept = {key: train[key] for key in ('name', 'use_hflip', 'phase') if key in train}
    kept |= {'dataroot_gt': str(files.gt), 'io_backend': {'type': 'disk'}, 'gt_size': side, 'scale': opt['scale']}
    if 'realesrgan' in str(opt['degradation'].get('preset')):
        opt['datasets']['train'] = {**kept, **_KERNELS, 'type': 'RealESRGANDataset', 'meta_info': str(files.names)}
        opt.update(STOCK, model_type='RealESRNetModel', gt_size=side, queue_size=files.count)
    else:
        pairs = {'type': 'PairedImageDataset', 'dataroot_lq': str(files.lq), 'use_rot': False}
        opt['datasets']['train'] = {**kept, **pairs}
        opt['model_type'] = 'SRGANModel' if 'network_d' in opt else 'SRModel'
