"""A clip from its first look to its file; killed at any time, it goes on where it was.

Beside the result lies a folder until that is whole: what the first pass has noted, the segments that are done, and
the settings that they depend on. A segment depends on its frames and the notes alone, so that an interrupted run
makes what an unbroken one makes.
"""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from facesr_ext.data.clip_writer import Times
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.inference.photo import PhotoRestorer
from facesr_ext.inference.video.frames import REACH, FrameRestorer, rounded, total
from facesr_ext.inference.video.look import look
from facesr_ext.inference.video.plan import Person, Plan
from facesr_ext.inference.video.sinks import Result, Sink
from facesr_ext.inference.video.sources import Given, Source
from facesr_ext.metrics.flicker import Flicker
from facesr_ext.runs.atomic import remove_unfinished, write_text

SEGMENT = 240
"""Frames of a segment: so much is done again, at most, after a kill."""
_NOTES, _LOOKED, _SETTINGS = 'faces.jsonl', 'looked', 'settings.json'


@dataclass
class ClipRecord:
    """What became of a clip.

    Attributes:
        frames (int): How many it has.
        shots (list[int]): The frames with which its shots begin, from 0.
        persons (list[Person]): Its faces over the frames of their shots, the largest first.
        flicker (dict[int, Flicker]): Of each that was restored, by its number.
        notes (list[str]): What is not carried over, or deserves a look.
    """

    frames: int
    shots: list[int]
    persons: list[Person]
    flicker: dict[int, Flicker]
    notes: list[str]

    def whole_flicker(self) -> Flicker:
        """Of all faces together."""
        return total(self.flicker.values())

    def as_json(self) -> dict[str, Any]:
        """JSON's kinds."""
        faces = []
        for person in self.persons:
            flicker = rounded(self.flicker[person.number]) if person.number in self.flicker else None
            faces.append({**person.as_json(), 'flicker': flicker})
        return {
            'frames': self.frames,
            'shots': self.shots,
            'notes': self.notes,
            'flicker': rounded(self.whole_flicker()),
            'faces': faces,
        }


def restore_clip(
    restorer: PhotoRestorer,
    source: Source,
    sink: Sink,
    parts: Path,
    settings: dict[str, Any],
    notes: Sequence[str] = (),
    quiet: bool = False,
    segment: int = SEGMENT,
) -> ClipRecord:
    """Restores a clip, or goes on with it.

    Args:
        restorer (PhotoRestorer): What restores.
        source (Source): Where its frames come from.
        sink (Sink): Where they go.
        parts (Path): The folder in which unfinished work is kept; it is gone when all is done.
        settings (dict): What the result depends on, JSON's kinds.
        notes (Sequence[str]): What is to be told of it.
        quiet (bool): Without a bar of progress. Default: False.
        segment (int): Frames of a segment. Default: `SEGMENT`.

    Raises:
        OptionError: if work of other settings is there.
        DatasetError: if the clip has no frames, cannot be decoded to its end, or not be written.
    """
    _settle(parts, {**settings, 'source': source.stamp(), 'segment': segment})
    remove_unfinished(parts)
    known = source.info.frames
    with tqdm(total=2 * known if known else None, unit='frame', disable=quiet) as progress:
        file = parts / _NOTES
        if not (parts / _LOOKED).is_file():
            progress.set_description('finding faces')
            look(source, restorer, file, progress.update)
            write_text(parts / _LOOKED, '')
        info = source.info
        plan = Plan(file, float(info.time_base), (info.height, info.width), restorer)
        if not len(plan):
            raise DatasetError('it has no frames')
        progress.total = 2 * len(plan)
        progress.update(len(plan) - progress.n)
        progress.set_description('restoring')
        flicker = _restore(restorer, source, sink, parts, plan, progress, segment)
    sink.finish(Times(plan.times, plan.last))
    shutil.rmtree(parts, ignore_errors=True)
    more = [f'{source.damaged()} damaged packets were left out'] if source.damaged() else []
    starts = [shot.first for shot in plan.shots]
    return ClipRecord(len(plan), starts, plan.persons, flicker, [*notes, *more])


def _settle(parts: Path, settings: dict[str, Any]) -> None:
    """Notes what the result depends on, or compares it with what is noted."""
    file, mine = parts / _SETTINGS, json.loads(json.dumps(settings))
    try:
        if not file.is_file():
            write_text(file, json.dumps(mine, indent=1))
            return
        theirs = dict(json.loads(file.read_text(encoding='utf-8')))
    except (ValueError, TypeError, RecursionError) as err:
        raise OptionError(f'{file} is damaged ({err}); remove its folder, and begin again', ('--output',)) from err
    except OSError as err:
        raise OptionError(f'cannot write {file}: {err.strerror or err}', ('--output',)) from err
    other = [f'{name} {theirs.get(name)} (now {value})' for name, value in mine.items() if theirs.get(name) != value]
    if other:
        raise OptionError(
            f'{parts} has unfinished work of other settings: {", ".join(other)}; take the same, or remove it',
            ('--output',),
        )


class _Stream:
    """The frames of a source, of which the last few can be had again."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._frames: Iterator[Given] | None = None
        self._last: deque[Given] = deque(maxlen=2 * REACH)

    def between(self, start: int, stop: int) -> Iterator[Given]:
        """Those from ``start`` on, which is at most 2 ``REACH`` before where the last ones ended."""
        if self._frames is None:
            self._frames = self.source.frames(start)
        yield from [given for given in self._last if start <= given.number < stop]
        position = self._last[-1].number + 1 if self._last else start
        while position < stop and (given := next(self._frames, None)) is not None:
            self._last.append(given)
            position = given.number + 1
            if given.number >= start:
                yield given


def _restore(
    restorer: PhotoRestorer, source: Source, sink: Sink, parts: Path, plan: Plan, progress: Any, segment: int
) -> dict[int, Flicker]:
    """The segments that are not there yet; returns the flicker of all."""
    whole: dict[int, Flicker] = {}
    stream = _Stream(source)
    for number, first in enumerate(range(0, len(plan), segment)):
        stop, figures = min(first + segment, len(plan)), parts / f'{number:06d}.json'
        if sink.has(number, first, stop) and figures.is_file():
            progress.update(stop - first)
        else:
            worker = FrameRestorer(restorer, plan)
            given = stream.between(max(0, first - REACH), stop + REACH)
            sink.write(number, _counted(worker.frames(given, first, stop), stop - first, progress))
            write_text(figures, json.dumps({key: vars(value) for key, value in worker.meter.flicker.items()}))
        for key, value in json.loads(figures.read_text(encoding='utf-8')).items():
            whole.setdefault(int(key), Flicker()).join(Flicker(**value))
    return whole


def _counted(results: Iterable[Result], wanted: int, progress: Any) -> Iterator[Result]:
    """Passes results on.

    Raises:
        DatasetError: if there are fewer than wanted.
    """
    done = 0
    for result in results:
        yield result
        done += 1
        progress.update()
    if done != wanted:
        raise DatasetError(f'{wanted - done} frames that were there at the first look are gone; begin again')
