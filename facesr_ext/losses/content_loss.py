from __future__ import annotations

import torch
from basicsr.archs.vgg_arch import VGGFeatureExtractor
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn
from torch.nn import functional as F

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
        ValueError: for another criterion.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        layer: str = 'conv5_3',
        vgg_type: str = 'vgg16',
        criterion: str = 'mse',
        use_input_norm: bool = True,
    ) -> None:
        super().__init__()
        if criterion not in _CRITERIA:
            raise ValueError(f'VGGFeatureLoss: criterion is one of {", ".join(_CRITERIA)}, not {criterion!r}')
        self.loss_weight, self.layer, self.criterion = loss_weight, layer, _CRITERIA[criterion]
        self.vgg = VGGFeatureExtractor([layer], vgg_type=vgg_type, use_input_norm=use_input_norm)

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Both (N, 3, H, W), RGB, [0, 1], at least 32 px a side -> a scalar."""
        with torch.no_grad():
            wanted = self.vgg(target)[self.layer]
        return self.loss_weight * self.criterion(self.vgg(pred)[self.layer].float(), wanted.float())
