"""Repairs of what in BasicSR wants CUDA: the Real-ESRGAN models, a filter, and training by several processes."""

from __future__ import annotations

import datetime
import functools
import inspect
import os
from collections.abc import Callable
from typing import Any

import torch
from basicsr.utils.registry import MODEL_REGISTRY
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from facesr_ext.errors import OptionError
from facesr_ext.host.patching import host_module, names_used, replace_everywhere

base_model, dist_util = host_module('models.base_model'), host_module('utils.dist_util')
diffjpeg, img_process_util = host_module('utils.diffjpeg'), host_module('utils.img_process_util')
realesrgan_model, realesrnet_model = host_module('models.realesrgan_model'), host_module('models.realesrnet_model')

TIMEOUT = datetime.timedelta(hours=4)
"""How long a process waits for the others. torch's ten minutes (NCCL) are shorter than many a validation, which the
first process does alone; a process that dies is noticed by torchrun at once all the same."""


def repair_cuda_parts() -> None:
    """Leaves DiffJPEG and USMSharp where they are if ``.cuda()`` is called without CUDA.

    Symptom: "Found no NVIDIA driver" in Real-ESRGAN's models and in whatever has been made of them.
    """
    for cls in (diffjpeg.DiffJPEG, img_process_util.USMSharp):
        if 'cuda' not in vars(cls):
            cls.cuda = _cuda_if_there


def _cuda_if_there(self: torch.nn.Module, device: Any = None) -> torch.nn.Module:
    return torch.nn.Module.cuda(self, device) if torch.cuda.is_available() else self


def repair_realesrgan_models() -> None:
    """Lets Real-ESRGAN's models, and copies of them in other packages, run on the device of the model, be it a CPU.

    Symptom: "Found no NVIDIA driver" (or tensors on two devices with num_gpu: 0 beside a GPU) at construction, then at
    the first batch; a batch size that does not divide queue_size ends in an assertion.
    Cause: DiffJPEG, USMSharp and the pair pool are moved by a hard ``.cuda()``.
    What is done: they are moved to ``self.device``; the pool is there before the stock code would make it. A class of
    another package gets this when it is looked up to be built.
    Upstream: https://github.com/XPixelGroup/BasicSR/issues/107
    """
    for cls in (realesrgan_model.RealESRGANModel, realesrnet_model.RealESRNetModel):
        _to_the_models_device(cls)
    if 'get' in vars(MODEL_REGISTRY):
        return
    stock = MODEL_REGISTRY.get

    @functools.wraps(stock)
    def get(*args: Any, **kwargs: Any) -> Any:
        found = stock(*args, **kwargs)
        for cls in inspect.getmro(found) if isinstance(found, type) else ():
            _to_the_models_device(cls)
        return found

    MODEL_REGISTRY.get = get


def _to_the_models_device(cls: Any) -> None:
    """Mends the constructor and the pair pool of one class, where its own code calls ``.cuda()``."""
    init, pool = vars(cls).get('__init__'), vars(cls).get('_dequeue_and_enqueue')
    if 'cuda' in names_used(init):
        cls.__init__ = _device_init(init)
    if pool is not None and not hasattr(pool, 'facesr_ext_stock') and 'cuda' in names_used(inspect.unwrap(pool)):
        cls._dequeue_and_enqueue = _device_pool(pool)


def _device_init(stock: Any) -> Callable[..., None]:
    """The constructor of a Real-ESRGAN model, whose JPEG and sharpener end on the model's device."""

    @functools.wraps(stock)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        stock(self, *args, **kwargs)
        for part in vars(self).values():
            if isinstance(part, (diffjpeg.DiffJPEG, img_process_util.USMSharp)):
                part.to(self.device)

    return __init__


def _device_pool(stock: Callable[[Any], None]) -> Callable[[Any], None]:
    """The pair pool of a Real-ESRGAN model, on the model's device."""

    @functools.wraps(stock)
    def _dequeue_and_enqueue(self: Any) -> None:
        if not hasattr(self, 'queue_lr'):
            batch = len(self.lq)
            if self.queue_size % batch:
                raise OptionError(
                    f'queue_size: {self.queue_size} is no multiple of the batch of {batch} (batch_size_per_gpu); '
                    f'write queue_size: {max(1, self.queue_size // batch) * batch}'
                )
            self.queue_lr = self.lq.new_zeros(self.queue_size, *self.lq.shape[1:])
            self.queue_gt = self.gt.new_zeros(self.queue_size, *self.gt.shape[1:])
            self.queue_ptr = 0
        stock(self)

    _dequeue_and_enqueue.facesr_ext_stock = stock  # type: ignore[attr-defined]
    return _dequeue_and_enqueue


def repair_filter2d() -> None:
    """Lets filter2D take images of any memory layout.

    Symptom: "view size is not compatible with input tensor's size and stride" in Real-ESRGAN's degradation.
    Cause: DiffJPEG leaves channels-last strides, padding keeps them, and filter2D flattens by ``view``.
    What is done: the image is made contiguous; one that is already stays as it is.
    """
    stock = img_process_util.filter2D
    if {'contiguous', 'reshape'} & names_used(stock):
        return

    @functools.wraps(stock)
    def filter2D(img: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        return stock(img.contiguous(), kernel)

    replace_everywhere('filter2D', stock, filter2D)


def repair_launcher() -> None:
    """Lets ``torchrun ... --launcher pytorch`` start processes on CPUs, and finds each process's GPU by LOCAL_RANK.

    Symptom: ZeroDivisionError on a machine without CUDA; two processes on one GPU where machines have unequal numbers
    of them; a validation of more than ten minutes ends the training of the processes that wait.
    Cause: the GPU is the rank modulo the number of GPUs; NCCL, with torch's timeout.
    What is done: gloo without CUDA; the GPU is the one of LOCAL_RANK, and must be there; a timeout of `TIMEOUT`.
    Upstream: https://github.com/XPixelGroup/BasicSR/issues/626
    """
    stock = dist_util._init_dist_pytorch
    if 'LOCAL_RANK' not in stock.__code__.co_consts:
        dist_util._init_dist_pytorch = functools.wraps(stock)(init_dist_pytorch)


def init_dist_pytorch(backend: str = 'nccl', **kwargs: Any) -> None:
    """Joins the group of processes that torchrun has started.

    Args:
        backend (str): For machines with CUDA; others take gloo.
        kwargs: For torch.distributed.init_process_group.

    Raises:
        OptionError: torchrun has not started this process, or has started more than there are GPUs.
    """
    if 'RANK' not in os.environ:
        raise OptionError(
            '--launcher pytorch is for processes that torchrun starts: '
            'torchrun --nproc_per_node GPUS -m basicsr.train -opt FILE --launcher pytorch'
        )
    local_rank = int(os.environ.get('LOCAL_RANK', os.environ['RANK']))
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        if backend == 'nccl' and local_rank >= count:
            raise OptionError(
                f'torchrun has started process {local_rank + 1} of this machine, which has {count} GPUs; '
                f'give --nproc_per_node {count}'
            )
        torch.cuda.set_device(local_rank % count)
    elif backend == 'nccl':
        backend = 'gloo'
    distributed.init_process_group(backend=backend, **{'timeout': TIMEOUT, **_place_of_this_start(), **kwargs})


def _place_of_this_start() -> dict[str, Any]:
    """Where the processes of a group that torchrun has started again (``--max-restarts``) find each other.

    Symptom: after a restart "Gloo connectFullMesh failed: connection refused", and the group ends.
    Cause: torchrun's store has the addresses of the processes of before, under the same names.
    What is done: names of their own. Over several machines, which may count their starts differently, nothing is.
    """
    start = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')
    if start == '0' or os.environ.get('GROUP_WORLD_SIZE') != '1':
        return {}
    from torch.distributed.rendezvous import rendezvous  # not there where torch is built without processes

    store, rank, world_size = next(rendezvous('env://', timeout=TIMEOUT))
    return {'store': distributed.PrefixStore(f'start_{start}', store), 'rank': rank, 'world_size': world_size}


def repair_ddp_on_cpu() -> None:
    """Wraps networks for distributed training on a CPU, too.

    Symptom: "Found no NVIDIA driver" once the first network is built.
    Cause: DistributedDataParallel is always given the current CUDA device.
    Upstream: https://github.com/XPixelGroup/BasicSR/issues/107
    """
    stock = base_model.BaseModel.model_to_device
    if 'current_device' not in names_used(stock):
        return

    @functools.wraps(stock)
    def model_to_device(self: Any, net: torch.nn.Module) -> torch.nn.Module:
        if not self.opt['dist'] or self.device.type == 'cuda':
            return stock(self, net)
        unused = self.opt.get('find_unused_parameters', False)
        return DistributedDataParallel(net.to(self.device), find_unused_parameters=unused)

    base_model.BaseModel.model_to_device = model_to_device


REPAIRS: tuple[Callable[[], None], ...] = (
    repair_cuda_parts,
    repair_realesrgan_models,
    repair_filter2d,
    repair_launcher,
    repair_ddp_on_cpu,
)
