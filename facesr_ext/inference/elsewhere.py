"""Checkpoints of other programs, which say nothing of their network: recognised by spandrel (extra ``export``)."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from facesr_ext.archs.arch_info import ArchInfo, Sizes
from facesr_ext.errors import CheckpointError, DependencyError
from facesr_ext.runs.checkpoints import META_KEY, SAFETENSORS, load_checkpoint

LICENCES = {
    'GFPGAN': 'Apache 2.0, with parts under an NVIDIA licence; github.com/TencentARC/GFPGAN',
    'RestoreFormer': 'for its terms see github.com/wzhouxiff/RestoreFormer',
    'CodeFormer': 'S-Lab Licence 1.0, not for commercial use; github.com/sczhou/CodeFormer',
}
"""Of networks that restore faces: what their authors state, or where."""
_SIGNED = ('GFPGAN', 'CodeFormer')
"""Trained on images in [-1, 1], which spandrel (0.4, extra architectures 0.2) hands on as they are."""
_FACE = 512
"""px a side that networks for faces were trained on; most take no other size."""


class ForeignNetwork(nn.Module):
    """A network that spandrel has recognised, as ours are called.

    Those for faces (GFPGAN, CodeFormer, RestoreFormer) take the enlarged face, at 512 px alone.

    Args:
        descriptor (spandrel.ImageModelDescriptor): What spandrel gives for its file.
    """

    def __init__(self, descriptor: object) -> None:
        super().__init__()
        self.net: nn.Module = descriptor.model  # type: ignore[attr-defined]
        self.call = descriptor.__call__  # type: ignore[operator]
        scale, sizes = int(descriptor.scale), descriptor.size_requirements  # type: ignore[attr-defined]
        faces = descriptor.purpose == 'FaceSR'  # type: ignore[attr-defined]
        self.info = ArchInfo(
            scale,
            'enlarged' if scale == 1 else 'small',
            Sizes(max(1, int(sizes.multiple_of)), _FACE if faces else None),
            halves=bool(descriptor.supports_half),  # type: ignore[attr-defined]
        )
        self.name: str = descriptor.architecture.name  # type: ignore[attr-defined]
        self.licence = LICENCES.get(self.name)

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        """(N, 3, h, w) RGB [0, 1] -> (N, 3, h * scale, w * scale)."""
        if self.name in _SIGNED:
            made: torch.Tensor = self.net(lq * 2 - 1)[0]
            return (made + 1) / 2
        out: torch.Tensor = self.call(lq)
        return out


def says_nothing(path: Path) -> bool:
    """Whether a file does not say what network it holds, as those of other programs."""
    if path.suffix not in ('.pth', SAFETENSORS):
        return True  # .pt, .ckpt and others
    return not (load_checkpoint(path).get(META_KEY) or {}).get('arch')


def open_foreign(path: str | os.PathLike[str]) -> ForeignNetwork:
    """Opens a checkpoint of an architecture that spandrel knows: ESRGAN, SwinIR, HAT, GFPGAN and some forty others.

    CodeFormer and others whose code is not for commercial use come with the package ``spandrel_extra_arches``.

    Args:
        path (str | PathLike): ``.pth``, ``.pt``, ``.ckpt`` or ``.safetensors``; pickles are read by an unpickler that
            allows weights alone.

    Raises:
        DependencyError: if spandrel is not installed.
        CheckpointError: if it does not know the network, or that makes no RGB image of one.
    """
    try:
        import spandrel
    except ImportError as err:
        raise DependencyError(
            f'{path} does not say what network it holds. Name it (arch: an option file with its network_g), or have it '
            f"recognised: pip install 'facesr_ext[export]' ({err})"
        ) from err
    extra = _add_extra_architectures()
    try:
        descriptor = spandrel.ModelLoader(device='cpu').load_from_file(path)
    except Exception as err:  # spandrel tries forty networks on it, and any of them may fail in any way
        reason = (str(err).strip().splitlines() or [type(err).__name__])[0]
        more = '' if extra else '; CodeFormer and some others need: pip install spandrel_extra_arches'
        raise CheckpointError(
            f'{path} holds no network that spandrel knows ({type(err).__name__}: {reason}){more}'
        ) from err
    plain = isinstance(descriptor, spandrel.ImageModelDescriptor)
    if not plain or (descriptor.input_channels, descriptor.output_channels) != (3, 3):
        name = descriptor.architecture.name
        raise CheckpointError(f'{path} holds {name}, which makes no RGB image of an RGB image alone')
    return ForeignNetwork(descriptor)


def _add_extra_architectures() -> bool:
    """Makes those known that come in a package of their own; whether it is installed."""
    try:
        import spandrel_extra_arches
    except ImportError:
        return False
    spandrel_extra_arches.install(ignore_duplicates=True)
    return True
