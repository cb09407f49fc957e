from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only
from basicsr.utils.registry import MODEL_REGISTRY
from torch import nn

from facesr_ext.errors import DatasetError, FaceSRError
from facesr_ext.host import interrupts, resume
from facesr_ext.models.augment import augment, augment_faults, permute_colours
from facesr_ext.models.base import FaceModel
from facesr_ext.models.batch import Batch, Output, images_given
from facesr_ext.models.loss_table import READERS, batch_psnr, build_losses, compute_losses, inputs_read, losses_at_fault
from facesr_ext.models.pace import LONG, SHORTER, Pace
from facesr_ext.models.param_groups import build_optimizer
from facesr_ext.models.priors import PriorTargets
from facesr_ext.models.recycling import Recycler
from facesr_ext.models.resuming import batch_changes, batch_of, load_moments, move_to, scheduler_changes, tell_changes
from facesr_ext.models.schedules import build_scheduler
from facesr_ext.models.sheets import batch_columns, write_sheet
from facesr_ext.models.step import Losses, Pass, Step, StepResult
from facesr_ext.models.validation import Judged
from facesr_ext.runs.files import RunFiles
from facesr_ext.runs.keeping import BestOf, Keeping, is_better
from facesr_ext.settings.logger import Logger
from facesr_ext.settings.reading import read
from facesr_ext.settings.top import FaceTestFile, FaceTrainFile
from facesr_ext.settings.train import Train, keys_of_heirs


@MODEL_REGISTRY.register()
class FaceSRModel(FaceModel):
    """Trains and tests one super-resolution network: the one training loop, driven by the loss table.

    On top of what BasicSR's ``SRModel`` does: degradation on the device, prior targets, micro-batches, half precision,
    gradient clipping, EMA with buffers, a guard against non-finite steps, and checkpoints that resume exactly. What an
    iteration draws is a function of (manual_seed, rank, iteration) alone, so there is no random state to store.

    Args:
        opt (dict): The option file; what its ``train`` may have, SETTINGS states.

    Raises:
        OptionError: for options that do not fit.
        CheckpointError: for weights that do not.
    """

    LOG_PREFIX = 'l_'
    SETTINGS: type[Train] = Train
    SERVES = frozenset(READERS)  # what losses can read

    train_settings: Train  # as SETTINGS states it; in training alone

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        self.started = self.to_validate = False
        self._generator: torch.Generator | None = None
        if self.is_train:
            self.init_training_settings()

    def _read_options(self) -> FaceTrainFile | FaceTestFile:
        settings = super()._read_options()
        if self.is_train:
            left_over = keys_of_heirs(self.SETTINGS, self.opt['train'])  # the check has warned of them
            own = {key: value for key, value in self.opt['train'].items() if key not in left_over}
            self.train_settings = read(self.SETTINGS, own, ('train',))
            self.logger = read(Logger, self.opt.get('logger'), ('logger',))
        return settings

    def _build_targets(self, net: nn.Module) -> PriorTargets:
        if not self.is_train:
            return super()._build_targets(net)
        wanted = self.train_settings.prior_targets
        return PriorTargets(net, wanted.parsing, wanted.sigma)

    # ---- training: settings -------------------------------------------------------------------------------------

    def init_training_settings(self) -> None:
        """Losses, EMA, optimisers, schedulers and files."""
        train_opt, settings = self.opt['train'], self.train_settings
        train_set = self.opt['datasets'].get('train', {})
        for err in losses_at_fault(train_opt, train_set, self.info, self.SERVES):
            raise err
        self.targets.require_supervised(train_opt, train_set)
        self.net_g.train()
        self.ema_decay: float = settings.ema_decay
        if self.ema_decay > 0:
            self._init_ema()
        self.losses = build_losses(train_opt, self.device)
        for err in augment_faults(settings.augment, inputs_read(self.losses), self.info):
            raise err
        self.recycler = Recycler(inputs_read(self.losses), self.degradation, self.scale, self.info)
        self.micro_batch: int | None = settings.micro_batch
        self.files = RunFiles(self.opt, self.info, self.folder, self._build_keeping())
        self.files.clean()
        self.best_metric_results: dict[str, dict[str, dict[str, Any]]] = {}
        self.step_logs: Losses = {}
        self.steps: dict[str, Step] = {}
        self.pace = Pace(settings.total_iter)
        self._averaged: list[tuple[torch.Tensor, torch.Tensor]] = []  # (average, own), once it is known
        self.setup_optimizers()
        self.setup_schedulers()

    def _build_keeping(self) -> Keeping:
        sets = [section['name'] for phase, section in self.opt['datasets'].items() if phase.startswith('val')]
        metric = self.logger.best_metric(list(self.metrics), bool(sets))
        best = BestOf(sets[0], metric, self.metrics.higher_is_better(metric)) if metric is not None else None
        return Keeping(self.folder, self.logger.keep_last, self.logger.keep_every, best)

    def _init_ema(self) -> None:
        self.net_g_ema = deepcopy(self.get_bare_model(self.net_g)).requires_grad_(False).eval()
        path = self.opt['path'].get('pretrain_network_g')
        if path and self.opt['path'].get('resume_state'):
            self._load(self.net_g_ema, 'g', [path], 'params_ema')

    def setup_optimizers(self) -> None:
        self.optimizer_g = self._build_optimizer('g', self.net_g)

    def _build_optimizer(self, label: str, net: nn.Module) -> torch.optim.Optimizer:
        """Builds an optimiser, and what steps with it."""
        key = ('train', f'optim_{label}')
        optimizer = build_optimizer(self.get_bare_model(net), self.opt['train'][key[1]], key, self.get_optimizer)
        self.optimizers.append(optimizer)
        limits = self.train_settings.grad_clip, self.train_settings.nonfinite_patience
        self.steps[label] = Step(label, net, optimizer, self.precision, *limits)
        return optimizer

    def setup_schedulers(self) -> None:
        section, total = self.opt['train']['scheduler'], self.train_settings.total_iter
        self.schedulers += [build_scheduler(section, optimizer, total) for optimizer in self.optimizers]

    # ---- training: one iteration --------------------------------------------------------------------------------

    def update_learning_rate(self, current_iter: int, warmup_iter: int = -1) -> None:
        """The runner's first call of an iteration: takes note of its number and seeds it.

        Raises:
            RunInterrupted: if a signal has asked for the end; everything up to the iteration before is saved.
        """
        interrupts.arm()
        self._validate_again()
        self.stop_if_asked(current_iter)
        self._tell_pace(current_iter)
        super().update_learning_rate(current_iter, warmup_iter)
        self.current_iter = current_iter
        torch.manual_seed(self._seeds()[0])  # dropout and the like
        self._generator = torch.Generator(self.device).manual_seed(self._seeds()[1])

    @master_only
    def _tell_pace(self, current_iter: int) -> None:
        text = self.pace.estimate(current_iter)
        if text is not None and (self.pace.left or 0) > LONG:
            get_root_logger().warning(f'{text}; {SHORTER}.')
        elif text is not None:
            get_root_logger().info(f'{text}.')

    def _seeds(self) -> list[int]:
        """Two seeds of this iteration and process: of torch's own generator, and of ours."""
        entropy = [self.opt.get('manual_seed') or 0, self.opt.get('rank', 0), self.current_iter]
        return [int(seed) for seed in np.random.SeedSequence(entropy).generate_state(2)]

    @property
    def generator(self) -> torch.Generator:
        """What training draws from; a loop that never calls `update_learning_rate` goes on with the first one."""
        if self._generator is None:
            self._generator = torch.Generator(self.device).manual_seed(self._seeds()[1])
        return self._generator

    def stop_if_asked(self, next_iter: int | None = None) -> None:
        """Saves what is finished and ends the run, where Ctrl-C or SIGTERM has asked for it.

        Args:
            next_iter (int | None): The iteration about to begin. Processes of a distributed run agree there, every
                ``print_freq``, and nowhere else.

        Raises:
            RunInterrupted: if so.
        """
        if not self.is_train:
            return
        if not self.opt['dist']:
            signum = interrupts.requested()
        elif next_iter is not None and next_iter % self.logger.print_freq == 0:
            signum = interrupts.requested_anywhere(self.device)
        else:
            return
        if signum:
            if self.current_iter > self.files.last_saved:
                self.save(0, self.current_iter)
            get_root_logger().info(f'Stopped and saved at iteration {self.current_iter}; --auto_resume goes on there.')
            raise interrupts.RunInterrupted(signum)

    def feed_data(self, data: dict[str, Any]) -> None:
        """Takes a batch: moves it, degrades it, makes the prior targets; outside of a training as validation does.

        Raises:
            DatasetError: for what is no batch, or without GT.
        """
        if not self.is_train:
            super().feed_data(data)
            return
        data = images_given(data)
        if 'gt' not in data:
            raise DatasetError('a batch without gt: a training needs it')
        train_set = self.opt['datasets']['train']
        enlarged = bool(train_set.get('lq_enlarged'))
        if train_set.get('degrade_in_workers') and self.degradation is not None:
            enlarged = self.degradation.enlarged
        chosen = self.train_settings.augment
        data = permute_colours(data, chosen.colours, self.generator) if chosen.colours else data
        self.batch = augment(self._prepare(data, self.generator, enlarged, train=True), chosen, self.generator)
        self.lq, self.gt = self.batch.lq, self.batch.gt
        if self.gt is not None and self.batch.unpaired is None and self.batch.enlarged.shape != self.gt.shape:
            sizes = (tuple(image.shape[-2:]) for image in (self.lq, self.gt))
            raise DatasetError('an lq of {} px for a gt of {} px at scale {}'.format(*sizes, self.scale))
        if not self.started:
            self.started = True
            self._write_first_batch()

    def _prepare(self, data: dict[str, Any], generator: torch.Generator, enlarged: bool, train: bool = False) -> Batch:
        batch = super()._prepare(data, generator, enlarged, train)
        if not self.is_train or 'regions' not in self.recycler.reads:
            return batch
        labels = {key: data[key].to(self.device) for key in ('parsing', 'landmarks') if key in data}
        if 'parsing' in labels:
            labels['parsing'] = labels['parsing'].long()
        return replace(batch, **labels)

    def optimize_parameters(self, current_iter: int) -> None:
        """One iteration; BasicSR's runner calls it."""
        self.current_iter = current_iter
        self.step_logs = self.generator_step(self.micro_batches()).logs

    def micro_batches(self) -> list[Batch]:
        """The batch in parts that go through the network one after the other."""
        size = len(self.batch)
        step = self.micro_batch or size
        return [self.batch.part(start, min(start + step, size)) for start in range(0, size, step)]

    def generator_step(self, parts: Sequence[Batch]) -> StepResult:
        """One step of ``net_g``, and of its average."""
        result = self.run_step('g', parts, self._generator_pass)
        if self.ema_decay > 0:
            self.model_ema(self.ema_decay)
        return result

    def _generator_pass(self, batch: Batch) -> Pass:
        with self.precision.autocast():
            out = self._forward(self.net_g, batch)
        out = self._complete(self.net_g, batch, out.float(), self._seeds()[1])
        made = out.sr.detach()
        return Pass(self.generator_losses(batch, out), {'psnr': batch_psnr(made, batch.gt)}, made)

    def _complete(self, net: nn.Module, batch: Batch, out: Output, seed: int = 0) -> Output:
        """The result with what losses read that look at it once more."""

        def again(other: Batch) -> torch.Tensor:
            with self.precision.autocast():
                return self._forward(net, other).sr.float()

        return self.recycler.complete(out, batch, again, seed)

    def generator_losses(self, batch: Batch, out: Output) -> Losses:
        """What is to fall for a micro-batch and its result, by its name in the log."""
        return {self.LOG_PREFIX + name: value for name, value in compute_losses(self.losses, out, batch).items()}

    def run_step(self, label: str, parts: Sequence[Batch], forward: Callable[[Batch], Pass]) -> StepResult:
        """Steps a network ('g', 'd').

        Raises:
            FaceSRError: after ``nonfinite_patience`` bad steps in a row; the weights are saved as they were before.
        """
        step = self.steps[label]
        result = step.run(parts, forward, self.current_iter)
        if step.guard.exhausted:
            good = max(0, self.current_iter - step.guard.bad)
            self.save(0, good)
            raise FaceSRError(
                f'{step.guard.patience} steps of net_{label} in a row were not finite. The last good state is saved as '
                f'iteration {good} in {self.opt["path"]["models"]}. Lower train:optim_{label}:lr, set '
                'train:grad_clip, or look for bad images.'
            )
        return result

    @torch.no_grad()
    def model_ema(self, decay: float = 0.999) -> None:
        """Averages parameters and float buffers, copies other buffers; the decay warms up as (1 + t) / (10 + t)."""
        decay = min(decay, (1 + self.current_iter) / (10 + self.current_iter))
        if not self._averaged:  # the tensors stay the same ones, and looking them up takes longer than averaging some
            own, ema = self.get_bare_model(self.net_g).state_dict(), self.net_g_ema.state_dict()
            self._averaged = [(ema[key], own[key]) for key in ema]
        floats = [pair for pair in self._averaged if pair[0].is_floating_point()]
        torch._foreach_lerp_([ema for ema, _ in floats], [own for _, own in floats], 1 - decay)
        for ema, own in self._averaged:
            if not ema.is_floating_point():
                ema.copy_(own)

    def get_current_log(self) -> OrderedDict[str, float]:
        """Losses of the last step, gathered and averaged over the processes; the runner asks every ``print_freq``."""
        return self.reduce_loss_dict(self.step_logs)

    @master_only
    def _write_first_batch(self) -> None:
        """What the network is really given, once."""
        write_sheet(self.first_batch_columns(), self.folder.first_batch)
        get_root_logger().info(f'First batch as the network sees it: {self.folder.first_batch}')

    def first_batch_columns(self) -> dict[str, torch.Tensor | None]:
        """What is worth seeing of the batch, (N, 3, H, W) each, by headline."""
        return batch_columns(self.batch)

    # ---- validation ---------------------------------------------------------------------------------------------

    def _validate_again(self) -> None:
        """Where a run goes on at an iteration of a validation, the state was written before that: it has no figures."""
        if self.to_validate:
            self.to_validate = False
            for loader in resume.FOUND.val_loaders:
                self.validation(loader, self.current_iter, resume.FOUND.writer, bool(self.val.save_img))

    def judge(self, path: str, batch: Batch, out: Output, whole: bool) -> Judged:
        """As FaceModel's, with the losses in a training, where there are all results that they look at."""
        judged = super().judge(path, batch, out, whole)
        whole = whole and (self.info.priors is None or out.whole or not self.info.priors.coarse)
        return judged._replace(losses=self.validation_losses(out, batch)) if whole else judged

    def validation_losses(self, out: Output, batch: Batch) -> dict[str, float]:
        """The losses of the table on a validation batch."""
        if not self.is_train or batch.gt is None:
            return {}
        with torch.no_grad():
            out = self._complete(getattr(self, 'net_g_ema', self.get_bare_model(self.net_g)), batch, out)
            return {self.LOG_PREFIX + name: float(v) for name, v in compute_losses(self.losses, out, batch).items()}

    def best_figures(self, set_name: str, means: Mapping[str, float]) -> dict[str, dict[str, Any]]:
        """Takes note of a set's means of the metrics.

        Returns:
            dict: The best so far of each metric, as BasicSR keeps it: better, val, iter; empty in a test.
        """
        if not self.is_train:
            return {}
        records = self.best_metric_results.setdefault(set_name, {})
        for key in self.metrics:
            old, higher = records.get(key), self.metrics.higher_is_better(key)
            best = old['val'] if old and old['iter'] >= 0 else None
            if is_better(means[key], best, higher):
                better = 'higher' if higher else 'lower'
                records[key] = {'better': better, 'val': means[key], 'iter': self.current_iter}
        return {key: record for key, record in records.items() if record['iter'] >= 0}  # else NaN was all it had

    def keep_best(self, set_name: str, means: Mapping[str, float]) -> None:
        """Keeps the generator apart (``logger: keep_best``) where a validation has brought the best value so far."""
        if self.is_train:
            self.files.save_best(self.saved_networks(), set_name, means, self.current_iter)

    # ---- files --------------------------------------------------------------------------------------------------

    def saved_networks(self) -> dict[str, dict[str, nn.Module]]:
        """What checkpoints hold: file label -> key in the file -> bare network."""
        nets = {'params': self.get_bare_model(self.net_g)}
        if hasattr(self, 'net_g_ema'):
            nets['params_ema'] = self.net_g_ema
        return {'net_g': nets}

    def save(self, epoch: int, current_iter: int) -> None:
        """Writes networks and training state; -1 is the end of the run, which also has those of its last iteration.

        Raises:
            CheckpointError: if there is no room, or a file cannot be written.
        """
        if current_iter == -1 and self.current_iter > self.files.last_saved:
            self.save(0, self.current_iter)
        state = {
            'epoch': epoch,
            'iter': self.current_iter if current_iter == -1 else current_iter,
            'optimizers': [o.state_dict() for o in self.optimizers],
            'schedulers': [s.state_dict() for s in self.schedulers],
            'scalers': self.precision.state_dict(),
            'manual_seed': self.opt.get('manual_seed'),
            'batch': batch_of(self.opt),
            'best_metric_results': self.best_metric_results,
        }
        self.files.save(self.saved_networks(), state, current_iter)

    def resume_training(self, resume_state: dict[str, Any]) -> None:
        """Goes on from a state: its position and moments; every setting is the option file's, and changes are told.

        Raises:
            OptionError: if the moments do not suit the optimisers.
        """
        changed: list[str] = []
        position = max((state['last_epoch'] for state in resume_state['schedulers']), default=0)
        warmup = self.opt['train'].get('warmup_iter', -1)
        move_to(
            min(position, self.train_settings.total_iter - 1),
            lambda iteration: super(FaceSRModel, self).update_learning_rate(iteration, warmup),
        )
        for label, optimizer, saved in zip(self.steps, self.optimizers, resume_state['optimizers'], strict=True):
            changed += load_moments(optimizer, saved, ('train', f'optim_{label}'))
        for scheduler, saved in zip(self.schedulers, resume_state['schedulers'], strict=True):
            changed += scheduler_changes(scheduler, saved)
        changed += batch_changes(resume_state.get('batch'), batch_of(self.opt))
        tell_changes(changed)
        self.current_iter = resume_state['iter']
        self.files.resume(self.current_iter)
        self.precision.load_state_dict(resume_state.get('scalers', {}))
        self.best_metric_results = resume_state.get('best_metric_results') or {}
        self.to_validate = self.current_iter % (self.val.val_freq or self.current_iter + 1) == 0
