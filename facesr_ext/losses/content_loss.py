from __future__ import annotations

from typing import Literal

import torch
from basicsr.archs.vgg_arch import VGGFeatureExtractor
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.arch_info import require_literals

VGGType = Literal['vgg11', 'vgg13', 'vgg16', 'vgg19', 'vgg11_bn', 'vgg13_bn', 'vgg16_bn', 'vgg19_bn']
_CRITERIA = {'mse': F.mse_loss, 'l1': F.l1_loss}


@LOSS_REGISTRY.register()
class VGGFeatureLoss(nn.Module):
    """Distance of the features of one VGG layer, on BasicSR's ``VGGFeatureExtractor``.

    The published FSRGAN takes the mean squared error of VGG-16 features of conv5_3 with weight 0.1. The weights are
    looked for in ``experiments/pretrained_models``, then in the cache, and fetched otherwise.

    Args:
        loss_weight (float): Default: 1.0.
        layer (str): A name such as 'conv5_3' (before ReLU) or 'relu5_3' (after). Default: 'conv5_3'.
        vgg_type (str): 'vgg16', 'vgg19', ... Default: 'vgg16'.
        criterion (str): 'mse' or 'l1'. Default: 'mse'.
        use_input_norm (bool): Normalise by ImageNet's mean and std. Default: True.

    Raises:
        DependencyError: if the weights are nowhere to be found; it names the file, its URL and where to put it.
        ValueError: for another vgg_type or criterion.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        layer: str = 'conv5_3',
        vgg_type: VGGType = 'vgg16',
        criterion: Literal['mse', 'l1'] = 'mse',
        use_input_norm: bool = True,
    ) -> None:
        super().__init__()
        require_literals(VGGFeatureLoss, vgg_type=vgg_type, criterion=criterion)
        self.loss_weight, self.layer, self.criterion = loss_weight, layer, _CRITERIA[criterion]
        self.vgg = VGGFeatureExtractor([layer], vgg_type=vgg_type, use_input_norm=use_input_norm)

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Both (N, 3, H, W), RGB, [0, 1], at least 32 px a side -> a scalar."""
        with torch.no_grad():
            wanted = self.vgg(target)[self.layer]
        return self.loss_weight * self.criterion(self.vgg(pred)[self.layer].float(), wanted.float())


@LOSS_REGISTRY.register()
class ContentLoss(nn.Module):
    """Mean squared error of the pixels, of VGG features, or both: the content loss of SRGAN and its descendants.

    The defaults are a mix as in the portrait comparison of SRResNet, SRGAN and SRWGAN-GP, whose three cases are the
    three modes: the pixels alone blur, the features alone bring a checkerboard. Published scales:

    - SRGAN (Ledig et al., CVPR 2017): ``mode: vgg``, ``layer: relu5_4``; it divides the features by 12.75, which is a
      ``vgg_weight`` of 0.006.
    - ESRGAN (Wang et al., ECCVW 2018): ``mode: vgg``, ``layer: conv5_4`` (before ReLU), ``vgg_criterion: l1``,
      ``vgg_weight: 1.0``, beside a ``pixel_opt`` of type L1Loss with weight 1e-2; BasicSR's PerceptualLoss is the same.

    Args:
        mode (str): 'mse' (pixels; no VGG weights are loaded), 'vgg' or 'mix'. Default: 'mix'.
        pixel_weight (float): Weight of the pixels' mean squared error. Default: 1.0.
        vgg_weight (float): Weight of the features' distance. Default: 0.006.
        layer (str): 'conv5_4' (before ReLU), 'relu5_4' (after), ... Default: 'conv5_4'.
        vgg_type (str): 'vgg19', 'vgg16', ... Default: 'vgg19'.
        vgg_criterion (str): 'mse' or 'l1'. Default: 'mse'.

    Raises:
        DependencyError: if VGG's weights are needed and nowhere to be found.
        ValueError: for another mode, vgg_type or vgg_criterion.
    """

    def __init__(
        self,
        mode: Literal['mse', 'vgg', 'mix'] = 'mix',
        pixel_weight: float = 1.0,
        vgg_weight: float = 0.006,
        layer: str = 'conv5_4',
        vgg_type: VGGType = 'vgg19',
        vgg_criterion: Literal['mse', 'l1'] = 'mse',
    ) -> None:
        super().__init__()
        require_literals(ContentLoss, mode=mode, vgg_type=vgg_type, vgg_criterion=vgg_criterion)
        self.pixel_weight = pixel_weight if mode != 'vgg' else None
        self.vgg = VGGFeatureLoss(vgg_weight, layer, vgg_type, vgg_criterion) if mode != 'mse' else None

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        """Both (N, 3, H, W), RGB, [0, 1] -> the weighted parts by name, 'pix' and 'vgg', to be added."""
        parts = {}
        if self.pixel_weight is not None:
            parts['pix'] = self.pixel_weight * F.mse_loss(pred, target)
        if self.vgg is not None:
            parts['vgg'] = self.vgg(pred, target)
        return parts
