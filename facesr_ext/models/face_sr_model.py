from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace
from os import path as osp
from typing import Any

import numpy as np
import torch
from basicsr.models.sr_model import SRModel
from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only
from basicsr.utils.registry import ARCH_REGISTRY, MODEL_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import arch_info
from facesr_ext.archs.fsrnet_arch import FSRNetOutput
from facesr_ext.data.contact_sheet import contact_sheet
from facesr_ext.data.image_io import write_image
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import FaceSRError, OptionError
from facesr_ext.host import interrupts
from facesr_ext.host.parts import build_part, refuse_text_numbers, require_keys
from facesr_ext.imaging import to_images, with_coordinates
from facesr_ext.models.batch import Batch
from facesr_ext.models.budget import check_budget
from facesr_ext.models.device import choose_device, describe_device, sharing, wrap_distributed
from facesr_ext.models.forward import enlarge, mirror_mean, upscale
from facesr_ext.models.loss_table import LOSS_TABLE, build_losses, compute_losses
from facesr_ext.models.model_files import ModelFiles
from facesr_ext.models.param_groups import parameter_groups
from facesr_ext.models.precision import Precision
from facesr_ext.models.priors import PriorTargets
from facesr_ext.models.tiles import Tiling
from facesr_ext.models.validation import Validation
from facesr_ext.runs.keeping import Keeping
from facesr_ext.settings.train import Train

Losses = dict[str, torch.Tensor]


@MODEL_REGISTRY.register()
class FaceSRModel(ModelFiles):
    """Trains and tests one super-resolution network: the one training loop, driven by the loss table.

    On top of BasicSR's ``SRModel``: degradation on the device, prior targets, micro-batches, half precision, gradient
    clipping, EMA with buffers, a guard against non-finite steps, and checkpoints that resume exactly. What an iteration
    draws is a function of (manual_seed, rank, iteration) alone, so there is no random state to store.

    Args:
        opt (dict): The option file. Beside BasicSR's sections: ``degradation``, what
            :class:`~facesr_ext.models.precision.Precision` reads, in ``logger`` what
            :class:`~facesr_ext.runs.keeping.Keeping` reads, and in ``train``: ``micro_batch`` (samples a backward
            pass; default: all), ``grad_clip`` (largest gradient norm), ``nonfinite_patience`` (skipped steps in a row
            before training stops; default 10), ``prior_targets``, in ``optim_g`` also ``lr_scales`` (part of the
            network -> factor of ``lr``), and the losses of :data:`~facesr_ext.models.loss_table.LOSS_TABLE`.

    Raises:
        OptionError: for options that do not fit.
    """

    LOG_PREFIX = 'l_'
    SETTINGS: type[Train] = Train
    VALIDATION: type[Validation] = Validation
    TRAIN_KEYS = frozenset((
        *LOSS_TABLE, 'ema_decay', 'optim_g', 'scheduler', 'total_iter', 'warmup_iter', 'micro_batch', 'grad_clip',
        'nonfinite_patience', 'prior_targets',
    ))  # fmt: skip

    opt: dict[str, Any]

    def __init__(self, opt: dict[str, Any]) -> None:
        opt = deepcopy(opt)
        refuse_text_numbers('network_g', opt.get('network_g', {}))
        refuse_text_numbers('train', opt.get('train', {}))
        super(SRModel, self).__init__(opt)  # SRModel's own would build everything its way
        self.device = choose_device(opt)
        get_root_logger().info(f'Machine: {describe_device(self.device)}')
        if not isinstance(opt.get('scale'), int):
            raise OptionError('the LR-to-HR factor is missing at the top of the option file', ('scale',))
        self.scale: int = opt['scale']
        self.precision = Precision(opt, self.device)
        self.degradation = build_degradation(opt['degradation'], self.scale) if opt.get('degradation') else None
        self.current_iter = 0
        self.last_saved = 0
        self.started = False
        self.validated: dict[str, int | str] = {}
        self.net_g = self._build_net('g')
        self.info = arch_info(self.get_bare_model(self.net_g))
        train_opt = opt.get('train') or {}
        self.targets = PriorTargets(self.get_bare_model(self.net_g), train_opt.get('prior_targets') or {})
        if self.info.scale not in (1, self.scale):
            raise OptionError(
                f'built for scale {self.info.scale}, but scale is {self.scale}; make them agree', ('network_g', 'scale')
            )
        if self.is_train:
            self.init_training_settings()

    @property
    def factor(self) -> int:
        """LR-to-result factor of what is computed now: ``scale``, unless the network is still to grow to it."""
        return self.scale

    def _build_net(self, label: str) -> nn.Module:
        """Builds ``network_<label>``, brings it to the device and loads its ``pretrain_network_<label>``."""
        section = f'network_{label}'
        net = build_part((section,), ARCH_REGISTRY, self.opt.get(section))
        self.precision.check(section, net)
        if label == 'g':
            check_budget(net, self.opt.get('challenge') or {})
        penalised = label == 'd' and bool((self.opt.get('train') or {}).get('gradient_penalty_opt'))
        self.precision.compile(net, penalised)
        net = self.model_to_device(self.precision.lay_out(net))
        self.print_network(net)
        path = self.opt['path'].get(f'pretrain_network_{label}')
        if path:
            files = self._weight_files(label, path)
            self.load_network(net, files, self.opt['path'].get(f'strict_load_{label}', True), self._param_key(label))
        return net

    def model_to_device(self, net: nn.Module) -> nn.Module:
        """Brings a network to the device, and among several processes shares its gradients."""
        if not self.opt['dist']:
            return super().model_to_device(net)
        return wrap_distributed(net.to(self.device), self.device, self.opt.get('find_unused_parameters', False))

    @master_only
    def print_network(self, net: nn.Module) -> None:
        """One line for each network; BasicSR prints every layer."""
        bare = self.get_bare_model(net)
        get_root_logger().info(
            f'Network: {type(bare).__name__}, {sum(p.numel() for p in bare.parameters()):,d} parameters'
        )

    # ---- training: settings -------------------------------------------------------------------------------------

    def init_training_settings(self) -> None:
        """Losses, EMA, optimisers and schedulers."""
        train_opt = self.opt['train']
        require_keys(('train',), train_opt, ('optim_g', 'scheduler', 'total_iter'), self.TRAIN_KEYS)
        self.targets.check_supervised(train_opt, self.opt['datasets'].get('train', {}))
        self.net_g.train()
        self.ema_decay = train_opt.get('ema_decay', 0)
        if self.ema_decay > 0:
            self._init_ema()
        self.losses = build_losses(train_opt, self.device)
        if not self.losses:
            raise OptionError(f'there is no loss; add one of {", ".join(LOSS_TABLE)}', ('train',))
        self.micro_batch: int | None = train_opt.get('micro_batch')
        self.keeping = Keeping(self.opt)
        self.bad_steps = {'g': 0, 'd': 0}
        self.setup_optimizers()
        self.setup_schedulers()

    def _init_ema(self) -> None:
        self.net_g_ema = deepcopy(self.get_bare_model(self.net_g)).requires_grad_(False).eval()
        path = self.opt['path'].get('pretrain_network_g')
        if path and self.opt['path'].get('resume_state'):
            self.load_network(self.net_g_ema, path, self.opt['path'].get('strict_load_g', True), 'params_ema')

    def setup_optimizers(self) -> None:
        self.optimizer_g = self._build_optimizer('optim_g', self.net_g)

    def _build_optimizer(self, section: str, net: nn.Module) -> torch.optim.Optimizer:
        """Builds an optimiser of torch.optim by its name and enrols it; ``lr_scales``: slower parts of the network."""
        settings = dict(self.opt['train'].get(section) or {})
        bare = self.get_bare_model(net)
        if not settings.get('type') or 'lr' not in settings:
            raise OptionError('needs a type and a lr', ('train', section))
        try:
            groups = parameter_groups(bare, settings['lr'], settings.pop('lr_scales', None))
        except OptionError as err:
            raise OptionError(err.message, ('train', section, *err.key)) from err
        if not groups:
            raise OptionError(f'{type(bare).__name__} has no parameters to train', ('train', section))
        try:
            optimizer = self.get_optimizer(settings.pop('type'), groups, **settings)
        except (TypeError, ValueError, RuntimeError) as err:  # RuntimeError: fused where there is no such kernel
            raise OptionError(str(err), ('train', section)) from err
        self.optimizers.append(optimizer)
        return optimizer

    def setup_schedulers(self) -> None:
        kept = self.opt
        self.opt = deepcopy(kept)  # BasicSR takes the type out of the section that it reads
        try:
            super().setup_schedulers()
        except (KeyError, TypeError, NotImplementedError, AssertionError) as err:
            raise OptionError(str(err), ('train', 'scheduler')) from err
        finally:
            self.opt = kept

    # ---- training: one iteration --------------------------------------------------------------------------------

    def update_learning_rate(self, current_iter: int, warmup_iter: int = -1) -> None:
        """The runner's first call of an iteration: takes note of its number and seeds it.

        Raises:
            RunInterrupted: if a signal has asked for the end; everything up to the iteration before is saved.
        """
        interrupts.arm()
        self.stop_if_asked(current_iter)
        super().update_learning_rate(current_iter, warmup_iter)
        self.current_iter = current_iter
        seeds = np.random.SeedSequence([self.opt['manual_seed'] or 0, self.opt['rank'], current_iter]).generate_state(2)
        torch.manual_seed(int(seeds[0]))  # dropout and the like
        self.generator = torch.Generator(self.device).manual_seed(int(seeds[1]))

    def stop_if_asked(self, next_iter: int | None = None) -> None:
        """Saves what is finished and ends the run, where Ctrl-C or SIGTERM has asked for it.

        Args:
            next_iter (int | None): The iteration about to begin. Processes of a distributed run agree there, every
                ``print_freq``, and nowhere else.

        Raises:
            RunInterrupted: if so.
        """
        if not self.opt['dist']:
            signum = interrupts.requested()
        elif next_iter is not None and next_iter % self.opt['logger']['print_freq'] == 0:
            signum = interrupts.requested_anywhere(self.device)
        else:
            return
        if signum:
            if self.current_iter > self.last_saved:
                self.save(0, self.current_iter)
            get_root_logger().info(f'Stopped and saved at iteration {self.current_iter}; --auto_resume goes on there.')
            raise interrupts.RunInterrupted(signum)

    def feed_data(self, data: dict[str, Any]) -> None:
        """Takes a training batch: moves it, degrades it, makes the prior targets."""
        train_set = self.opt['datasets']['train']
        enlarged = bool(train_set.get('lq_enlarged'))
        if train_set.get('degrade_in_workers') and self.degradation is not None:
            enlarged = self.degradation.enlarged
        self.batch = self._prepare(data, self.generator, enlarged, train=True)
        self.lq, self.gt = self.batch.lq, self.batch.gt
        if not self.started:
            self.started = True
            self._write_first_batch()

    def _prepare(self, data: dict[str, Any], generator: torch.Generator, enlarged: bool, train: bool = False) -> Batch:
        """A batch as the network takes it.

        Args:
            data (dict): What the dataset gave, collated.
            generator (Generator): What the degradation draws from.
            enlarged (bool): Whether a stored LQ is at HR size.
            train (bool): The GT is what the degradation has the network trained towards. Default: False.

        Raises:
            OptionError: if LQ, degradation and network do not fit each other.
        """
        gt = data['gt'].to(self.device) if 'gt' in data else None
        if 'lq' in data:
            lq = data['lq'].to(self.device)
        elif self.degradation is None or gt is None:
            raise OptionError(
                'the data set gives no LQ: add a degradation section (such as preset: fsrnet_x8), or use a '
                'paired data set (PairedFaceDataset with dataroot_lq)'
            )
        else:
            (lq, target), enlarged = self.degradation.pair(gt, generator), self.degradation.enlarged
            gt = target if train else gt
        if enlarged and self.info.input == 'small':
            raise OptionError(
                f'{type(self.get_bare_model(self.net_g)).__name__} takes the small image, but the LQ is '
                'enlarged; unset lq_enlarged / enlarge, or set upscale_input: false',
                ('network_g',),
            )
        big = lq if enlarged else enlarge(lq, self.factor)
        given = big if self.info.input == 'enlarged' else lq
        self._check_size(given)
        if self.info.coords:
            given = with_coordinates(given, data.get('position'))
        priors = self.targets.make(data, tuple(big.shape[-2:]), self.device)
        return Batch(lq=self.precision.lay_out(given), enlarged=big, gt=gt, **priors)

    def _check_size(self, lq: torch.Tensor) -> None:
        multiple = self.info.sizes.multiple_of
        if lq.shape[-2] % multiple or lq.shape[-1] % multiple:
            raise OptionError(
                f'its input is {lq.shape[-1]}x{lq.shape[-2]} px, but must be a multiple of {multiple}; '
                'change '
                'image_size / gt_size, or for FSRNet hg_depth',
                ('network_g',),
            )

    def optimize_parameters(self, current_iter: int) -> None:
        """One iteration; BasicSR's runner calls it."""
        self.step_logs = self.generator_step()

    def generator_step(self) -> Losses:
        """One step of ``net_g``; returns what to log."""
        logs = self._step(self.net_g, self.optimizer_g, self._generator_losses)
        if self.ema_decay > 0:
            self.model_ema(self.ema_decay)
        return logs

    def _generator_losses(self, batch: Batch) -> tuple[Losses, Losses]:
        """Forward pass of a micro-batch: its losses, and further figures for the log."""
        with self.precision.autocast():
            out = self._forward(self.net_g, batch)
        out = out._replace(sr=out.sr.float(), coarse=out.coarse.float())
        self.last_sr = out.sr
        self.outputs.append(out.sr.detach())
        losses = {self.LOG_PREFIX + name: value for name, value in compute_losses(self.losses, out, batch).items()}
        return losses, {'psnr': _batch_psnr(out.sr.detach(), batch.gt)}

    def _forward(self, net: nn.Module, batch: Batch) -> FSRNetOutput:
        """The network's result, with its intermediate ones where it has any."""
        if arch_info(self.get_bare_model(net)).priors is not None:
            return net(batch.lq, return_priors=True)
        sr = net(batch.lq)
        return FSRNetOutput(sr, sr, (), ())

    def _step(
        self, net: nn.Module, optimizer: torch.optim.Optimizer, forward: Callable[[Batch], tuple[Losses, Losses]]
    ) -> Losses:
        """Accumulates gradients over micro-batches and steps, unless something is not finite."""
        label = 'g' if net is self.net_g else 'd'
        scaler = self.precision.scaler(label)
        buffers = [b.clone() for b in net.buffers()]  # a forward pass that overflows spoils BatchNorm's statistics
        optimizer.zero_grad(set_to_none=True)
        self.outputs: list[torch.Tensor] = []
        logs: Losses = {}
        parts = list(self._micro_batches())
        whole = torch.zeros((), device=self.device)
        for number, (batch, share) in enumerate(parts, 1):
            with sharing(net, last=number == len(parts)):
                losses, figures = forward(batch)
                total = torch.stack(list(losses.values())).sum() * share
                scaler.scale(total).backward()
            whole += total.detach()
            for name, value in {**losses, **figures}.items():
                logs[name] = logs.get(name, 0) + value.detach() * share
        scaler.unscale_(optimizer)
        limit = self.opt['train'].get('grad_clip') or float('inf')
        norm = nn.utils.clip_grad_norm_(net.parameters(), limit)
        logs[f'grad_norm_{label}'] = norm.detach()
        if bool(torch.isfinite(norm)):  # a loss that is not finite has no finite gradient, on any process
            scaler.step(optimizer)
            self.bad_steps[label] = 0
        else:
            for buffer, old in zip(net.buffers(), buffers, strict=True):
                buffer.copy_(old)
            if not self.precision.scaler_finds_its_scale(label, whole):
                self._count_bad_step(label)
        scaler.update()
        return logs

    def _micro_batches(self) -> Iterable[tuple[Batch, float]]:
        size = len(self.batch)
        step = self.micro_batch or size
        for start in range(0, size, step):
            part = self.batch.part(start, min(start + step, size))
            yield part, len(part) / size

    def _count_bad_step(self, label: str) -> None:
        """Reports a skipped step; after ``nonfinite_patience`` in a row saves the weights as they were, and stops."""
        self.bad_steps[label] += 1
        count, patience = self.bad_steps[label], self.opt['train'].get('nonfinite_patience', 10)
        get_root_logger().warning(
            f'Iteration {self.current_iter}: loss or gradient of net_{label} is not finite; step skipped '
            f'({count} of {patience})'
        )
        if count >= patience:
            good = max(0, self.current_iter - count)
            self.save(0, good)
            raise FaceSRError(
                f'{patience} steps of net_{label} in a row were not finite. The last good state is saved as iteration '
                f'{good} in {self.opt["path"]["models"]}. Lower train:optim_{label}:lr, set train:grad_clip, or look '
                'for bad images.'
            )

    @torch.no_grad()
    def model_ema(self, decay: float = 0.999) -> None:
        """Averages parameters and float buffers, copies other buffers; the decay warms up as (1 + t) / (10 + t)."""
        decay = min(decay, (1 + self.current_iter) / (10 + self.current_iter))
        own, ema = self.get_bare_model(self.net_g).state_dict(), self.net_g_ema.state_dict()
        floats = [key for key in ema if ema[key].is_floating_point()]
        torch._foreach_lerp_([ema[key] for key in floats], [own[key] for key in floats], 1 - decay)
        for key in ema.keys() - set(floats):
            ema[key].copy_(own[key])

    def get_current_log(self) -> OrderedDict[str, float]:
        """Losses of the last step, gathered and averaged over the processes; the runner asks every ``print_freq``."""
        return self.reduce_loss_dict(self.step_logs)

    # ---- validation ---------------------------------------------------------------------------------------------

    def validation(self, dataloader: Any, current_iter: int | str, tb_logger: Any, save_img: bool = False) -> None:
        """Metrics, losses, images, per-image CSV and contact sheet of one set, by the first process."""
        if self.is_train:
            current_iter = self.current_iter  # the runner has counted on past the end when it validates last
        name = dataloader.dataset.opt['name']
        if self.opt['rank'] == 0 and self.validated.get(name) != current_iter:
            self.validated[name] = current_iter
            self.VALIDATION(self, dataloader, current_iter).run(tb_logger, save_img)

    def predict(self, data: dict[str, Any], lq_enlarged: bool) -> tuple[Batch, FSRNetOutput]:
        """One validation batch and its result."""
        batch = self.prepare_validation(data, lq_enlarged)
        return batch, self.infer(batch)

    @torch.no_grad()
    def prepare_validation(self, data: dict[str, Any], lq_enlarged: bool) -> Batch:
        """A validation batch, degraded by a seed from its first picture's name; the CPU draws for every device."""
        name = osp.splitext(osp.basename((data.get('gt_path') or data['lq_path'])[0]))[0]
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        return self._prepare(data, generator, lq_enlarged)

    @torch.no_grad()
    def infer(self, batch: Batch, tiling: Tiling | None = None, self_ensemble: bool = False) -> FSRNetOutput:
        """The result for a batch in fp32, by the averaged weights where there are any.

        Args:
            batch (Batch): What the network takes.
            tiling (Tiling | None): Cut pictures larger than a tile; their result has no intermediate ones.
            self_ensemble (bool): Take the mean with the mirrored picture's result; intermediate ones are the picture's
                own. Default: False.
        """
        # The bare network: the first process validates alone, and must not wait for the others.
        net = getattr(self, 'net_g_ema', self.get_bare_model(self.net_g))
        training = net.training
        net.eval()

        def forward(lq: torch.Tensor) -> torch.Tensor:
            return self._forward(net, replace(batch, lq=lq)).sr

        if tiling is not None and tiling.needed(batch.lq):
            sr = upscale(forward, batch.lq, self.info, self.factor, tiling, self_ensemble)
            out = FSRNetOutput(sr, sr, (), ())
        else:
            out = self._forward(net, batch)
            out = out._replace(sr=mirror_mean(out.sr, forward, batch.lq)) if self_ensemble else out
        net.train(training)
        return out

    def validation_losses(self, out: FSRNetOutput, batch: Batch) -> dict[str, float]:
        """The losses of the table on a validation batch."""
        if not self.is_train or batch.gt is None:
            return {}
        with torch.no_grad():
            return {self.LOG_PREFIX + name: float(v) for name, v in compute_losses(self.losses, out, batch).items()}

    @master_only
    def _write_first_batch(self) -> None:
        """LQ | GT of the first batch, with the priors drawn: what the network is really given."""
        columns, count = self._first_batch_columns(), min(8, len(self.batch))
        pictures = {title: to_images(t[:count]) for title, t in columns.items() if t is not None}
        rows = [[pictures[title][i] for title in pictures] for i in range(count)]
        path = osp.join(self.opt['path']['visualization'], 'first_batch.png')
        write_image(path, contact_sheet(rows, list(pictures)))
        get_root_logger().info(f'First batch as the network sees it: {path}')

    def _first_batch_columns(self) -> dict[str, torch.Tensor | None]:
        """What is worth seeing of a batch, (N, 3, H, W) each, by its headline."""
        batch = self.batch
        columns = {'LQ': batch.enlarged, 'GT': batch.gt}
        if batch.planes is not None:
            columns['parsing'] = _paint(batch.planes)
        if batch.heatmaps is not None:
            columns['landmarks'] = batch.heatmaps.amax(1, keepdim=True).expand(-1, 3, -1, -1)
        return columns


def _batch_psnr(sr: torch.Tensor, gt: torch.Tensor | None) -> torch.Tensor:
    """Mean PSNR-RGB (dB) of a batch, as a tensor so that nothing waits for the device."""
    if gt is None:
        return sr.new_zeros(())
    mse = (sr.clamp(0, 1) - gt).square().flatten(1).mean(1)
    return (-10 * mse.clamp(min=1e-10).log10()).mean()


def _paint(planes: torch.Tensor) -> torch.Tensor:
    """(N, C, h, w) parsing planes -> (N, 3, h, w) in one colour a plane."""
    hues = torch.arange(planes.shape[1], device=planes.device) * 2.4
    colours = torch.stack([hues.cos(), (hues + 2.1).cos(), (hues + 4.2).cos()], 1) * 0.4 + 0.5
    return torch.einsum('nchw,cr->nrhw', planes, colours)
