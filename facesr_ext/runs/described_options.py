"""What a checkpoint says of its network fills in what a test file leaves out.

A file that names ``path: pretrain_network_g`` and has neither ``train`` nor ``network_g`` takes network, scale,
degradation, the size of the faces and the run's name from the checkpoint. It is done where option files are read, so
that the option check, BasicSR's log, the data sets and the model all see one whole file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from facesr_ext.errors import CheckpointError, OptionError
from facesr_ext.host import source
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint
from facesr_ext.runs.recipes import shipped_options

FACE_SIZE = 128
"""Height and width of built-in faces where a checkpoint does not say what it was trained on."""
_FACES = ('FaceDataset', 'UnpairedFaceDataset')


def described(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself; empty where another program has written it.

    Raises:
        CheckpointError: It is missing, damaged, or holds more than weights.
    """
    metadata: dict[str, Any] = load_checkpoint(path).get(META_KEY) or {}
    return metadata


def complete_test(options: dict[str, Any]) -> None:
    """Fills in a test file; one that says it all, or names no checkpoint that is there, stays as it is.

    Raises:
        CheckpointError: The run has no checkpoint, or it is damaged.
        OptionError: The checkpoint does not say what network it holds.
    """
    paths = options.get('path')
    if not isinstance(paths, dict) or 'train' in options or options.get('network_g'):
        return
    given = paths.get('pretrain_network_g')
    if not isinstance(given, str):
        return
    path = Path(given).expanduser()
    if not path.exists():
        return  # the option check says so, and how to get it
    checkpoint = newest_checkpoint(path) if path.is_dir() else path
    metadata = described(checkpoint)
    if not metadata.get('arch'):
        raise OptionError(
            f'is missing, and {checkpoint} does not say what network it holds, since facesr_ext has not written it; '
            'copy the section from the file that it was trained by',
            ('network_g',),
        )
    paths['pretrain_network_g'] = str(checkpoint)
    options['network_g'] = metadata['arch']
    options.setdefault('scale', metadata.get('scale'))
    options.setdefault('name', metadata.get('run') or checkpoint.parent.parent.name or checkpoint.stem)
    for section in ('degradation', 'challenge'):
        if metadata.get(section):
            options.setdefault(section, metadata[section])
    _complete_sets(options.get('datasets'), metadata.get('trained_on') or {})


def _complete_sets(sets: Any, trained_on: dict[str, Any]) -> None:
    """The size of the faces, where a set says none (``image_size: ~`` says: as they are stored)."""
    for section in sets.values() if isinstance(sets, dict) else ():
        if isinstance(section, dict) and section.get('type') in _FACES:
            section.setdefault('image_size', trained_on.get('image_size') or FACE_SIZE)


def test_file_of(source: str) -> Path:
    """The shipped file that tests a run or a checkpoint.

    Raises:
        CheckpointError: There is no such run, or it has no checkpoint that can be read.
        DependencyError: The shipped files are missing.
    """
    path = Path(source).expanduser()
    checkpoint = newest_checkpoint(path) if path.is_dir() else path
    learnt = (described(checkpoint).get('arch') or {}).get('type') == 'DegradationNet'
    return shipped_options() / ('test_degradation.yml' if learnt else 'test.yml')


def newest_checkpoint(folder: Path) -> Path:
    """The newest checkpoint of a run's folder, or of its models/.

    Raises:
        CheckpointError: There is none.
    """
    for place in (folder / 'models', folder):
        if (place / 'net_g_latest.pth').is_file():
            return place / 'net_g_latest.pth'
        numbered = {int(n): f for f in place.glob('net_g_*.pth') if (n := f.stem.removeprefix('net_g_')).isdecimal()}
        if numbered:
            return numbered[max(numbered)]
    raise CheckpointError(
        f'{folder} holds no checkpoint of a run (models/net_g_*.pth); name a file or a run folder',
        ('path', 'pretrain_network_g'),
    )


source.complete_by(complete_test)
