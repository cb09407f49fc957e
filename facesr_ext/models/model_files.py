"""The files of a model: weights, training states, the best result; written atomically, loadable by stock BasicSR."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from os import path as osp
from typing import Any

import torch
from basicsr.models.sr_model import SRModel
from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only
from torch import nn

from facesr_ext import __version__
from facesr_ext.archs.arch_info import ArchInfo
from facesr_ext.host.parts import whole_number
from facesr_ext.models.precision import Precision
from facesr_ext.runs.checkpoints import (
    META_KEY,
    described_network,
    late_checkpoints,
    load_weights,
    read_weights,
    save_atomic,
)
from facesr_ext.runs.keeping import BEST, Keeping, tensor_bytes


class ModelFiles(SRModel):
    """What a model reads from the disk and keeps there; the training loop is :class:`FaceSRModel`'s.

    A checkpoint holds the weights under BasicSR's keys, and beside them what rebuilds the network. The ``.state`` file
    is written last: where it is, everything of its iteration is.
    """

    opt: dict[str, Any]
    scale: int
    info: ArchInfo
    precision: Precision
    keeping: Keeping
    current_iter: int
    last_saved: int

    def _param_key(self, label: str) -> str | None:
        """Where a checkpoint's weights are: 'params' when resuming, else as told, else params_ema where it is there."""
        return 'params' if self.opt['path'].get('resume_state') else self.opt['path'].get(f'param_key_{label}')

    def _weight_files(self, label: str, path: str) -> list[str]:
        """The files of ``pretrain_network_<label>``: several of the generator in a test with ``val: average_last``."""
        count = None if self.is_train else (self.opt.get('val') or {}).get('average_last')
        count = whole_number(('val', 'average_last'), count) if label == 'g' else None
        return [path] if count is None else late_checkpoints(path, count)

    def load_network(
        self, net: nn.Module, load_path: str | Sequence[str], strict: bool = True, param_key: str | None = None
    ) -> None:
        """Loads weights, on any device and without running code of the file; the log says which were taken.

        Args:
            net (Module): The network.
            load_path (str | Sequence[str]): A file, or several, whose mean is taken.
            strict (bool): Everything must fit. Default: True.
            param_key (str | None): Where in the file the weights are. Default: as `select_params` finds them.

        Raises:
            CheckpointError: if a file is missing, damaged or does not fit.
        """
        paths = [load_path] if isinstance(load_path, str) else list(load_path)
        weights = read_weights(paths, param_key)
        bare, source = self.get_bare_model(net), ', '.join(paths)
        load_weights(bare, weights.state, source, strict, described_network(weights.metadata))
        get_root_logger().info(f'Loaded {type(bare).__name__} from {source} [{weights.used}]')

    def saved_networks(self) -> dict[str, dict[str, nn.Module]]:
        """What a checkpoint holds: file label -> key in the file -> network."""
        nets = {'params': self.net_g}
        if hasattr(self, 'net_g_ema'):
            nets['params_ema'] = self.net_g_ema
        return {'net_g': nets}

    def save(self, epoch: int, current_iter: int) -> None:
        """Networks first, the training state last: where a ``.state`` is, all of it is. Old ones go after that.

        Raises:
            CheckpointError: if there is no room, or a file cannot be written.
        """
        networks = self.saved_networks()
        self._check_space([n.state_dict() for nets in networks.values() for n in nets.values()], self.optimizers)
        for label, nets in networks.items():
            self.save_network(list(nets.values()), label, current_iter, list(nets))
        self.save_training_state(epoch, current_iter)
        if current_iter != -1:
            self.last_saved = current_iter
            self._prune(current_iter)

    @master_only
    def _check_space(self, states: list[Any], optimizers: Iterable[torch.optim.Optimizer] = ()) -> None:
        self.keeping.check_space(tensor_bytes([*states, *(o.state_dict() for o in optimizers)]))

    @master_only
    def _prune(self, newest: int) -> None:
        self.keeping.prune(newest)

    def keep_best(self, set_name: str, means: dict[str, float]) -> None:
        """Keeps the generator apart (``logger: keep_best``) where a validation has brought the best value so far.

        Args:
            set_name (str): The validation set.
            means (dict): Its mean of each metric.

        Raises:
            CheckpointError: if there is no room, or the file cannot be written.
        """
        record = self.keeping.new_best(set_name, means, self.current_iter)
        if record is None:
            return
        nets = self.saved_networks()['net_g']
        self._check_space([n.state_dict() for n in nets.values()])
        self.save_network(list(nets.values()), 'net_g', BEST, list(nets))
        get_root_logger().info(f'Best {record["metric"]} so far, {record["value"]:.4f}: kept as net_g_{BEST}.pth')

    @master_only
    def save_network(
        self, net: Any, net_label: str, current_iter: int | str, param_key: str | list[str] = 'params'
    ) -> None:
        """Writes weights and what rebuilds the network, atomically.

        Args:
            net (Module | list[Module]): One network, or several of one kind.
            net_label (str): 'net_g', 'net_d'.
            current_iter (int | str): Iteration, -1 for the latest, or a name.
            param_key (str | list[str]): Key of each network in the file.

        Raises:
            CheckpointError: if the file cannot be written.
        """
        nets = net if isinstance(net, list) else [net]
        keys = param_key if isinstance(param_key, list) else [param_key]
        content: dict[str, Any] = {
            key: OrderedDict((k, v.cpu()) for k, v in self.get_bare_model(n).state_dict().items())
            for n, key in zip(nets, keys, strict=True)
        }
        content[META_KEY] = self._metadata(net_label, current_iter)
        name = 'latest' if current_iter == -1 else current_iter
        save_atomic(content, osp.join(self.opt['path']['models'], f'{net_label}_{name}.pth'))

    def _metadata(self, net_label: str, current_iter: int | str) -> dict[str, Any]:
        """What rebuilds the network from the file alone; plain types, so that ``weights_only`` reads it."""
        train_set = self.opt['datasets'].get('train', {})
        return {
            'version': __version__,
            'arch': _plain(self.opt[net_label.replace('net_', 'network_')]),
            'scale': self.scale,
            'input': self.info.input,
            'value_range': [0.0, 1.0],
            'degradation': _plain(self.opt.get('degradation') or {}),
            'challenge': _plain(self.opt.get('challenge') or {}),
            'run': self.opt['name'],
            'trained_on': {key: train_set.get(key) for key in ('name', 'dataroot_gt', 'image_size')},
            'iteration': self.current_iter if current_iter in (-1, BEST) else current_iter,
            **({BEST: self.keeping.record} if current_iter == BEST else {}),
        }

    @master_only
    def save_training_state(self, epoch: int, current_iter: int) -> None:
        """Writes ``<iteration>.state``, after the networks: optimisers, schedulers, scalers, seed, best metrics."""
        if current_iter == -1:
            return
        state = {
            'epoch': epoch,
            'iter': current_iter,
            'optimizers': [o.state_dict() for o in self.optimizers],
            'schedulers': [s.state_dict() for s in self.schedulers],
            'scalers': self.precision.state_dict(),
            'manual_seed': self.opt['manual_seed'],
            'best_metric_results': getattr(self, 'best_metric_results', {}),
        }
        save_atomic(state, osp.join(self.opt['path']['training_states'], f'{current_iter}.state'))

    def resume_training(self, resume_state: dict[str, Any]) -> None:
        super().resume_training(resume_state)
        self.current_iter = self.last_saved = resume_state['iter']
        self.precision.load_state_dict(resume_state.get('scalers', {}))
        self.keeping.recall(self.current_iter)
        if resume_state.get('best_metric_results'):
            self.best_metric_results = resume_state['best_metric_results']


def _plain(value: Any) -> Any:
    """Option values as plain dicts and lists."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
