"""What an option file costs: parameters, multiplications, memory and time of a real step, in a few seconds."""

from __future__ import annotations

import contextlib
import tempfile
import time
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from basicsr.data import build_dataset
from basicsr.models import build_model
from torch import nn
from torch.utils.data import default_collate
from torch.utils.flop_counter import FlopCounterMode

from facesr_ext.check.data import quietly
from facesr_ext.check.report import Check
from facesr_ext.host.entry import read_options

PATIENCE = 4.0
"""Seconds that the measured step may take; the batch is made smaller to keep to them."""


class Step(NamedTuple):
    """A training step as it was run.

    Attributes:
        batch (int): Images.
        seconds (float): Time, without loading.
        weights (int): Bytes of weights, gradients, optimiser state and averaged weights.
        activations (int): Most bytes that waited for the backward pass; on a GPU what the allocator held above weights.
        whole (int): An estimate of that for the batch that was wanted.
        device (str): Where.
    """

    batch: int
    seconds: float
    weights: int
    activations: int
    whole: int
    device: str


class Measurement(NamedTuple):
    """What `measure` has found; None where it could not be found.

    Attributes:
        parameters (dict): Section -> number of parameters.
        size (tuple): Height and width of the network's input.
        macs (int | None): Multiplications of one forward pass of network_g.
        batch (int): The file's batch.
        max_params (int | None): ``challenge: max_params``.
        step (Step | None): A training step.
        total_iter (int | None): Iterations of the whole training.
    """

    parameters: dict[str, int]
    size: tuple[int, ...]
    macs: int | None
    batch: int
    max_params: int | None
    step: Step | None
    total_iter: int | None = None

    @property
    def duration(self) -> float | None:
        """Seconds of the whole training at the measured speed; loading and validation are left out."""
        if self.step is None or self.total_iter is None:
            return None
        return self.step.seconds * self.batch / self.step.batch * self.total_iter


def measure(check: Check, force_yml: Sequence[str] = (), dry: bool = False) -> Measurement:
    """Measures a file that has been found in order.

    Args:
        check (Check): Its examination.
        force_yml (Sequence[str]): The overrides that it was examined with.
        dry (bool): Run no step.

    Raises:
        FaceSRError: The model or the data refuse the file after all.
    """
    nets, size = check.known.nets, check.known.input_size
    parameters = {key: _count(net) for key, net in nets.items()}
    macs = count_macs(nets['network_g'], size) if 'network_g' in nets and size else None
    batch = int(check.section('datasets', 'train').get('batch_size_per_gpu') or 1)
    step = measure_step(check.file.name, force_yml, batch) if check.train and not dry else None
    total_iter = check.section('train').get('total_iter')
    return Measurement(parameters, size, macs, batch, check.section('challenge').get('max_params'), step, total_iter)


def _count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def count_macs(net: nn.Module, size: Sequence[int], channels: int = 3) -> int | None:
    """Multiply-accumulates of one forward pass, counted without computing anything.

    Args:
        net (Module): A network on the meta device.
        size (Sequence[int]): Height and width of its input.
        channels (int): Of its input. Default: 3.

    Returns:
        int | None: None where the network has operations that have no meta version.
    """
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            net.eval()(torch.zeros(1, channels, *size, device='meta'))
    except (RuntimeError, NotImplementedError, TypeError):
        return None
    return counter.get_total_flops() // 2


def measure_step(path: str, force_yml: Sequence[str], batch: int) -> Step:
    """Runs a training step of the file's own model on its own data, in a folder that is removed again.

    Args:
        path (str): The option file.
        force_yml (Sequence[str]): Overrides.
        batch (int): The batch that is wanted; it is made smaller until a step takes seconds and fits the memory.
    """
    with tempfile.TemporaryDirectory() as folder, quietly(), torch.random.fork_rng():
        opt = read_options(path, force_yml, folder)
        opt['datasets']['train']['manual_seed'] = opt['manual_seed']
        dataset, model = build_dataset(opt['datasets']['train']), build_model(opt)
        _run(model, dataset, 1, 1)  # the first step pays for what later ones find ready
        seconds, _ = _run(model, dataset, 1, 2)
        size = max(1, min(batch, int(PATIENCE / max(seconds, 1e-4))))
        while True:
            try:
                seconds, activations = _run(model, dataset, size, 3)
                break
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
                size //= 2
        at_once = opt['train'].get('micro_batch') or batch
        whole = activations * min(at_once, batch) // min(at_once, size)
        return Step(size, seconds, _bytes_held(model), activations, whole, str(model.device))


def _run(model: Any, dataset: Any, batch: int, iteration: int) -> tuple[float, int]:
    """One step: its seconds, and the bytes of its activations."""
    data = default_collate([dataset[i % len(dataset)] for i in range(batch)])
    cuda = model.device.type == 'cuda'
    held = 0
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
    start = time.perf_counter()
    with _saved_bytes(_parameters(model)) as saved:
        model.update_learning_rate(iteration)
        model.feed_data(data)
        model.optimize_parameters(iteration)
    if cuda:
        torch.cuda.synchronize()
        saved.peak = torch.cuda.max_memory_allocated() - held
    return time.perf_counter() - start, saved.peak


class _Saved:
    """Bytes of the tensors that autograd keeps for the backward pass, each storage once: now, and at most."""

    def __init__(self, ignored: set[int]) -> None:
        self.peak, self._now, self._ignored = 0, 0, ignored
        self._users: Counter[int] = Counter()

    def keep(self, tensor: torch.Tensor) -> _Kept:
        storage = tensor.untyped_storage()
        key, size = storage.data_ptr(), storage.nbytes()
        kept = _Kept(tensor)
        if key not in self._ignored:
            self._users[key] += 1
            self._now += size * (self._users[key] == 1)
            self.peak = max(self.peak, self._now)
            weakref.finalize(kept, self._release, key, size)
        return kept

    def _release(self, key: int, size: int) -> None:
        self._users[key] -= 1
        self._now -= size * (self._users[key] == 0)


class _Kept:
    """What autograd holds in place of a tensor, so that its end can be seen."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


@contextlib.contextmanager
def _saved_bytes(parameters: Iterable[torch.Tensor]) -> Iterator[_Saved]:
    """Counts what autograd saves, weights left out."""
    saved = _Saved({p.untyped_storage().data_ptr() for p in parameters})
    with torch.autograd.graph.saved_tensors_hooks(saved.keep, lambda kept: kept.tensor):
        yield saved


def _parameters(model: Any) -> list[torch.Tensor]:
    nets = [value for value in vars(model).values() if isinstance(value, nn.Module)]
    return [tensor for net in nets for tensor in (*net.parameters(), *net.buffers())]


def _bytes_held(model: Any) -> int:
    """Weights, averaged weights, gradients and optimiser state."""
    tensors = _parameters(model)
    tensors += [tensor.grad for tensor in tensors if tensor.grad is not None]
    states = [state for optimizer in model.optimizers for state in optimizer.state.values()]
    tensors += [value for state in states for value in state.values() if isinstance(value, torch.Tensor)]
    return sum({t.data_ptr(): t.nbytes for t in tensors}.values())
