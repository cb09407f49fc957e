"""Repairs of single parts of BasicSR: optimisers, VGG, a degradation, a loss, and metrics."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from scipy import linalg

from facesr_ext.errors import DatasetError
from facesr_ext.host.parts import known_name, optimizer_class, optimizer_names
from facesr_ext.host.patching import host_module, names_used, replace_everywhere, warn_once
from facesr_ext.host.vgg import VGGBuilders

basic_loss = host_module('losses.basic_loss') or host_module('losses.losses')  # before 1.4
base_model = host_module('models.base_model')
degradations, vgg_arch = host_module('data.degradations'), host_module('archs.vgg_arch')
fid, niqe_module = host_module('metrics.fid'), host_module('metrics.niqe')
img_process_util = host_module('utils.img_process_util')


def repair_jpeg_quality() -> None:
    """Lets add_jpg_compression take a quality that is no whole number.

    Symptom: random_add_jpg_compression raises "Can't parse 'params'".
    Cause: it draws a float, which newer OpenCV does not accept as an encoding parameter.
    What is done: the fraction is cut off, as older OpenCV does by itself.
    """
    stock = degradations.add_jpg_compression
    try:
        stock(np.zeros((8, 8, 3), np.float32), 90.5)
        return
    except (TypeError, ValueError, cv2.error):
        pass

    @functools.wraps(stock)
    def add_jpg_compression(img: np.ndarray, quality: float = 90) -> np.ndarray:
        return stock(img, int(quality))

    replace_everywhere('add_jpg_compression', stock, add_jpg_compression)


def repair_niqe() -> None:
    """Gives NaN and one warning where NIQE has no value.

    Symptom: a validation picture with fewer than two blocks of 96 x 96 px (or a flat one) ends the training with a
    LinAlgError.
    Cause: the covariance of fewer than two rows is not a number, which the inverse refuses.
    """
    stock = niqe_module.niqe
    if 'LinAlgError' in names_used(stock):
        return

    @functools.wraps(stock)
    def niqe(img: np.ndarray, *args: Any, **kwargs: Any) -> float:
        bound = inspect.signature(stock).bind(img, *args, **kwargs)
        bound.apply_defaults()
        height, width = (bound.arguments[f'block_size_{side}'] for side in 'hw')
        try:
            if (img.shape[0] // height) * (img.shape[1] // width) < 2:
                raise np.linalg.LinAlgError
            return stock(*bound.args, **bound.kwargs)
        except np.linalg.LinAlgError:
            warn_once(f'NIQE needs two blocks of {width}x{height} px that are not flat; other pictures count as NaN.')
            return float('nan')

    replace_everywhere('niqe', stock, niqe)


def repair_fid() -> None:
    """Lets calculate_fid run on a SciPy whose sqrtm knows no ``disp``.

    Symptom: TypeError, unexpected keyword argument 'disp'.
    Cause: the argument is gone since SciPy 1.18.
    What is done: the module gets a sqrtm that takes it and, as before, returns a pair where it is False.
    """
    if fid.linalg is not linalg or 'disp' in inspect.signature(linalg.sqrtm).parameters:
        return

    def sqrtm(matrix: np.ndarray, disp: bool = True) -> Any:
        root = linalg.sqrtm(matrix)
        return root if disp else (root, None)

    fid.linalg = types.SimpleNamespace(sqrtm=sqrtm)


def repair_perceptual_l2() -> None:
    """Lets PerceptualLoss take ``criterion: l2``.

    Symptom: AttributeError, torch.nn has no L2loss.
    Cause: that class has never been; the mean squared error is meant.
    """
    loss = basic_loss.PerceptualLoss
    stock = loss.__init__
    if 'L2loss' not in names_used(stock):
        return
    signature = inspect.signature(stock)

    @functools.wraps(stock)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        if bound.arguments['criterion'] != 'l2':
            stock(self, *args, **kwargs)
            return
        bound.arguments['criterion'] = 'l1'
        stock(*bound.args, **bound.kwargs)
        self.criterion_type, self.criterion = 'l2', torch.nn.MSELoss()

    loss.__init__ = __init__


def repair_usm_size() -> None:
    """Names the image size where USMSharp cannot sharpen.

    Symptom: "Padding size should be less than the corresponding input dimension", without a word on which option.
    Cause: the image is mirrored by half the kernel, 25 px by default.
    """
    sharpener = img_process_util.USMSharp
    stock = sharpener.forward
    try:
        sharpener()(torch.zeros(1, 1, 8, 8))
        return
    except DatasetError:  # ours
        return
    except RuntimeError:
        pass

    @functools.wraps(stock)
    def forward(self: Any, img: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if min(img.shape[-2:]) <= self.radius // 2:
            raise DatasetError(
                f'USM sharpening needs images of {self.radius // 2 + 1} px or more a side, not '
                f'{img.shape[-1]}x{img.shape[-2]} px: make gt_size larger, or switch it off (gt_usm, l1_gt_usm, '
                'percep_gt_usm, gan_gt_usm: false)'
            )
        return stock(self, img, *args, **kwargs)

    sharpener.forward = forward


def repair_optimizers() -> None:
    """Lets ``train:optim_g:type`` name any optimiser of torch.optim.

    Symptom: "optimizer AdamW is not supperted yet"; ``betas: [0, 0.99]``, as GFPGAN's files have them, "must be either
    both floats or both Tensors".
    Cause: the release on PyPI knows only Adam; later sources list a few more by hand. Each of torch's is tried.
    """
    stock = base_model.BaseModel.get_optimizer
    if all(_builds(stock, name) for name in optimizer_names()) and _takes_whole_betas(stock):
        return

    @functools.wraps(stock)
    def get_optimizer(self: Any, optim_type: str, params: Any, lr: float, **kwargs: Any) -> torch.optim.Optimizer:
        optimizer = optimizer_class(optim_type)
        known = [name for name in inspect.signature(optimizer).parameters if name != 'params']
        for key in kwargs:
            known_name(('train', 'optim_*', key), key, known)
        if isinstance(kwargs.get('betas'), (list, tuple)):
            kwargs['betas'] = tuple(float(beta) if type(beta) is int else beta for beta in kwargs['betas'])
        return optimizer(params, lr=lr, **kwargs)

    base_model.BaseModel.get_optimizer = get_optimizer


def _builds(get_optimizer: Callable[..., Any], name: str) -> bool:
    """Whether BasicSR's function knows an optimiser; what that says of the arguments does not matter."""
    try:
        get_optimizer(None, name, [torch.nn.Parameter(torch.zeros(2, 2))], 1e-3)
    except NotImplementedError:
        return False
    except Exception:  # noqa: BLE001 - some want other arguments, or refuse the parameter
        pass
    return True


def _takes_whole_betas(get_optimizer: Callable[..., Any]) -> bool:
    try:
        get_optimizer(None, 'Adam', [torch.nn.Parameter(torch.zeros(1))], 1e-3, betas=[0, 0.99])
    except (TypeError, ValueError):
        return False
    return True


def repair_vgg_weights() -> None:
    """Gives every VGG type its own weight file, found by the rule of `weights.find_weights`.

    Symptom: ``vgg_type: vgg16`` with the local VGG19 file present raises missing keys; offline, a bare URLError; two
    deprecation warnings at each construction.
    Cause: one file name for all types; ``pretrained=True``, which torchvision has replaced.
    Upstream: https://github.com/XPixelGroup/BasicSR/pull/560
    """
    if isinstance(vgg_arch.vgg, VGGBuilders) or not hasattr(vgg_arch, 'VGG_PRETRAIN_PATH'):
        return
    vgg_arch.vgg = VGGBuilders()
    vgg_arch.VGG_PRETRAIN_PATH = ''  # never exists: the one rule includes the folder it pointed to


REPAIRS: tuple[Callable[[], None], ...] = (
    repair_jpeg_quality,
    repair_niqe,
    repair_fid,
    repair_perceptual_l2,
    repair_usm_size,
    repair_optimizers,
    repair_vgg_weights,
)
