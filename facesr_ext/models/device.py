"""Where a model runs, chosen once, and how its networks are shared among processes."""

from __future__ import annotations

import contextlib
import inspect
import os
import platform
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from facesr_ext.errors import OptionError
from facesr_ext.host.loading import usable_cores


def choose_device(opt: dict[str, Any]) -> torch.device:
    """The device of this process: CUDA, by LOCAL_RANK among several processes, else MPS, else the CPU.

    Args:
        opt (dict): The option file: ``num_gpu`` (0: the CPU; BasicSR has made a number of ``auto``) and ``dist``.

    Returns:
        device: With its index where it is a CUDA device.

    Raises:
        OptionError: ``num_gpu`` asks for a GPU where torch finds none, or for none where the processes talk over NCCL.
    """
    wanted, several = opt['num_gpu'], bool(opt.get('dist'))
    if wanted == 0:
        if several and distributed.is_initialized() and distributed.get_backend() == 'nccl':
            raise OptionError(
                'is 0, but several processes on a machine with GPUs use them; set num_gpu: auto, or hide the '
                'GPUs: CUDA_VISIBLE_DEVICES= torchrun ...',
                ('num_gpu',),
            )
        return torch.device('cpu')
    if torch.cuda.is_available():
        index = int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count() if several else None
        return torch.device('cuda', torch.cuda.current_device() if index is None else index)
    if torch.backends.mps.is_available() and not several:
        return torch.device('mps')
    build = f'was built for CUDA {torch.version.cuda}' if torch.version.cuda else 'is a build without CUDA'
    raise OptionError(
        f'is {wanted}, but torch {torch.__version__} finds no GPU (it {build}). Set num_gpu: 0 or auto to run on '
        'the CPU; for a GPU see nvidia-smi, and install the torch build of https://pytorch.org for it',
        ('num_gpu',),
    )


def default_device() -> torch.device:
    """A GPU where there is one, else the CPU."""
    return choose_device({'num_gpu': int(torch.cuda.is_available() or torch.backends.mps.is_available())})


def describe_device(device: torch.device) -> str:
    """A device for logs and reports: what the figures of speed depend on."""
    if device.type == 'cuda':
        properties = torch.cuda.get_device_properties(device)
        return f'{properties.name}, {properties.total_memory / 1024**3:.0f} GiB'
    if device.type == 'cpu':
        capability = torch.backends.cpu.get_cpu_capability()
        return f'CPU {platform.machine()} {capability}, {torch.get_num_threads()} of {os.cpu_count()} threads'
    return f'{device.type}, {platform.platform()}'


def leaves_a_core(device: torch.device) -> bool:
    """Whether a core has nothing to do while a network computes there: with as many threads as cores none has."""
    return device.type != 'cpu' or torch.get_num_threads() < usable_cores()


def busy_note() -> str | None:
    """What to do where other programs want so many cores that this one's threads wait for each other; else None."""
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows has none
        return None
    if threads == 1 or load < cores:
        return None
    return (
        f'{load:.1f} processes want the {cores} cores already: OMP_NUM_THREADS=1 computes with one thread, which waits '
        'for no other; for small networks that is faster until they are idle'
    )


def wrap_distributed(net: nn.Module, device: torch.device, find_unused: bool) -> nn.Module:
    """Shares a network's gradients among the processes; all start with the first one's weights and buffers.

    From then on buffers are each process's own, and the first one's are saved. Sending them before each forward pass,
    as DistributedDataParallel does by default, saves the same ones; but it would write to a discriminator's between
    its verdicts on real and fake, and many versions of torch then refuse the backward pass through BatchNorm.

    Args:
        net (nn.Module): The network, on its device.
        device (device): Of this process.
        find_unused (bool): ``find_unused_parameters`` of the option file.

    Returns:
        Module: The network, wrapped; or itself, where it has nothing to train.
    """
    if not any(parameter.requires_grad for parameter in net.parameters()):
        return net  # Bicubic and the like have no gradients, and DistributedDataParallel refuses them
    for buffer in net.buffers():  # spectral normalisation begins with random ones
        distributed.broadcast(buffer, 0)
    known = inspect.signature(DistributedDataParallel).parameters
    name = 'forward_sync_buffers' if 'forward_sync_buffers' in known else 'broadcast_buffers'  # new and old torch
    options: dict[str, Any] = {name: False}
    ids = [device.index] if device.type == 'cuda' else None
    return DistributedDataParallel(net, device_ids=ids, find_unused_parameters=find_unused, **options)


def sharing(net: nn.Module, last: bool) -> contextlib.AbstractContextManager[None]:
    """Context of one micro-batch: only the last one's backward pass sends the gradients, which have added up."""
    if isinstance(net, DistributedDataParallel) and not last:
        return net.no_sync()
    return contextlib.nullcontext()
