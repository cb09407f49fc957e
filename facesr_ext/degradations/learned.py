"""A degradation that a network has learnt from real LR images, without pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from basicsr.utils.registry import ARCH_REGISTRY

from facesr_ext.archs.arch_info import ArchInfo
from facesr_ext.archs.degradation_arch import DegradationNet
from facesr_ext.degradations.base import Degradation
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.host.names import name_here
from facesr_ext.host.registry import DEGRADATION_REGISTRY
from facesr_ext.imaging import imresize, quantize
from facesr_ext.places import user_path
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint, load_weights, select_params
from facesr_ext.runs.recipes import how_to_train
from facesr_ext.runs.untrusted import build_described


@DEGRADATION_REGISTRY.register()
class LearnedDegradation(Degradation):
    """Degrades by a trained :class:`~facesr_ext.archs.degradation_arch.DegradationNet`, a new random z for each image.

    Args:
        scale (int): HR-to-LR factor; the network's. With 1 the LR of any network comes back at HR size, as restoration
            takes it.
        checkpoint (str): What ``options/degradation_net.yml`` has trained; it holds what rebuilds the network.
        enlarge (bool): Bring the LR back to HR size by MATLAB's bicubic, and round again: FSRNet's input. Default:
            False.

    Raises:
        OptionError: for a missing file, one that holds another network, or one of another scale.
        CheckpointError: for a damaged file.
    """

    def __init__(self, scale: int, checkpoint: str, enlarge: bool = False) -> None:
        super().__init__(scale, enlarged=enlarge or scale == 1)
        self.path, self.net = read_degradation_net(checkpoint)
        if self.net.scale != scale != 1:
            raise OptionError(
                f'{self.path} reduces by {self.net.scale}, but scale is {scale}; take one that was '
                f'trained with scale: {scale}',
                ('degradation', 'checkpoint'),
            )
        self.info: ArchInfo = self.net.info

    def degrade(self, gt: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(N, 3, H, W) RGB [0, 1] -> (N, 3, H / scale, W / scale), or (N, 3, H, W) where it comes back at HR size."""
        height, width = gt.shape[-2:]
        self._require_size(height, width)
        net = self.net.to(gt.device)
        shape = (len(gt), net.z_size(height, width))
        z = torch.randn(shape, generator=generator, device=generator.device).to(gt.device)
        lq = quantize(net(gt, z))
        return quantize(imresize(lq, (height, width))) if self.enlarged else lq

    def _require_size(self, height: int, width: int) -> None:
        sizes = self.info.sizes
        wanted = sizes.fault((height, width))
        if wanted is not None:
            per_layer = f'set image_size: {sizes.fixed}, or take a network with noise: per_layer'
            remedy = per_layer if sizes.fixed else 'change image_size or gt_size'
            raise DatasetError(f'{self.path} degrades images of {wanted}, not of {width}x{height} px; {remedy}')


def read_degradation_net(checkpoint: str | Path) -> tuple[Path, DegradationNet]:
    """Rebuilds a network from its checkpoint alone.

    Args:
        checkpoint (str | Path): As for :class:`LearnedDegradation`.

    Returns:
        tuple[Path, DegradationNet]: the file, and the network with its weights, ready for use, on the CPU.

    Raises:
        OptionError: for a missing file, or one that holds another network.
        CheckpointError: for a damaged file.
    """
    if not isinstance(checkpoint, (str, Path)):
        raise OptionError(f'must be the path of a file, not {checkpoint!r}', ('degradation', 'checkpoint'))
    path = user_path(checkpoint)
    if not path.is_file():
        looked = f'there is no file {path} (looked for from {Path.cwd()})'
        remedy = how_to_train(str(checkpoint)) or 'correct the path'
        raise OptionError(f'{looked}; {remedy}', ('degradation', 'checkpoint'))
    return path, _rebuild(path)


def _rebuild(path: Path) -> DegradationNet:
    content = load_checkpoint(path)
    arch: dict[str, Any] = (content.get(META_KEY) or {}).get('arch') or {}
    if arch.get('type') != name_here(ARCH_REGISTRY, DegradationNet.__name__):
        raise OptionError(
            f'{path} holds {arch.get("type") or "nothing that names its network"}, not a '
            'DegradationNet that DegradationModel has trained',
            ('degradation', 'checkpoint'),
        )
    state, _ = select_params(content, None, str(path))
    with torch.random.fork_rng(devices=[]):  # what it is initialised with is replaced: nobody else's draws change
        net: DegradationNet = build_described(('degradation', 'checkpoint', str(path)), arch, state, str(path))
    load_weights(net, state, str(path), strict=True)
    return net.requires_grad_(False).eval()
