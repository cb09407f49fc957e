"""One step of one network: gradients over micro-batches, loss scaling, clipping, and the guard against bad steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from basicsr.utils import get_root_logger
from torch import nn

from facesr_ext.models.batch import Batch
from facesr_ext.models.device import sharing
from facesr_ext.models.guard import Guard
from facesr_ext.models.precision import Precision

Losses = dict[str, torch.Tensor]


class Pass(NamedTuple):
    """What a forward pass of a micro-batch gives.

    Attributes:
        losses (dict): What is to fall, by its name in the log; their sum is what the step follows.
        figures (dict): Further scalars for the log.
        output (Tensor | None): What the network has made, detached, for those who come after the step.
    """

    losses: Losses
    figures: Losses
    output: torch.Tensor | None = None


class StepResult(NamedTuple):
    """What a step has brought.

    Attributes:
        logs (dict): Means over the whole batch, on the device: losses, figures and ``grad_norm_<label>``.
        outputs (list[Tensor]): The output of each micro-batch that has one, in order.
    """

    logs: Losses
    outputs: list[torch.Tensor]


class Step:
    """Steps one network, and skips what is not finite.

    A step whose gradient is not finite leaves weights, optimiser and buffers as they were. Among several processes all
    skip it, since all have the same gradient.

    Args:
        label (str): 'g' or 'd', for the log and for the loss scaler.
        net (Module): The network, as it is trained: wrapped, where several processes share its gradients.
        optimizer (Optimizer): Its optimiser.
        precision (Precision): Whose scaler is used.
        grad_clip (float | None): The largest gradient norm. Default: None, any.
        patience (int): So many bad steps in a row are too many. Default: 10.

    Attributes:
        guard (Guard): Counts bad steps.
    """

    def __init__(
        self,
        label: str,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        precision: Precision,
        grad_clip: float | None = None,
        patience: int = 10,
    ) -> None:
        self.label, self.net, self.optimizer, self.precision = label, net, optimizer, precision
        self.limit = grad_clip or float('inf')
        self.guard = Guard(optimizer, next(net.parameters()).device, patience)
        self._kept: list[torch.Tensor] = []

    def run(self, parts: Sequence[Batch], forward: Callable[[Batch], Pass], iteration: int = 0) -> StepResult:
        """Accumulates gradients over micro-batches and steps.

        Args:
            parts (Sequence[Batch]): The micro-batches; each counts by its samples.
            forward (Callable): The losses of one of them.
            iteration (int): For the log. Default: 0.
        """
        scaler = self.precision.scaler(self.label)
        self._keep_buffers()  # a forward pass that overflows spoils BatchNorm's statistics
        self.optimizer.zero_grad(set_to_none=True)
        result, whole = self._accumulate(parts, forward, scaler)
        scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.limit)
        result.logs[f'grad_norm_{self.label}'] = norm.detach()
        finite = torch.isfinite(norm)  # a loss that is not finite has no finite gradient, on any process
        if self.guard.late and not scaler.is_enabled():
            self._step_unread(finite, iteration)
        else:
            self._step_read(bool(finite), iteration, whole)
        return result

    def _step_read(self, finite: bool, iteration: int, whole: torch.Tensor) -> None:
        """Steps where the gradient is known to be finite."""
        scaler = self.precision.scaler(self.label)
        if finite:
            scaler.step(self.optimizer)
            self.guard.count(True)
        else:
            _copy(self._kept, list(self.net.buffers()))
            if not self.precision.scaler_finds_its_scale(self.label, whole):
                self.guard.count(False)
                self._tell(iteration, self.guard.bad)
        scaler.update()

    @torch.no_grad()
    def _step_unread(self, finite: torch.Tensor, iteration: int) -> None:
        """Steps where the gradient is finite, which the device alone knows as yet."""
        told = self.guard.step(finite, iteration)
        for buffer, kept in zip(self.net.buffers(), self._kept, strict=True):
            buffer.copy_(torch.where(finite, buffer, kept))
        for bad, number in told:
            self._tell(bad, number)

    @torch.no_grad()
    def _keep_buffers(self) -> None:
        """Notes the buffers as they are, in memory that is taken once."""
        buffers = list(self.net.buffers())
        if self._kept:
            _copy(buffers, self._kept)
        else:
            self._kept = [buffer.clone() for buffer in buffers]

    def _accumulate(
        self, parts: Sequence[Batch], forward: Callable[[Batch], Pass], scaler: Any
    ) -> tuple[StepResult, torch.Tensor]:
        """Forward and backward passes of all micro-batches; the second value is the whole loss."""
        size = sum(len(part) for part in parts)
        result = StepResult({}, [])
        whole = torch.zeros((), device=parts[0].lq.device)
        for number, part in enumerate(parts, 1):
            share = len(part) / size
            with sharing(self.net, last=number == len(parts)):
                losses, figures, output = forward(part)
                total = torch.stack(list(losses.values())).sum() * share
                scaler.scale(total).backward()
            whole += total.detach()
            for name, value in {**losses, **figures}.items():
                result.logs[name] = result.logs.get(name, 0) + value.detach() * share
            if output is not None:
                result.outputs.append(output)
        return result, whole

    def _tell(self, iteration: int, number: int) -> None:
        get_root_logger().warning(
            f'Iteration {iteration}: loss or gradient of net_{self.label} is not finite; step skipped '
            f'({number} of {self.guard.patience})'
        )


@torch.no_grad()
def _copy(sources: list[torch.Tensor], targets: list[torch.Tensor]) -> None:
    if sources:
        torch._foreach_copy_(targets, sources)
