"""Where an option stands: for a key that is right in itself and in the wrong section."""

from __future__ import annotations

import functools

from facesr_ext.errors import KeyPath
from facesr_ext.settings import datasets, logger, top, train, val
from facesr_ext.settings.reading import Section, names_of

_SECTIONS: tuple[tuple[KeyPath, type[Section]], ...] = (
    ((), top.FaceGANTrainFile),
    (('path',), top.Path),
    (('train',), train.SRPGGANTrain),
    (('train',), train.DegradationTrain),
    (('train', 'augment'), train.Augment),
    (('val',), val.Val),
    (('logger',), logger.Logger),
    (('challenge',), top.Challenge),
    (('datasets', 'train'), datasets.FaceSet),
    (('datasets', 'train'), datasets.PairedFaceSet),
    (('datasets', 'train'), datasets.UnpairedFaceSet),
)


@functools.cache
def _homes() -> dict[str, set[KeyPath]]:
    found: dict[str, set[KeyPath]] = {}
    for place, model in _SECTIONS:
        for name in names_of(model):
            found.setdefault(name, set()).add(place)
    return found


def home_of(name: str) -> KeyPath | None:
    """The one section that has an option of this name, None where there is none or more than one."""
    places = _homes().get(name, set())
    return next(iter(places)) if len(places) == 1 else None
