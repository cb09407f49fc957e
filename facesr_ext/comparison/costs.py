"""What a network costs on an image of a size: multiply-accumulates and memory, counted without computing anything."""

from __future__ import annotations

import weakref
from copy import deepcopy
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from facesr_ext.check.cost import count_macs
from facesr_ext.inference.restorer import Restorer


def count_cost(restorer: Restorer, lq_size: tuple[int, int], enlarged: bool) -> tuple[int | None, int | None]:
    """Multiply-accumulates and memory of one image, by a copy of the network on the meta device.

    Args:
        restorer (Restorer): The method.
        lq_size (tuple[int, int]): Height and width of the LQ, pixels.
        enlarged (bool): It is at HR size already.

    Returns:
        tuple[int | None, int | None]: Multiply-accumulates, and the most bytes of tensors that are alive at once,
        weights included; None where the network has operations that cannot be counted so.
    """
    info = restorer.info
    factor = restorer.scale if info.input == 'enlarged' and not enlarged else 1
    height, width = (side * factor for side in lq_size)
    down, right = info.sizes.padding((height, width))
    size, channels = (height + down, width + right), 5 if info.coords else 3
    try:
        net = deepcopy(restorer.net).to('meta')
        macs = count_macs(net, size, channels)
        with torch.no_grad(), _Alive() as memory:
            net(torch.zeros(1, channels, *size, device='meta'))
    except (RuntimeError, NotImplementedError, TypeError, AttributeError):
        return None, None
    weights = sum(t.nbytes for t in (*restorer.net.parameters(), *restorer.net.buffers()))
    passes = 2 if restorer.self_ensemble else 1
    return None if macs is None else passes * macs, weights + memory.most


class _Alive(TorchDispatchMode):
    """The bytes of all tensors that operations have made and nobody has let go of, each storage once."""

    def __init__(self) -> None:
        super().__init__()
        self.most, self._now = 0, 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._keep(tensor.untyped_storage())
        return out

    def _keep(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self._now += size
        self.most = max(self.most, self._now)
        weakref.finalize(storage, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size
