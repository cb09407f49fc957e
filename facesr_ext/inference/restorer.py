"""Any checkpoint -> images, without an option file or BasicSR's runner."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import PIL.Image
import PIL.ImageOps
import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import arch_info
from facesr_ext.data.image_io import read_image
from facesr_ext.errors import CheckpointError, DatasetError, OptionError
from facesr_ext.host.parts import build_part
from facesr_ext.host.source import OptionFile
from facesr_ext.imaging import to_images, to_tensor, with_coordinates
from facesr_ext.inference.onnx_network import OnnxNetwork, is_onnx, open_onnx
from facesr_ext.inference.shipped import shipped_file
from facesr_ext.models.device import default_device
from facesr_ext.models.forward import enlarge, upscale
from facesr_ext.models.precision import Precision
from facesr_ext.models.tiles import Tiling
from facesr_ext.places import user_path
from facesr_ext.runs.checkpoints import Weights, described_network, load_weights, read_weights
from facesr_ext.runs.folder import late_checkpoints, latest_checkpoint
from facesr_ext.runs.untrusted import build_described

PathLike = str | os.PathLike[str]
Image = np.ndarray | torch.Tensor | PIL.Image.Image | PathLike
"""An image as `Restorer.restore` takes it."""
OPTION_SUFFIXES = ('.yml', '.yaml')


class Restorer:
    """A trained network, ready to restore pictures: the same results as ``python -m basicsr.test`` saves, bit for bit.

    Examples:
        A checkpoint or run is opened by its path: ``Restorer('experiments/fsrgan_x8', self_ensemble=True)``. Networks
        without weights need none:

        >>> import numpy as np
        >>> restorer = Restorer(None, arch={'type': 'Bicubic', 'scale': 4})
        >>> restorer.restore(np.zeros((16, 24, 3), np.uint8)).shape
        (64, 96, 3)

    Args:
        checkpoint (str | PathLike | Sequence | None): A checkpoint (``.pth``, ``.safetensors``), the folder of a run
            (its latest checkpoint), a model of the package ('default', 'sharp', 'x4', 'x8'), several checkpoints of one
            network, whose mean is taken, or a file of ONNX (extra ``export``). Averaged weights (``params_ema``) are
            taken where a file has them. None for a network without weights, which ``arch`` names.
        device (str | device | None): Where it runs. Default: a GPU where there is one, else the CPU.
        arch (dict | str | PathLike | Module | None): For files that do not say what network they hold, as stock
            BasicSR's: the ``network_g`` section, or an option file that has it. A network that is built and loaded
            already goes without a checkpoint. Default: what the checkpoint says.
        scale (int | None): LR-to-HR factor. Default: the checkpoint's, the option file's, or the network's own.
        param_key (str | None): Which weights of the file: 'params_ema' or 'params'. Default: the averaged ones.
        average_last (int | None): Take the mean of so many numbered checkpoints of the run, the one named the last.
        self_ensemble (bool): Take the mean with the mirrored picture's result, before rounding. Default: False.
        tile (int | Tiling | None): Cut larger pictures into tiles of this size, in pixels of the network's input; a
            number overlaps by a quarter. Default: never.
        batch_size (int): Pictures of one size that go through the network together; rounding may then differ by one
            level here and there. Default: 1.
        precision (str): fp32, bf16, or on CUDA fp16. Default: fp32.
        channels_last (bool): Memory layout of network and pictures. Default: False.

    Attributes:
        net (Module): The network, in evaluation mode.
        info (ArchInfo): What it takes.
        scale (int): LR-to-HR factor.
        files (list[str]): The checkpoints that it comes from.
        metadata (dict): What the last of them says of itself; empty for stock BasicSR's.

    Raises:
        CheckpointError: for a file that is missing, damaged, does not fit or does not say what network it holds.
        DependencyError: for a file of ONNX, without ONNX Runtime.
        OptionError: for an argument that does not fit.
    """

    net: nn.Module

    def __init__(
        self,
        checkpoint: PathLike | Sequence[PathLike] | None,
        *,
        device: str | torch.device | None = None,
        arch: Mapping[str, Any] | PathLike | nn.Module | None = None,
        scale: int | None = None,
        param_key: str | None = None,
        average_last: int | None = None,
        self_ensemble: bool = False,
        tile: int | Tiling | None = None,
        batch_size: int = 1,
        precision: str = 'fp32',
        channels_last: bool = False,
    ) -> None:
        for name, number in (('batch_size', batch_size), ('scale', scale), ('average_last', average_last)):
            if number is not None and (type(number) is not int or number < 1):
                raise OptionError(f'must be a number from 1 on, not {number!r}', (name,))
        self.device = _device(device)
        self.files = [] if checkpoint is None else find_checkpoints(checkpoint, average_last)
        exported = self._exported(device is not None, arch, param_key)
        weights = read_weights(self.files, param_key) if self.files and exported is None else None
        self.metadata = exported.metadata if exported else weights.metadata if weights else {}
        self.precision = Precision({'precision': precision, 'channels_last': channels_last}, self.device)
        if exported is not None:
            self.net, stated = self._placed(exported), self.metadata.get('scale')
        elif isinstance(arch, nn.Module):
            if weights is not None:
                raise OptionError(
                    'is a network that is built already; leave the checkpoint out, or name its section', ('arch',)
                )
            self.net, stated = self._placed(arch), None
        else:
            section, stated = _network_section(arch, self.metadata, self.files[-1] if self.files else '')
            self.net = self._build(section, weights, described=arch is None)
        self.info = arch_info(self.net)
        self.scale = _choose_scale(scale or stated, self.info.scale)
        self.tiling = _tiling(tile)
        if self.tiling is not None:
            self.tiling.require(('tile',), self.info.sizes.multiple_of)
        self.self_ensemble, self.batch_size = self_ensemble, batch_size

    def _exported(self, asked: bool, arch: object, param_key: str | None) -> OnnxNetwork | None:
        """The network of a file of ONNX; None for other files. ``asked``: the device was asked for."""
        if len(self.files) != 1 or not is_onnx(self.files[0]):
            return None
        for name, given in (('arch', arch), ('param_key', param_key)):
            if given is not None:
                raise OptionError('is for checkpoints; a file of ONNX has its network inside', (name,))
        return open_onnx(self.files[0], self.device.type, asked)

    def _build(self, section: dict[str, Any], weights: Weights | None, described: bool) -> nn.Module:
        if described and weights is not None:
            net: nn.Module = build_described(('network_g',), section, weights.state, ', '.join(self.files))
        else:
            net = build_part(('network_g',), ARCH_REGISTRY, section)
        if weights is not None:
            load_weights(net, weights.state, ', '.join(self.files), True, described_network(weights.metadata))
        elif any(True for _ in net.parameters()):
            raise CheckpointError(f'{type(net).__name__} has weights, and there is no checkpoint of them; name one')
        return self._placed(net)

    def _placed(self, net: nn.Module) -> nn.Module:
        self.precision.require('network_g', net)
        self.precision.keep_images_whole(net)
        return self.precision.lay_out(net.to(self.device).eval().requires_grad_(False))

    @overload
    def restore(self, images: Image, enlarged: bool = False) -> np.ndarray: ...  # type: ignore[overload-overlap]

    @overload
    def restore(self, images: Sequence[Image], enlarged: bool = False) -> list[np.ndarray]: ...

    def restore(self, images: Image | Sequence[Image], enlarged: bool = False) -> np.ndarray | list[np.ndarray]:
        """Restores images.

        Args:
            images (Image | Sequence[Image]): One image or several. Each is an array (h, w, 3), a tensor (3, h, w), an
                image of PIL, or the path of a file; RGB; uint8, or floating point in [0, 1].
            enlarged (bool): They are stored at HR size, as FSRNet's published pairs are. Default: False.

        Returns:
            ndarray | list[ndarray]: For one image its result, for several a list in the same order. Each is
                (h * scale, w * scale, 3), RGB: uint8 for uint8, else float32 in [0, 1], not rounded. The size of
                enlarged ones stays.

        Raises:
            DatasetError: for something that is no such image, or a size that the network does not take.
        """
        single = isinstance(images, (str, os.PathLike, PIL.Image.Image)) or getattr(images, 'ndim', 4) < 4
        single = single or isinstance(images, (bytes, Mapping)) or not isinstance(images, Iterable)
        given: list[Any] = [images] if single else list(images)  # type: ignore[arg-type]
        arrays = [_to_array(img, i) for i, img in enumerate(given)]
        results = [out for group in _groups(arrays, self.batch_size) for out in self._restore(group, enlarged)]
        return results[0] if single else results

    @torch.no_grad()
    def _restore(self, images: Sequence[np.ndarray], enlarged: bool) -> list[np.ndarray]:
        """Images of one size and kind, together."""
        whole = images[0].dtype == np.uint8
        lq = torch.stack([_to_tensor(img) for img in images]).to(self.device)
        sr = self.restore_batch(lq, enlarged)
        if whole:
            return to_images(sr)
        return list(sr.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy())

    @torch.no_grad()
    def restore_batch(self, lq: torch.Tensor, enlarged: bool = False) -> torch.Tensor:
        """The result for a batch, not clamped.

        Sizes that the network does not take are filled up by repeating the border, and the result is cut.

        Args:
            lq (Tensor): (N, 3, h, w), RGB, [0, 1], on the device.
            enlarged (bool): It is at HR size already. Default: False.

        Returns:
            Tensor: (N, 3, h * scale, w * scale), float32, RGB; where ``enlarged``, (N, 3, h, w).

        Raises:
            DatasetError: for a size that a network of fixed size does not take, or an enlarged image for a network that
                takes the small one.
        """
        if enlarged and self.info.input != 'enlarged':
            raise DatasetError(
                f'{type(self.net).__name__} takes the small image, and these are enlarged; give the small '
                'ones, without enlarged'
            )
        given = enlarge(lq, self.scale) if self.info.input == 'enlarged' and not enlarged else lq
        size = self.info.sizes.fixed
        if size and given.shape[-2:] != (size, size):
            raise DatasetError(
                f'{type(self.net).__name__} takes {size}x{size} px alone, not {given.shape[-1]}x{given.shape[-2]} px'
            )
        if self.info.coords:
            given = with_coordinates(given)
        with self.precision.autocast():
            sr = upscale(
                self.net, self.precision.lay_out(given), self.info, self.scale, self.tiling, self.self_ensemble
            )
        return sr.float()


def find_checkpoints(checkpoint: PathLike | Sequence[PathLike], average_last: int | None = None) -> list[str]:
    """The files that `Restorer` reads.

    Args:
        checkpoint (str | PathLike | Sequence): As `Restorer` takes it.
        average_last (int | None): The last numbered ones of a run, so many.

    Raises:
        CheckpointError: if there is none, or not so many.
    """
    if not isinstance(checkpoint, (str, os.PathLike)):
        files = [str(path) for path in checkpoint]
        if not files or average_last is not None:
            raise CheckpointError('name one checkpoint or several; average_last is for the run of a single one')
        return files
    path = shipped_file(checkpoint) or user_path(checkpoint)
    path = latest_checkpoint(path) if path.is_dir() else path
    return [str(path)] if average_last is None else late_checkpoints(path, average_last)


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return default_device()
    try:
        found = torch.device(device)
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError, TypeError) as err:  # torch has other names for them, and other errors
        reason = str(err).strip().split('\n')[0]
        raise OptionError(f'{device!r} is none; say cpu, cuda, cuda:1 or mps ({reason})', ('device',)) from err
    if found.type == 'meta':
        raise OptionError('meta computes nothing; say cpu, cuda, cuda:1 or mps', ('device',))
    return found


def _tiling(tile: Any) -> Tiling | None:
    if tile is None or isinstance(tile, Tiling):
        return tile
    if type(tile) is not int or tile < 1:
        raise OptionError(f'must be a number from 1 on, or Tiling(size, overlap), not {tile!r}', ('tile',))
    return Tiling(tile, tile // 4)


def _network_section(
    arch: Mapping[str, Any] | PathLike | None, metadata: dict[str, Any], path: str
) -> tuple[dict[str, Any], int | None]:
    """What to build, and the scale where it is stated."""
    if isinstance(arch, Mapping):
        return dict(arch), None
    if arch is not None:
        return _read_section(arch)
    if not path:
        raise OptionError('names the network where there is no checkpoint: {"type": "Bicubic", "scale": 4}', ('arch',))
    if not metadata.get('arch'):
        raise CheckpointError(
            f'{path} does not say what network it holds, since it was not written by facesr_ext. Name it: the option '
            "file that has its network_g section (arch='options/x.yml', --arch options/x.yml), or in Python the "
            "section itself (arch={'type': 'MSRResNet', 'upscale': 4})"
        )
    return dict(metadata['arch']), metadata.get('scale')


def _read_section(path: PathLike) -> tuple[dict[str, Any], int | None]:
    if not isinstance(path, (str, os.PathLike)):
        raise OptionError(f'must be a section or an option file, not {path!r}', ('arch',))
    if Path(path).suffix not in OPTION_SUFFIXES:
        raise OptionError(f'{path} is no option file (*.yml)', ('arch',))
    file = OptionFile.read(str(user_path(path)))
    if file.problems:
        raise OptionError('\n'.join(map(str, file.problems)))
    if not isinstance(file.options.get('network_g'), dict):
        raise OptionError(f'{path} has no section network_g, which says what network the checkpoint holds')
    return dict(file.options['network_g']), file.options.get('scale')


def _choose_scale(stated: int | None, own: int) -> int:
    """A network that does not change the size leaves its scale to the file or the user."""
    if stated is None and own == 1:
        raise OptionError(
            'the network does not change the size, and nothing states by what its LQ is enlarged', ('scale',)
        )
    if stated is not None and own not in (1, stated):
        raise OptionError(f'{stated}, but the network is built for {own}', ('scale',))
    return stated or own


def _groups(images: Sequence[np.ndarray], most: int) -> Iterator[list[np.ndarray]]:
    """Neighbours of one size and kind."""
    group: list[np.ndarray] = []
    for img in images:
        if group and (len(group) == most or (img.shape, img.dtype) != (group[0].shape, group[0].dtype)):
            yield group
            group = []
        group.append(img)
    if group:
        yield group


def _to_array(img: Image, index: int) -> np.ndarray:
    """An image of any kind as (h, w, 3), uint8 or floating point in [0, 1].

    Raises:
        DatasetError: if it is none, with what to do.
    """
    if isinstance(img, (str, os.PathLike)):
        return read_image(user_path(img))
    if isinstance(img, PIL.Image.Image):
        if img.mode[0] in 'IF':  # whose values PIL cuts off at 255
            raise DatasetError(f'image {index} has mode {img.mode}; give RGB or grey of 8 bits, or an array')
        img = np.asarray(PIL.ImageOps.exif_transpose(img).convert('RGB'))  # turned as the file of it is read
    elif isinstance(img, torch.Tensor):
        if img.ndim != 3 or img.shape[0] != 3:
            raise DatasetError(f'image {index} is a tensor {tuple(img.shape)}; give (3, h, w) RGB')
        img = img.detach().float().cpu().numpy() if img.is_floating_point() else img.cpu().numpy()
        img = img.transpose(1, 2, 0)
    kind = f'{img.dtype} {img.shape}' if isinstance(img, np.ndarray) else type(img).__name__
    if not isinstance(img, np.ndarray) or img.ndim != 3 or img.shape[2] != 3 or not _is_pixels(img.dtype):
        raise DatasetError(f'image {index} is {kind}; give (h, w, 3) RGB, uint8 or floating point in [0, 1]')
    if not img.size:
        raise DatasetError(f'image {index} is {kind}: it has no pixels')
    if img.dtype != np.uint8 and not (img.min() >= -0.5 and img.max() <= 1.5):  # NaN is neither
        raise DatasetError(
            f'image {index} has values from {img.min():g} to {img.max():g}; floating point is in [0, 1] (for 0 to 255 '
            'give uint8, or divide by 255; for -1 to 1 add 1 and halve)'
        )
    return img


def _is_pixels(dtype: np.dtype[Any]) -> bool:
    return dtype == np.uint8 or dtype.kind == 'f'


def _to_tensor(img: np.ndarray) -> torch.Tensor:
    if img.dtype == np.uint8:
        return to_tensor(img)
    return torch.from_numpy(np.ascontiguousarray(img.transpose(2, 0, 1), dtype=np.float32))
