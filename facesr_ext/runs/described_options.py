"""What a checkpoint says of its network fills in what a test file leaves out.

A file that names ``path: pretrain_network_g`` and has no ``train`` takes what it lacks of network, scale and
degradation from the checkpoint, and the size of the faces and the run's name. It is done where option files are read,
so that the option check, BasicSR's log, the data sets and the model all see one whole file; a model does it once more
for options that come from elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from basicsr.utils.registry import ARCH_REGISTRY, DATASET_REGISTRY, METRIC_REGISTRY, MODEL_REGISTRY

from facesr_ext.errors import OptionError
from facesr_ext.host import source
from facesr_ext.host.names import SUFFIX, name_here, taken_by
from facesr_ext.places import user_path
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint, select_params
from facesr_ext.runs.folder import latest_checkpoint
from facesr_ext.runs.recipes import shipped_options
from facesr_ext.runs.untrusted import require_proportion

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
    """Fills in a test file, in place; one to train by stays as it is.

    Raises:
        CheckpointError: The run has no checkpoint, or it is damaged.
        OptionError: The checkpoint does not say what network it holds.
    """
    if 'train' not in options:
        complete(options)


def complete(options: dict[str, Any]) -> dict[str, Any]:
    """Fills in the options of a test, in place, as far as they name a checkpoint that is there.

    Network and scale are taken where they are missing, the degradation where a data set has no LQ of its own. Where the
    network is missing, the challenge's rules, the run's name and the size of the faces are taken besides. A run's
    folder becomes its latest checkpoint. Where another package has parts of our names, a network that the file names as
    the checkpoint does is the checkpoint's, and a file that names none is one of ours with all its parts.

    Returns:
        dict: What was taken.

    Raises:
        CheckpointError: The run has no checkpoint, or it is damaged.
        OptionError: The checkpoint does not say what network it holds.
    """
    paths: Any = options.get('path')
    given = paths.get('pretrain_network_g') if isinstance(paths, dict) else None
    path = user_path(given) if isinstance(given, str) else None
    if path is None or not path.exists():
        return {}  # the option check says so, and how to get it
    checkpoint = latest_checkpoint(path, ('path', 'pretrain_network_g')) if path.is_dir() else path
    paths['pretrain_network_g'] = str(checkpoint)
    wanted = [key for key in ('network_g', 'scale') if not options.get(key)]
    if 'degradation' not in options and _gives_no_lq(options):
        wanted.append('degradation')
    section = options.get('network_g')
    taken = isinstance(section, dict) and taken_by(ARCH_REGISTRY, section.get('type')) is not None
    if not wanted and not taken:
        return {}
    content = load_checkpoint(checkpoint)
    metadata: dict[str, Any] = content.get(META_KEY) or {}
    if isinstance(section, dict) and taken:
        _take_name(section, metadata.get('arch') or {})
    if 'network_g' in wanted:
        if not metadata.get('arch'):
            raise OptionError(
                f'is missing, and {checkpoint} does not say what network it holds, since facesr_ext has not written '
                'it; copy the section from the file that it was trained by',
                ('network_g',),
            )
        require_proportion(metadata['arch'], select_params(content, None, str(checkpoint))[0], str(checkpoint))
        wanted += [key for key in ('challenge',) if key not in options]
        options.setdefault('name', metadata.get('run') or checkpoint.parent.parent.name or checkpoint.stem)
        _complete_sets(options.get('datasets'), metadata.get('trained_on') or {})
        _take_ours(options)
    said = {**metadata, 'network_g': metadata.get('arch')}
    found = {key: said[key] for key in wanted if said.get(key)}
    options.update(found)
    return found


def _take_name(section: dict[str, Any], arch: dict[str, Any]) -> None:
    """The checkpoint's name of the network, where both mean one name."""
    if str(arch.get('type')).removesuffix(SUFFIX) == section['type']:
        section['type'] = arch['type']


def _take_ours(options: dict[str, Any]) -> None:
    """Names of model, data sets and metrics by which ours are found, also where another package has the plain ones."""
    if isinstance(options.get('model_type'), str):
        options['model_type'] = name_here(MODEL_REGISTRY, options['model_type'])
    metrics = (options.get('val') or {}).get('metrics')
    for registry, sections in ((DATASET_REGISTRY, options.get('datasets')), (METRIC_REGISTRY, metrics)):
        for section in sections.values() if isinstance(sections, dict) else ():
            if isinstance(section, dict) and isinstance(section.get('type'), str):
                section['type'] = name_here(registry, section['type'])


def _gives_no_lq(options: dict[str, Any]) -> bool:
    """Whether a data set has no LQ of its own."""
    sets = options.get('datasets')
    sections = sets.values() if isinstance(sets, dict) else ()
    return any(isinstance(section, dict) and not section.get('dataroot_lq') for section in sections)


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
    path = user_path(source)
    checkpoint = latest_checkpoint(path) if path.is_dir() else path
    kind = (described(checkpoint).get('arch') or {}).get('type')
    learnt = kind == name_here(ARCH_REGISTRY, 'DegradationNet')
    return shipped_options() / ('test_degradation.yml' if learnt else 'test.yml')


source.complete_by(complete_test)
