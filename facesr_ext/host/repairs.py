"""Repairs of BasicSR 1.4.2, applied to the imported package; its files stay as they are.

One function per defect: its docstring says the symptom, the cause and what is done. Each looks first whether the defect
is there, by a feature and never by a version number, so that a mended BasicSR is left alone and a second call does
nothing. Only what crashes, hangs or lies is repaired; whatever would change the numbers of other people's runs is not.

Here are the runners, loaders, optimisers and weights; ``repairs_device`` has what needs no CUDA and several processes,
``repairs_parts`` the degradations, losses and metrics. `apply_all` applies them all.

The modules that BasicSR imports and newer packages no longer have (``torchvision.transforms.functional_tensor``,
``scipy.ndimage.filters``) are supplied by the start-up hook (``_facesr_ext_boot``), since BasicSR cannot even be
imported before.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import logging
import math
import re
import sys
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from basicsr.archs import vgg_arch
from basicsr.data import prefetch_dataloader
from basicsr.models import base_model
from basicsr.utils import check_resume, set_random_seed

from facesr_ext.errors import CheckpointError, OptionError
from facesr_ext.host import repairs_device, repairs_parts, run_logs, runner, weights, workers
from facesr_ext.host.option_file import OptionLoader
from facesr_ext.host.options import known_name
from facesr_ext.host.patching import names_used, replace_everywhere

# `basicsr.train` as an attribute may be anything (the package star-imports it); the module is what sys.modules holds.
_train = sys.modules['basicsr.train']


@dataclasses.dataclass
class _Resume:
    """What `load_resume_state` found, for `create_train_val_dataloader`, which the runner calls later.

    Attributes:
        state (dict | None): The very object that the runner holds; it reads the epoch from it after making the loaders.
        notes (list[str]): States passed over, told once BasicSR has opened its log file.
    """

    state: dict[str, Any] | None = None
    notes: list[str] = dataclasses.field(default_factory=list)


_resume = _Resume()


def repair_runners() -> None:
    """Lets ``python -m basicsr.train`` and ``basicsr.test`` run the imported module, under the current directory.

    Symptom: installed by pip, runs are written into site-packages, while ``--auto_resume`` looks into ./experiments,
    finds nothing, and moves the finished run away; and no repair of basicsr.train has any effect.
    Cause: the root is the folder two levels above the file; runpy executes a second copy of the module as ``__main__``.
    Upstream: https://github.com/XPixelGroup/BasicSR/issues/679
    """
    for kind in ('train', 'test'):
        spec = sys.modules[f'basicsr.{kind}'].__spec__
        if spec is not None and not hasattr(spec.loader, 'facesr_ext_kind'):
            spec.loader = runner.RunnerLoader(spec.loader, kind)  # type: ignore[assignment, arg-type]
    # runpy warns that it will execute a module twice, which is no longer so.
    warnings.filterwarnings('ignore', r"'basicsr\.(train|test)' found in sys\.modules", RuntimeWarning)


def repair_resume() -> None:
    """Replaces basicsr.train.load_resume_state by `load_resume_state`.

    Symptom: resuming on a CPU raises "Found no NVIDIA driver"; ``--auto_resume`` misses the states of an installed
    BasicSR; a half-written newest state ends the run.
    Cause: torch.cuda.current_device() without a look whether there is one; the folder is a literal.
    Upstream: https://github.com/XPixelGroup/BasicSR/issues/679, https://github.com/XPixelGroup/BasicSR/issues/64
    """
    if 'current_device' in names_used(_train.load_resume_state):  # type: ignore[attr-defined]
        functools.update_wrapper(load_resume_state, _train.load_resume_state)  # type: ignore[attr-defined]
        _train.load_resume_state = load_resume_state  # type: ignore[attr-defined]


def load_resume_state(opt: dict[str, Any]) -> dict[str, Any] | None:
    """Loads the training state to resume from, onto the CPU: BasicSR moves its parts to each parameter's device.

    With ``--auto_resume`` it is the newest whole one in the run's own folder: a state that cannot be read, or whose
    networks are missing or cut off, is passed over with a warning. Without it, it is the one that path:resume_state
    names.

    Args:
        opt (dict): Options of the run. Set are path:resume_state, the pretrain paths, ``manual_seed`` (where the state
            holds it; then the random streams are seeded anew) and ``resume_iter``.

    Returns:
        dict | None: The state, or None where the run starts afresh.

    Raises:
        CheckpointError: There are states, and none can be used.
    """
    candidates = _resume_candidates(opt)
    _resume.state, _resume.notes = None, []
    if not candidates:
        return None
    for path in candidates:
        try:
            state = _read_state(opt, path)
        except CheckpointError as err:
            _resume.notes.append(str(err))
            continue
        _adopt_state(opt, path, state)
        _resume.state = state
        return state
    raise CheckpointError(
        'No training state can be resumed from:\n'
        + '\n'.join(f'  {note}' for note in _resume.notes)
        + '\nGive a whole one with path:resume_state, or move the folder away to start afresh.'
    )


def _resume_candidates(opt: Mapping[str, Any]) -> list[Path]:
    """Lists the states to try, newest first."""
    if not opt['auto_resume']:
        given = opt['path'].get('resume_state')
        return [Path(given)] if given else []
    folder = Path(opt['path']['training_states'])
    states = [p for p in folder.glob('*.state') if p.stem.isdecimal()]
    return sorted(states, key=lambda p: int(p.stem), reverse=True)


def _read_state(opt: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Reads one state and looks whether the networks saved with it are whole.

    Raises:
        CheckpointError: The state or one of its networks is missing, damaged or something else.
    """
    if not path.is_file():
        raise CheckpointError(f'The training state {path} (path:resume_state) does not exist.')
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as err:  # on damaged bytes an unpickler raises nearly anything: KeyError, IndexError, EOFError ...
        reason = str(err).strip().split('\n')[0]
        raise CheckpointError(f'The training state {path} cannot be read ({type(err).__name__}: {reason}).') from err
    missing = {'epoch', 'iter', 'optimizers', 'schedulers'} - set(state if isinstance(state, dict) else ())
    if missing:
        raise CheckpointError(f'{path} is no training state of BasicSR: it has no {", ".join(sorted(missing))}.')
    for network in _networks_saved(opt):
        file = Path(opt['path']['models']) / f'net_{network}_{state["iter"]}.pth'
        if not _is_whole(file):
            raise CheckpointError(f'The training state {path} has no use without {file}, which is missing or cut off.')
    return state


def _networks_saved(opt: Mapping[str, Any]) -> list[str]:
    """Lists the networks that a state needs, 'g' and 'd' for example; a frozen helper network is never saved."""
    ignored = opt['path'].get('ignore_resume_networks') or ()
    folder = Path(opt['path']['models'])
    labels = [key[len('network_') :] for key in opt if key.startswith('network_') and key not in ignored]
    saved = {re.sub(r'_(\d+|latest)$', '', file.stem) for file in folder.glob('net_*.pth')}
    return [label for label in labels if label == 'g' or f'net_{label}' in saved]


def _is_whole(file: Path) -> bool:
    """Tells whether a file that torch.save wrote is complete: a cut zip archive has lost the directory at its end."""
    if not file.is_file() or file.stat().st_size == 0:
        return False
    with file.open('rb') as stream:
        is_archive = stream.read(2) == b'PK'
    return zipfile.is_zipfile(file) if is_archive else True  # torch's format of before 1.6 is no archive


def _adopt_state(opt: dict[str, Any], path: Path, state: Mapping[str, Any]) -> None:
    """Writes into the options what the rest of the run must know about the state."""
    opt['path']['resume_state'] = str(path)
    opt['resume_iter'] = state['iter']
    if state.get('manual_seed') is not None:
        opt['manual_seed'] = state['manual_seed']
        set_random_seed(opt['manual_seed'] + opt['rank'])
    check_resume(opt, state['iter'])


def repair_sampler() -> None:
    """Makes epochs of whole batches, and a resumed run go on in mid-epoch.

    Symptom: 7 images, batch 4, total_iter 100 end after 51 iterations; 3 images, batch 4 train nothing and save an
    untrained net_g_latest; a resumed run begins the saved epoch again.
    Cause: the runner counts ceil(images / batch) iterations, the loader drops the last one; nothing remembers the
    place.
    What is done: the runner's EnlargedSampler becomes ResumableSampler, and its loader tells it the real batch size.
    """
    if len(_train.EnlargedSampler(_ThreeImages(), 1, 0)) % 4 == 0:  # type: ignore[attr-defined]
        return
    samplers = importlib.import_module('facesr_ext.data.samplers')  # it may be waiting for this very registration
    _train.EnlargedSampler = samplers.ResumableSampler  # type: ignore[attr-defined]
    stock = _train.create_train_val_dataloader  # type: ignore[attr-defined]

    @functools.wraps(stock)
    def create_train_val_dataloader(opt: dict[str, Any], logger: logging.Logger) -> tuple[Any, ...]:
        workers.complete_dataset_options(opt)
        for note in _resume.notes:
            logger.warning(f'Passed over while resuming: {note}')
        loader, sampler, val_loaders, _, total_iters = stock(opt, logger)
        workers.prepare_loader(loader, opt['datasets']['train'])
        sampler.align(loader.batch_size)
        done = opt.get('resume_iter', 0)
        sampler.resume(done)
        first, skipped = divmod(done, sampler.iters_per_epoch)
        if skipped:
            logger.info(f'Resuming inside an epoch: {skipped} of its {sampler.iters_per_epoch} batches have been used.')
        if done and _resume.state is not None:
            _resume.state['epoch'] = first  # the saved number may come from another batch size, and ends an epoch late
        epochs = math.ceil(total_iters / sampler.iters_per_epoch)
        return loader, sampler, val_loaders, epochs, total_iters

    _train.create_train_val_dataloader = create_train_val_dataloader  # type: ignore[attr-defined]


class _ThreeImages:
    """A stand-in data set, to see whether a sampler fills up batches of four."""

    opt = {'batch_size_per_gpu': 4}

    def __len__(self) -> int:
        return 3


def repair_prefetch() -> None:
    """Refuses ``prefetch_mode: cpu`` together with ``persistent_workers: true``.

    Symptom: KeyError in a thread, then the run hangs for ever.
    Cause: CPUPrefetcher starts an iterator that it throws away at the first reset, while its thread still reads from
    it; with persistent workers both iterators are one and the same object.
    """
    data = sys.modules['basicsr.data']
    stock = data.build_dataloader  # type: ignore[attr-defined]
    if 'iter' not in names_used(prefetch_dataloader.CPUPrefetcher.__init__) or hasattr(stock, '__wrapped__'):
        return

    @functools.wraps(stock)
    def build_dataloader(dataset: Any, dataset_opt: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if dataset_opt.get('prefetch_mode') == 'cpu' and dataset_opt.get('persistent_workers'):
            raise OptionError(
                f'datasets:{dataset_opt.get("phase", "train")}: prefetch_mode: cpu and persistent_workers: true hang '
                'BasicSR together. Remove one of them; persistent_workers alone gains more.'
            )
        return stock(dataset, dataset_opt, *args, **kwargs)

    replace_everywhere('build_dataloader', stock, build_dataloader)


def repair_optimizers() -> None:
    """Lets ``train:optim_g:type`` name any optimiser of torch.optim.

    Symptom: "optimizer AdamW is not supperted yet".
    Cause: the release on PyPI knows only Adam; later sources list a few more by hand.
    """
    stock = base_model.BaseModel.get_optimizer
    if {'RMSprop', 'getattr', 'optimizer_class'} & names_used(stock):
        return

    @functools.wraps(stock)
    def get_optimizer(self: Any, optim_type: str, params: Any, lr: float, **kwargs: Any) -> torch.optim.Optimizer:
        optimizer = optimizer_class(optim_type)
        known = [name for name in inspect.signature(optimizer).parameters if name != 'params']
        for key in kwargs:
            known_name(f'train:optim_*: option of {optim_type}', key, known)
        return optimizer(params, lr=lr, **kwargs)

    base_model.BaseModel.get_optimizer = get_optimizer


def optimizer_class(name: str) -> Callable[..., torch.optim.Optimizer]:
    """Looks an optimiser up in torch.optim.

    Raises:
        OptionError: There is none of that name.
    """
    classes = {
        key: value
        for key, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
    }
    return classes[known_name('train:optim_*:type, an optimiser of torch.optim', name, classes)]


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


class VGGBuilders:
    """Stands in for torchvision.models.vgg inside basicsr.archs.vgg_arch: ``vgg.vgg16(pretrained=True)``."""

    def __getattr__(self, vgg_type: str) -> Callable[..., torch.nn.Module]:
        if vgg_type.startswith('__'):
            raise AttributeError(vgg_type)
        return functools.partial(build_vgg, vgg_type)


def build_vgg(vgg_type: str, pretrained: bool = False) -> torch.nn.Module:
    """Builds a VGG network of torchvision.

    Args:
        vgg_type (str): 'vgg11' to 'vgg19', with '_bn' for batch normalisation.
        pretrained (bool): Load the ImageNet weights of torchvision.

    Returns:
        nn.Module: The network, on the CPU.

    Raises:
        CheckpointError: The weight file does not fit.
        DependencyError: The weight file is nowhere and cannot be downloaded.
        OptionError: torchvision has no such network.
    """
    from torchvision import models

    known_name('vgg_type', vgg_type, [name for name in models.list_models() if name.startswith('vgg')])
    net = models.get_model(vgg_type, weights=None, init_weights=not pretrained)
    if pretrained:
        url = models.get_model_weights(vgg_type)['IMAGENET1K_V1'].url
        path = weights.find_weights(url.rsplit('/', 1)[-1], url)
        try:
            net.load_state_dict(torch.load(path, map_location='cpu', weights_only=True))
        except Exception as err:  # as above: damaged bytes
            raise CheckpointError(
                f'{path} does not hold the weights of {vgg_type} ({err}). Delete it, and it is fetched again.'
            ) from err
    return net


def repair_option_files() -> None:
    """Makes option files and ``--force_yml`` data that is read, never code that is run.

    Symptom: an option file with a ``!!python/`` tag, or a ``--force_yml`` entry with a bracket in it, runs any code;
    ``lr=1e-4`` arrives as text, ``{a: 1}`` and ``-1`` too; a forced manual_seed does not seed.
    Cause: PyYAML's unsafe loader, ``exec`` and ``eval``; overrides are applied after the seed has been set.
    What is done: the loader is a safe one, and it applies the overrides itself; BasicSR's parser sees none.
    Upstream: https://github.com/XPixelGroup/BasicSR/issues/768
    """
    options: Any = importlib.import_module('basicsr.utils.options')
    stock, stock_yaml = options.parse_options, options.ordered_yaml
    if 'exec' not in names_used(stock):
        return

    def ordered_yaml() -> tuple[type[OptionLoader], Any]:
        return OptionLoader, stock_yaml()[1]

    @functools.wraps(stock)
    def parse_options(root_path: str, is_train: bool = True) -> Any:
        args, rest = runner.split_arguments(sys.argv[1:])
        entries = tuple(args.force_yml or ())
        loader = type('ForcedLoader', (OptionLoader,), {'overrides': entries})
        saved, sys.argv = sys.argv, [sys.argv[0], *rest]
        options.ordered_yaml = lambda: (loader, stock_yaml()[1])
        try:
            opt, parsed = stock(root_path, is_train=is_train)
        finally:
            sys.argv, options.ordered_yaml = saved, ordered_yaml
        parsed.force_yml = args.force_yml
        return opt, parsed

    options.ordered_yaml = ordered_yaml
    replace_everywhere('parse_options', stock, parse_options)


REPAIRS: tuple[Callable[[], None], ...] = (
    repair_runners,
    repair_resume,
    repair_sampler,
    repair_prefetch,
    repair_optimizers,
    repair_vgg_weights,
    *repairs_device.REPAIRS,
    *repairs_parts.REPAIRS,
    run_logs.repair_loggers,
    repair_option_files,
)


def apply_all() -> None:
    """Applies every repair; a second call does nothing."""
    for repair in REPAIRS:
        repair()
