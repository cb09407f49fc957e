"""What a training resumes from: the newest whole state, and what the run must know of it."""

from __future__ import annotations

import dataclasses
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from basicsr.utils import check_resume, get_time_str, set_random_seed

from facesr_ext.errors import CheckpointError
from facesr_ext.host import run_lock
from facesr_ext.host.run_files import BEST, checkpoint_name, list_states, parse_checkpoint
from facesr_ext.host.weights import why_unreadable

_KINDS = {'epoch': int, 'iter': int, 'optimizers': list, 'schedulers': list}


@dataclasses.dataclass
class Resume:
    """What `load_resume_state` found, for `create_train_val_dataloader`, which the runner calls later.

    Attributes:
        state (dict | None): The very object that the runner holds; it reads the epoch from it after making the loaders.
        notes (list[str]): States passed over, told once BasicSR has opened its log file.
        val_loaders (list): Of a run that goes on: its validation sets, which may have to be gone over again.
        writer (SummaryWriter | None): TensorBoard's.
    """

    state: dict[str, Any] | None = None
    notes: list[str] = dataclasses.field(default_factory=list)
    val_loaders: list[Any] = dataclasses.field(default_factory=list)
    writer: Any = None


FOUND = Resume()


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
        CheckpointError: There are states, and none can be used; or another process trains there.
    """
    if opt['path'].get('experiments_root'):
        run_lock.take(opt)
        _wait_for_free_names(opt)
    candidates = _resume_candidates(opt)
    FOUND.state, FOUND.notes, FOUND.val_loaders, FOUND.writer = None, [], [], None
    if not candidates:
        if opt['auto_resume']:
            _refuse_what_cannot_go_on(opt)
        return None
    for path in candidates:
        try:
            state = _read_state(opt, path)
        except CheckpointError as err:
            FOUND.notes.append(f'Passed over while resuming: {err}')
            continue
        _adopt_state(opt, path, state)
        FOUND.state = state
        return state
    raise CheckpointError(
        'No training state can be resumed from:\n'
        + '\n'.join(f'  {note.partition(": ")[2]}' for note in FOUND.notes)
        + '\nGive a whole one with path:resume_state, or move the folder away to start afresh.'
    )


def _resume_candidates(opt: Mapping[str, Any]) -> list[Path]:
    """Lists the states to try, newest first."""
    if not opt['auto_resume']:
        given = opt['path'].get('resume_state')
        return [Path(given)] if given else []
    return list(reversed(list_states(opt['path']['training_states']).values()))


def _refuse_what_cannot_go_on(opt: Mapping[str, Any]) -> None:
    """Looks at a run without states, which the runner puts aside to start afresh; FOUND.notes say so.

    Raises:
        CheckpointError: It has trained weights: more than those that a run has which was killed in its first save.
    """
    root = Path(opt['path']['experiments_root'])
    weights = sorted(Path(opt['path']['models']).glob(checkpoint_name('net_*', '*')))
    numbers = [found.iteration for found in map(parse_checkpoint, weights) if found is not None and found.which != BEST]
    first = int((opt.get('logger') or {}).get('save_checkpoint_freq') or 0)
    if any(number is None or number > first for number in numbers):
        raise CheckpointError(
            f'--auto_resume: {root} has {weights[-1].name}, but no training state to go on from. To train these '
            f'weights further under a new name, set path: pretrain_network_g to {weights[0]}; to start afresh, leave '
            '--auto_resume out, which puts the folder aside.'
        )
    if root.is_dir():
        what = 'no training state yet' if weights else 'neither training state nor weights'
        FOUND.notes.append(
            f'--auto_resume: {root} had {what}; it was put aside (*_archived_*), and the run starts at 0'
        )


def _wait_for_free_names(opt: Mapping[str, Any]) -> None:
    """Of the log, and of the folder that is put aside: BasicSR has them end in the second, and replaces what is there.

    Runs that are started twice in a second have found them taken.
    """
    root = Path(opt['path']['experiments_root'])
    while (now := get_time_str()) and root.is_dir():
        log = Path(opt['path'].get('log') or root) / f'train_{opt["name"]}_{now}.log'
        if not log.exists() and not root.with_name(f'{root.name}_archived_{now}').exists():
            return
        time.sleep(0.05)


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
        raise CheckpointError(f'The training state {path} cannot be read ({why_unreadable(path, err)}).') from err
    missing = _KINDS.keys() - set(state if isinstance(state, dict) else ())
    if missing:
        raise CheckpointError(f'{path} is no training state of BasicSR: it has no {", ".join(sorted(missing))}.')
    seed = state.get('manual_seed')
    odd = [key for key, kind in _KINDS.items() if not isinstance(state[key], kind)]
    odd += [key for key in ('epoch', 'iter') if key not in odd and state[key] < 0]
    if odd or not (seed is None or (isinstance(seed, int) and 0 <= seed < 2**32)):
        raise CheckpointError(f'{path} is no training state of BasicSR: what it has as {(odd or ["manual_seed"])[0]}.')
    if path.stem.isdecimal() and int(path.stem) != state['iter']:
        raise CheckpointError(f'The training state {path} is one of iteration {state["iter"]} under another name.')
    for network in _networks_saved(opt):
        file = Path(opt['path']['models']) / checkpoint_name(f'net_{network}', state['iter'])
        if not _is_whole(file):
            raise CheckpointError(f'The training state {path} has no use without {file}, which is missing or cut off.')
    return state


def _networks_saved(opt: Mapping[str, Any]) -> list[str]:
    """Lists the networks that a state needs, 'g' and 'd' for example; a frozen helper network is never saved."""
    ignored = opt['path'].get('ignore_resume_networks') or ()
    folder = Path(opt['path']['models'])
    labels = [key[len('network_') :] for key in opt if key.startswith('network_') and key not in ignored]
    names = [parse_checkpoint(file) for file in folder.glob(checkpoint_name('net_*', '*'))]
    saved = {name.label for name in names if name is not None}
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
    total = (opt.get('train') or {}).get('total_iter')
    if total is not None and state['iter'] >= total:
        FOUND.notes.append(
            f'{path} is of iteration {state["iter"]}, total_iter is {total}: nothing is left to train; give it a '
            'larger train:total_iter, or a new name'
        )
    seed = state.get('manual_seed')
    if seed is not None and opt.get('manual_seed') not in (None, seed):
        FOUND.notes.append(f'The run goes on with its manual_seed {seed}, not with {opt["manual_seed"]}')
    if state.get('manual_seed') is not None:
        opt['manual_seed'] = state['manual_seed']
        set_random_seed(opt['manual_seed'] + opt['rank'])
    check_resume(opt, state['iter'])
