"""The methods of a comparison: networks that are ready to run, and why others are not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from facesr_ext import __version__
from facesr_ext.comparison.results import MethodFacts
from facesr_ext.errors import CheckpointError, FaceSRError, KeyPath, OptionError
from facesr_ext.host.source import OptionFile
from facesr_ext.inference.elsewhere import open_foreign, says_nothing
from facesr_ext.inference.restorer import Restorer
from facesr_ext.inference.shipped import shipped_file
from facesr_ext.models.tiles import Tiling
from facesr_ext.places import user_path
from facesr_ext.runs.checkpoints import file_sha256
from facesr_ext.runs.folder import is_run
from facesr_ext.runs.recipes import shipped_options
from facesr_ext.settings.comparison import CompareFile, Method

_RUNS = Path('experiments')


@dataclass
class OpenMethod:
    """A method of a comparison.

    Attributes:
        facts (MethodFacts): What there is to say of it.
        restorer (Restorer | None): None where it could not be opened.
        key (str): Hash of all that its results are a function of, the image aside.
        run (Path | None): The folder of its training, where that is there.
        seed (int): Which of several runs of a method it is, from 0 on.
    """

    facts: MethodFacts
    restorer: Restorer | None = None
    key: str = ''
    run: Path | None = None
    seed: int = 0

    @property
    def place(self) -> str:
        """What its results are kept under: the method's name, with the number of a further run."""
        return f'{self.facts.name}_seed{self.seed}' if self.seed else self.facts.name

    @property
    def is_bicubic(self) -> bool:
        """Whether it is the plain enlarging that an LQ which is stored enlarged has had already."""
        return self.facts.network == 'Bicubic'


@dataclass(frozen=True)
class _Source:
    """Where a network comes from: as `Restorer` takes it."""

    checkpoint: str | None
    arch: Any = None
    scale: int | None = None


@dataclass(frozen=True)
class Training:
    """What trains a method: an option file, what is to differ from it, and the folder of the run."""

    opt: Path
    force_yml: tuple[str, ...]
    run: Path


def open_methods(file: CompareFile, device: torch.device) -> list[OpenMethod]:
    """Opens the methods of a file, each of its runs; those that cannot be opened say why in their facts."""
    return [
        _open(name, method, seed, file, device) for name, method in file.methods.items() for seed in range(method.seeds)
    ]


def trainings(file: CompareFile) -> list[Training]:
    """What trains the methods that name an option file to train by, in their order, each after what it starts from.

    Raises:
        OptionError: for an option file that cannot be read.
    """
    found = []
    for name, method in file.methods.items():
        key = ('methods', name)
        for path in method.after:
            found += training_of(path, _for_all(path, file, (*key, 'after')), (*key, 'after'))
        for seed in range(method.seeds if method.opt else 0):
            found += training_of(str(method.opt), _forced(name, method, seed, file), (*key, 'opt'))
    return list(dict.fromkeys(found))


def training_of(path: str, forced: Sequence[str], key: KeyPath) -> list[Training]:
    """What an option file trains; empty for one that is to test by."""
    options = read_options(path, forced, key)
    return [Training(option_file(path), tuple(forced), _RUNS / str(options['name']))] if 'train' in options else []


def option_file(path: str) -> Path:
    """An option file: as named, or the shipped one of that name where there is none."""
    own = user_path(path)
    if not own.is_file() and own.parts[:1] == ('options',):
        shipped = shipped_options().joinpath(*own.parts[1:])
        return shipped if shipped.is_file() else own
    return own


def _open(name: str, method: Method, seed: int, file: CompareFile, device: torch.device) -> OpenMethod:
    label = method.label or name
    try:
        source = _source_of(name, method, seed, file)
        restorer = _restorer(source, method, file, device)
    except FaceSRError as err:
        return OpenMethod(MethodFacts(name, label, problem=str(err)), seed=seed)
    net = restorer.net
    sums = [file_sha256(path) for path in restorer.files or ([source.checkpoint] if source.checkpoint else [])]
    return OpenMethod(
        MethodFacts(
            name,
            label,
            network=getattr(net, 'name', type(net).__name__),
            files=tuple(restorer.files or ([source.checkpoint] if source.checkpoint else ())),
            sha256=sums[-1] if sums else '',
            parameters=sum(p.numel() for p in net.parameters()),
        ),
        restorer,
        _key(sums, source, method, file),
        _run_of(source),
        seed,
    )


def _source_of(name: str, method: Method, seed: int, file: CompareFile) -> _Source:
    """What the section names, looked up in its option file where it names one."""
    if method.network_g is not None:
        return _Source(None, dict(method.network_g), method.scale or method.network_g.get('scale'))
    if method.checkpoint is not None:
        return _Source(str(shipped_file(method.checkpoint) or user_path(method.checkpoint)), method.arch, method.scale)
    return _of_option_file(name, method, _forced(name, method, seed, file))


def _of_option_file(name: str, method: Method, forced: Sequence[str]) -> _Source:
    """The run that a training file trains; of a test file the network, with the weights that it names."""
    path, key = str(method.opt), ('methods', name, 'opt')
    options = read_options(path, forced, key)
    scale = method.scale or options.get('scale')
    if 'train' in options:
        return _Source(str(trained_run(path, options, key)), None, scale)
    weights = (options.get('path') or {}).get('pretrain_network_g')
    section = options.get('network_g')
    if not isinstance(section, dict):
        raise OptionError(f'{path} has no network_g, and names no checkpoint that says it', key)
    return _Source(str(user_path(weights)) if weights else None, dict(section), scale)


def trained_run(path: str, options: dict[str, Any], key: KeyPath) -> Path:
    """The folder of the run that an option file trains.

    Raises:
        CheckpointError: There is none yet; it says how to train it.
    """
    run = _RUNS / str(options.get('name'))
    if not is_run(run):
        raise CheckpointError(
            f'there is no {run}: train it (--train does, or python -m basicsr.train -opt {path}), or name a checkpoint',
            key,
        )
    return run


def read_options(path: str, forced: Sequence[str], key: KeyPath) -> dict[str, Any]:
    """An option file as a method names it; OptionError, with ``key``, for one that cannot be read."""
    file = OptionFile.read(str(option_file(path)), forced)
    if file.problems:
        raise OptionError('\n'.join(map(str, file.problems)), key)
    return file.options


def _forced(name: str, method: Method, seed: int, file: CompareFile) -> list[str]:
    """The overrides of one of a method's runs: further ones have a name and a seed of their own."""
    path, key = str(method.opt), ('methods', name, 'opt')
    forced = [*_for_all(path, file, key), *method.force_yml]
    if not seed:
        return forced
    options = read_options(path, forced, key)
    own = [f'name={options.get("name")}_seed{seed}', f'manual_seed={int(options.get("manual_seed") or 0) + seed}']
    return [*forced, *own]


def _for_all(path: str, file: CompareFile, key: KeyPath) -> list[str]:
    """The overrides of all trainings, which files to test by do not take."""
    return list(file.force_yml) if file.force_yml and 'train' in read_options(path, (), key) else []


def _restorer(source: _Source, method: Method, file: CompareFile, device: torch.device) -> Restorer:
    tile = file.val.tile
    how: dict[str, Any] = {
        'device': device,
        'precision': file.precision,
        'channels_last': file.channels_last,
        'self_ensemble': method.self_ensemble,
        'tile': Tiling(tile.size, tile.overlap) if tile else None,
        'scale': source.scale,
    }
    if source.checkpoint is None:
        return Restorer(None, arch=source.arch, **how)
    if source.arch is None and not Path(source.checkpoint).is_dir() and says_nothing(Path(source.checkpoint)):
        return Restorer(None, arch=open_foreign(source.checkpoint), **how)
    return Restorer(
        source.checkpoint,
        arch=source.arch,
        param_key=method.param_key,
        average_last=method.average_last,
        **how,
    )


def _run_of(source: _Source) -> Path | None:
    if source.checkpoint is None:
        return None
    path = Path(source.checkpoint)
    folder = path if path.is_dir() else path.parent.parent
    return folder if is_run(folder) else None


def _key(sums: list[str], source: _Source, method: Method, file: CompareFile) -> str:
    """Changes with anything that the results may depend on: weights, arguments, settings, version."""
    what = {
        'files': sums,
        'arch': source.arch if isinstance(source.arch, dict) else None,
        'arch_file': file_sha256(source.arch) if isinstance(source.arch, str) else None,
        'scale': source.scale,
        'method': {key: getattr(method, key) for key in ('param_key', 'average_last', 'self_ensemble')},
        'tile': file.val.tile.model_dump() if file.val.tile else None,
        'precision': file.precision,
        'channels_last': file.channels_last,
        'version': __version__,
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()
