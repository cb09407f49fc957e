"""The files that a training writes: weights, training states, the best result; atomic, loadable by stock BasicSR."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext import __version__
from facesr_ext.archs.arch_info import ArchInfo
from facesr_ext.errors import CheckpointError
from facesr_ext.host import run_lock
from facesr_ext.host.names import package_of
from facesr_ext.host.run_files import BEST
from facesr_ext.runs.atomic import remove_unfinished
from facesr_ext.runs.checkpoints import META_KEY, save_atomic
from facesr_ext.runs.folder import NET_G, RunFolder
from facesr_ext.runs.keeping import Keeping, tensor_bytes

Networks = Mapping[str, Mapping[str, nn.Module]]
"""What checkpoints hold: the file's label ('net_g') -> key in the file ('params') -> bare network."""


_TRAINED_ON = ('name', 'dataroot_gt', 'image_size', 'crop_scale')
"""What a checkpoint says of its training set."""


class RunFiles:
    """Writes the checkpoints of a training, by the first process alone.

    A checkpoint holds the weights under BasicSR's keys, and beside them what rebuilds the network. The state is written
    last: where it is, everything of its iteration is.

    Args:
        opt (dict): The whole option file.
        info (ArchInfo): Of the generator.
        folder (RunFolder): Where to.
        keeping (Keeping): Which of them stay.

    Attributes:
        last_saved (int): The iteration of the last state.
    """

    def __init__(self, opt: Mapping[str, Any], info: ArchInfo, folder: RunFolder, keeping: Keeping) -> None:
        self.opt, self.info, self.folder, self.keeping = opt, info, folder, keeping
        self.last_saved = 0

    def save(self, networks: Networks, state: dict[str, Any], current_iter: int) -> None:
        """Networks first, the training state last; old ones go after that.

        Args:
            networks (Networks): What there is to save.
            state (dict): The training state; its ``iter`` is that of the run.
            current_iter (int): The iteration that the files are named after; -1 for the latest, without a state.

        Raises:
            CheckpointError: if there is no room, a file cannot be written, or there are values that are not finite.
        """
        self._require_finite(networks, state, current_iter)
        self._check_space(networks, state)
        for label, nets in networks.items():
            self._write(label, nets, current_iter, state['iter'])
        if current_iter != -1:
            self._write_state(state, current_iter)
            self.last_saved = current_iter
            self._prune(current_iter)

    def save_best(self, networks: Networks, set_name: str, means: Mapping[str, float], iteration: int) -> None:
        """Keeps the generator apart (``logger: keep_best``) where a validation has brought the best value so far.

        Args:
            networks (Networks): What there is to save; the generator's is taken.
            set_name (str): The validation set.
            means (Mapping): Its mean of each metric.
            iteration (int): The iteration.

        Raises:
            CheckpointError: if there is no room, or the file cannot be written.
        """
        record = self.keeping.new_best(set_name, means, iteration)
        if record is None:
            return
        nets = networks[NET_G]
        self._check_space({NET_G: nets})
        self._write(NET_G, nets, BEST, iteration)
        name = self.folder.checkpoint(BEST).name
        get_root_logger().info(f'Best {record["metric"]} so far, {record["value"]:.4f}: kept as {name}')

    def resume(self, iteration: int) -> None:
        """Takes up a run where a state of it was read: what its killed process has left, goes."""
        self.last_saved = iteration
        self.keeping.recall(iteration)
        self._prune(iteration)

    @master_only
    def clean(self) -> None:
        """Removes what killed processes have left half-written, where no other process trains here."""
        if run_lock.is_held(self.folder.path):
            remove_unfinished(self.folder.path, alone=True)

    @master_only
    def _require_finite(self, networks: Networks, state: Mapping[str, Any], iteration: int) -> None:
        """Values that are not finite cannot be resumed from, and must not take the place of good ones."""
        tensors: dict[str, list[torch.Tensor]] = {
            f'{key} of {label}': [*net.state_dict().values()]
            for label, nets in networks.items()
            for key, net in nets.items()
        }
        for number, optimizer in enumerate(state.get('optimizers', ()), 1):
            moments = [value for values in optimizer['state'].values() for value in values.values()]
            tensors[f'the moments of optimiser {number}'] = [v for v in moments if isinstance(v, torch.Tensor)]
        broken = [name for name, values in tensors.items() if not _finite(values)]
        if broken:
            good = f'the last good one is iteration {self.last_saved}' if self.last_saved else 'there is no earlier one'
            raise CheckpointError(
                f'{self.folder.models}: values of {", ".join(broken)} are not finite, so that iteration '
                f'{state["iter"] if iteration == -1 else iteration} is not saved; {good}. Lower train:optim_g:lr (and '
                'optim_d), set train:grad_clip, or look for bad images, and go on with --auto_resume'
            )

    @master_only
    def _check_space(self, networks: Networks, *more: Any) -> None:
        states = [net.state_dict() for nets in networks.values() for net in nets.values()]
        self.keeping.check_space(tensor_bytes([*states, *more]))

    @master_only
    def _prune(self, newest: int) -> None:
        self.keeping.prune(newest)

    @master_only
    def _write(self, label: str, nets: Mapping[str, nn.Module], which: int | str, iteration: int) -> None:
        content: dict[str, Any] = {
            key: OrderedDict((name, value.cpu()) for name, value in net.state_dict().items())
            for key, net in nets.items()
        }
        content[META_KEY] = self._metadata(label, which, iteration)
        save_atomic(content, self.folder.checkpoint(which, label))

    def _metadata(self, label: str, which: int | str, iteration: int) -> dict[str, Any]:
        """What rebuilds the network from the file alone; plain types, so that ``weights_only`` reads it."""
        train_set = self.opt['datasets'].get('train', {})
        arch = self.opt[label.replace('net_', 'network_')]
        return {
            'version': __version__,
            'arch': _plain(arch),
            'arch_from': package_of(ARCH_REGISTRY, arch['type']),
            'scale': self.opt['scale'],
            'input': self.info.input,
            'value_range': [0.0, 1.0],
            'degradation': _plain(self.opt.get('degradation') or {}),
            'challenge': _plain(self.opt.get('challenge') or {}),
            'run': self.opt['name'],
            'trained_on': {key: _plain(train_set[key]) for key in _TRAINED_ON if key in train_set},
            'iteration': iteration,
            **({BEST: self.keeping.record} if which == BEST else {}),
        }

    @master_only
    def _write_state(self, state: dict[str, Any], iteration: int) -> None:
        save_atomic(state, self.folder.state(iteration))


@torch.no_grad()
def _finite(values: Sequence[torch.Tensor]) -> bool:
    """Whether all are, asking each device once."""
    found = [value.isfinite().all().reshape(1) for value in values if value.is_floating_point()]
    return all(bool(torch.cat(part).all()) for part in _by_device(found))


def _by_device(values: Sequence[torch.Tensor]) -> list[list[torch.Tensor]]:
    devices = dict.fromkeys(value.device for value in values)
    return [[value for value in values if value.device == device] for device in devices]


def _plain(value: Any) -> Any:
    """Option values as plain dicts and lists."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
