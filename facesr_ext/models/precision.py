"""Numeric precision, compilation and memory layout of a model, chosen once from the option file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from basicsr.utils import get_root_logger
from torch import nn

from facesr_ext.archs.arch_info import arch_info
from facesr_ext.errors import OptionError
from facesr_ext.host.parts import known_name

AUTO = 'auto'
"""The precision that suits the processor, and what it computes."""
_RGB = 3
PRECISIONS = {'fp32': None, 'bf16': torch.bfloat16, 'fp16': torch.float16}


def cpu_computes_in_bf16() -> bool:
    """Whether the CPU has instructions for bf16; without them it is slower than fp32."""
    names = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
    checks: list[Callable[[], bool] | None] = [getattr(torch.cpu, name, None) for name in names]
    return any(check is not None and check() for check in checks)


def computes_in_bf16(device: torch.device) -> bool:
    """Whether a CPU or a CUDA device has instructions for bf16; others are not asked."""
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == 'cpu' and cpu_computes_in_bf16()


class _Conv2dInFp32(nn.Conv2d):
    """A convolution that autocast leaves alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class Precision:
    """``precision: auto | fp32 | bf16 | fp16``, ``channels_last``, ``compile`` and ``tf32`` of an option file.

    Training runs under autocast; parameters, losses and optimisers stay fp32, and so do validation and the layers that
    make an image. fp16 needs a CUDA device and scales its losses, separately for each network. ``auto`` is bf16 where
    the device has instructions for it and every network bears it, else fp32.

    Args:
        opt (dict): The whole option file.
        device (device): Where the model runs.

    Raises:
        OptionError: for another precision, or fp16 without CUDA.
    """

    def __init__(self, opt: dict[str, Any], device: torch.device) -> None:
        name = known_name(('precision',), opt.get('precision', 'fp32'), (AUTO, *PRECISIONS))
        self.automatic = name == AUTO
        if self.automatic:
            name = 'bf16' if computes_in_bf16(device) else 'fp32'
        if name == 'fp16' and device.type != 'cuda':
            raise OptionError(f'fp16 needs a CUDA device, this is {device.type}; use bf16 (or fp32)', ('precision',))
        self.dtype, self.device_type = PRECISIONS[name], device.type
        self.layout = torch.channels_last if opt.get('channels_last') else torch.contiguous_format
        self.compiles = bool(opt.get('compile'))
        self.scalers: dict[str, torch.amp.GradScaler] = {}
        allowed = opt.get('tf32')
        if device.type == 'cuda' and allowed is not None:
            torch.set_float32_matmul_precision('high' if allowed else 'highest')
            torch.backends.cudnn.allow_tf32 = allowed

    def require(self, section: str, net: nn.Module) -> None:
        """Raises OptionError where the network does not bear half precision; with ``auto`` all is in fp32 then."""
        if self.dtype is None or arch_info(net).halves:
            return
        if self.automatic:
            self.dtype = None
        else:
            raise OptionError(f'{section} is {type(net).__name__}, which needs fp32', ('precision',))

    def keep_images_whole(self, net: nn.Module) -> None:
        """Has the convolutions that make an image compute in fp32 under autocast: the last one, and those to RGB.

        Between 0.5 and 1, bf16 has 128 values, no more than 8 bits have. MSRResNet in bf16 was 0.2 dB behind fp32 after
        60 iterations for that alone. Names in the state dict stay as they are.
        """
        if self.dtype is None:
            return
        convs = [layer for layer in net.modules() if type(layer) is nn.Conv2d]
        for layer in convs:
            if layer.out_channels == _RGB or layer is convs[-1]:
                layer.__class__ = _Conv2dInFp32  # the same layer: its weights, hooks and names are kept

    def tell(self, device: torch.device) -> None:
        """Logs what ``auto`` has chosen, and warns where a faster precision is left unused."""
        name = next(name for name, dtype in PRECISIONS.items() if dtype is self.dtype)
        if self.automatic:
            get_root_logger().info(f'precision: {name} (auto)')
        elif name == 'fp32' and device.type == 'cpu' and cpu_computes_in_bf16():
            get_root_logger().warning(
                'precision: fp32, on a CPU that has instructions for bf16: precision: auto takes them, and trains '
                '1.4 to 2 times as fast'
            )

    def compile(self, net: nn.Module, penalised: bool = False) -> None:
        """Compiles a network in place where ``compile`` is set; the names in its state dict stay as they are.

        Args:
            net (Module): The bare network.
            penalised (bool): It is trained under a gradient penalty, whose double backward pass no compiled network
                bears: it stays as it is.
        """
        if self.compiles and not penalised:
            net.compile()

    def lay_out(self, value: nn.Module | torch.Tensor, net: nn.Module | None = None) -> Any:
        """A network or an (N, C, H, W) batch in the memory layout chosen, if the network bears it.

        Args:
            value (Module | Tensor): What to lay out.
            net (Module | None): The bare network that a batch is for.
        """
        laid = value if net is None else net
        plain = isinstance(laid, nn.Module) and not arch_info(laid).channels_last
        layout = torch.contiguous_format if plain else self.layout
        if isinstance(value, torch.Tensor):
            return value.contiguous(memory_format=layout)
        return value.to(memory_format=layout)  # type: ignore[call-overload]

    def autocast(self) -> torch.autocast:
        """Context of a training forward pass."""
        return torch.autocast(self.device_type, dtype=self.dtype or torch.bfloat16, enabled=self.dtype is not None)

    # ---- loss scaling, for fp16 ---------------------------------------------------------------------------------

    def scaler(self, label: str) -> torch.amp.GradScaler:
        """The loss scaler of a network ('g', 'd'); outside of fp16 one that does nothing."""
        if label not in self.scalers:
            self.scalers[label] = torch.amp.GradScaler(self.device_type, enabled=self.dtype is torch.float16)
        return self.scalers[label]

    def scaler_finds_its_scale(self, label: str, total: torch.Tensor) -> bool:
        """Whether a step that was not finite is the scaler's own: too large a scale, which it lowers by itself.

        Args:
            label (str): The network.
            total (Tensor): The step's loss, unscaled.
        """
        scaler = self.scaler(label)
        return scaler.is_enabled() and bool(torch.isfinite(total)) and scaler.get_scale() > 1

    def state_dict(self) -> dict[str, Any]:
        """What a training state holds of it: the scalers in use."""
        return {label: scaler.state_dict() for label, scaler in self.scalers.items() if scaler.is_enabled()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts the scalers back; a run that has changed its precision goes on with fresh ones."""
        for label, inner in state.items():
            if self.scaler(label).is_enabled():
                self.scaler(label).load_state_dict(inner)
