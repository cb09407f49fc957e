"""What is to be done to each frame of a clip, from what the first pass has noted: shots, tracks, and which to restore.

Of the whole clip a few numbers a frame are held; tracks are those of the last two shots that were asked for.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from facesr_ext.errors import DatasetError
from facesr_ext.faces.alignment import Frame
from facesr_ext.faces.masks import SIDE, ellipse_mask, landmark_mask
from facesr_ext.faces.tracking import LEAST_SEEN, Track, tracks_of
from facesr_ext.inference.photo import PhotoRestorer
from facesr_ext.inference.video.look import Noted, lines_of, noted_of

_CUT, _TIMES, _AROUND = 10.0, 2.0, 2  # levels of 255; the change of a cut beside those of so many frames around it
_ALLOWANCE = 0.1  # of a bound of sizes: over which a face that crosses it is restored more and more
_KEPT = 2  # shots whose tracks are held


def cuts(changes: np.ndarray) -> list[int]:
    """The frames with which a new shot begins.

    A cut is a change that is large, and twice as large as those just before and after it: neither a flash, which
    changes twice, nor a fast movement, which changes all the time.

    Args:
        changes (ndarray): (T,) mean differences of each frame from the one before, levels of 255.
    """
    found = []
    for index in np.flatnonzero(changes > _CUT).tolist():
        around = np.concatenate([changes[max(1, index - _AROUND) : index], changes[index + 1 : index + 1 + _AROUND]])
        if index and changes[index] > _TIMES * float(around.max(initial=0.0)):
            found.append(index)
    return found


@dataclass
class Person:
    """A face over the frames of a shot, as it is told.

    Attributes:
        number (int): From 1 on, the largest first.
        first, last (int): Its frames, from 0.
        start, end (float): Seconds.
        size (float): The median side of its aligned square, pixels.
        score (float): The detector's, on average.
        seen (int): In how many frames it was found; in the others it is where its neighbours say.
        done (bool): Whether it is restored.
        reason (str | None): Why it is not.
    """

    number: int
    first: int
    last: int
    start: float
    end: float
    size: float
    score: float
    seen: int
    done: bool = True
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """JSON's kinds."""
        return dict(vars(self))


class Placed(NamedTuple):
    """A face that is restored in a frame.

    Attributes:
        number (int): Of its `Person`.
        frame (Frame): Its square, smoothed.
        size (int): Pixels at which the network is given it; the same over the whole track.
        share (float): How much of the change is made, in (0, 1].
        mask (ndarray): (SIDE, SIDE) float32 in [0, 1]: where.
    """

    number: int
    frame: Frame
    size: int
    share: float
    mask: np.ndarray


class _Shot(NamedTuple):
    first: int
    stop: int


class Plan:
    """Reads what was noted of a clip.

    Args:
        file (Path): Of `look`.
        tick (float): Seconds of a tick of its times.
        shape (tuple[int, int]): Height and width of the frames.
        restorer (PhotoRestorer): What is asked for: which faces, of what sizes.

    Raises:
        DatasetError: for a line that `look` has not written.

    Attributes:
        times (ndarray): (T,) int64, ticks.
        last (int): How long the last frame stays, ticks; 0 where it is not known.
        persons (list[Person]): Every face that was followed, the largest first.
    """

    def __init__(self, file: Path, tick: float, shape: tuple[int, int], restorer: PhotoRestorer) -> None:
        self.file, self.tick, self.shape, self.restorer = file, tick, shape, restorer
        times, places, changes, gray = array('q'), array('q'), array('f'), bytearray()
        self.last = 0
        for number, (place, line) in enumerate(lines_of(file), 1):
            try:
                noted = noted_of(line)
            except ValueError as err:
                raise DatasetError(f'{file} is damaged in line {number}; remove its folder, and begin again') from err
            times.append(noted.time)
            places.append(place)
            changes.append(noted.change)
            gray.append(noted.gray)
            self.last = noted.duration
        self.times, self._places = np.array(times, np.int64), places
        self._gray = np.frombuffer(bytes(gray), np.uint8)
        starts = [0, *cuts(np.array(changes, np.float32))]
        self.shots = [_Shot(a, b) for a, b in zip(starts, [*starts[1:], len(times)], strict=True) if b > a]
        self._starts = np.array([shot.first for shot in self.shots])
        self._held: OrderedDict[int, list[Track]] = OrderedDict()
        self._named: dict[tuple[int, int], Person] = {}
        self._sizes: dict[int, int] = {}
        self.persons = self._named_persons()

    def __len__(self) -> int:
        return len(self.times)

    def shot_of(self, index: int) -> int:
        """Which shot a frame is of."""
        return int(np.searchsorted(self._starts, index, 'right')) - 1

    def gray(self, index: int) -> bool:
        """Whether the shot of a frame has no colours."""
        shot = self.shots[self.shot_of(index)]
        return bool(self._gray[shot.first : shot.stop].mean() > 0.5)

    def placed(self, index: int) -> list[Placed]:
        """The faces that are restored in a frame, the largest first."""
        number = self.shot_of(index)
        shot, found = self.shots[number], []
        for order, track in enumerate(self._tracks(number)):
            person, place = self._named[number, order], index - shot.first - track.first
            if not person.done or not 0 <= place < len(track):
                continue
            frame = track.frame(place)
            share = float(track.share[place]) * self._share_of_size(frame.side)
            if share > 0:
                found.append(Placed(person.number, frame, self._sizes[person.number], share, _mask(track, place)))
        return sorted(found, key=lambda item: item.number)

    def _share_of_size(self, side: float) -> float:
        """Less than 1 close to the bounds of sizes, so that a face that crosses one does not change at once."""
        low, high = self.restorer.min_face, self.restorer.max_face
        over = (side - low) / (_ALLOWANCE * low) if side < (1 + _ALLOWANCE) * low else 1.0
        under = (high - side) / (_ALLOWANCE * high) if side > (1 - _ALLOWANCE) * high else 1.0
        return float(np.clip(min(over, under), 0, 1))

    def _tracks(self, number: int) -> list[Track]:
        """Those of a shot, found anew unless it was one of the last."""
        if number not in self._held:
            shot = self.shots[number]
            noted = self._read(shot)
            seconds = self.times[shot.first : shot.stop] * self.tick
            self._held[number] = tracks_of(seconds, [item.sights for item in noted])
            if len(self._held) > _KEPT:
                self._held.popitem(last=False)
        self._held.move_to_end(number)
        return self._held[number]

    def _read(self, shot: _Shot) -> list[Noted]:
        with self.file.open('rb') as stream:
            stream.seek(self._places[shot.first])
            return [noted_of(stream.readline()) for _ in range(shot.stop - shot.first)]

    def _named_persons(self) -> list[Person]:
        """Every track as a person: numbered, with the reason why it is left alone."""
        found: list[tuple[tuple[int, int], Person, np.ndarray]] = []
        wanted: set[tuple[int, int]] = set()
        for number, shot in enumerate(self.shots):
            sides = []
            for order, track in enumerate(self._tracks(number)):
                person = self._person(shot, track)
                sides.append(track.sides())
                person.size = round(float(np.median(sides[-1])), 1)
                person.reason = self._reason(track, sides[-1], shot.stop - shot.first)
                found.append(((number, order), person, sides[-1]))
            kept = [order for order in range(len(sides)) if found[len(found) - len(sides) + order][1].reason is None]
            wanted |= {(number, order) for order in self._chosen(number, kept, sides)}
        found.sort(key=lambda item: -item[1].size)
        for number, (key, person, side) in enumerate(found, 1):
            person.number, self._named[key] = number, person
            chosen = number in self.restorer.choice if isinstance(self.restorer.choice, tuple) else key in wanted
            person.reason = person.reason or (None if chosen else 'not asked for')
            person.done = person.reason is None
            largest = min(float(side.max()), self.restorer.max_face)
            self._sizes[number] = self.restorer.sizes.fed(largest, largest * (self.restorer.upscale or 1))
        return [person for _, person, _ in found]

    def _person(self, shot: _Shot, track: Track) -> Person:
        first = shot.first + track.first
        last = first + len(track) - 1
        start, end = (round(float(self.times[index] * self.tick), 3) for index in (first, last))
        return Person(0, first, last, start, end, 0.0, round(track.score, 3), track.seen)

    def _reason(self, track: Track, sides: np.ndarray, frames: int) -> str | None:
        if track.seen < min(LEAST_SEEN, frames):
            return f'seen in fewer than {LEAST_SEEN} frames'
        if sides.max() < self.restorer.min_face:
            return f'smaller than {self.restorer.min_face} px'
        if sides.min() > self.restorer.max_face:
            return f'larger than {self.restorer.max_face} px, up to which the network gains; --max-face allows it'
        return None

    def _chosen(self, number: int, kept: list[int], sides: list[np.ndarray]) -> set[int]:
        """Of the tracks of a shot those that are asked for by a word."""
        if self.restorer.choice not in ('largest', 'center') or not kept:
            return set(kept)
        if self.restorer.choice == 'largest':
            return {max(kept, key=lambda order: float(sides[order].sum()))}
        middle, tracks = np.array(self.shape[::-1]) / 2, self._tracks(number)
        away = {
            order: float(np.linalg.norm(tracks[order].points.mean(1) - middle, axis=1).mean()) / len(tracks[order])
            for order in kept
        }
        return {min(away, key=lambda order: away[order])}


def _mask(track: Track, place: int) -> np.ndarray:
    """By the smoothed landmarks in the smoothed square; the ellipse where there are none."""
    if track.landmarks is None:
        return ellipse_mask()
    points = track.frame(place).points(track.landmarks[place], SIDE)
    return landmark_mask((points + 0.5) / SIDE)
