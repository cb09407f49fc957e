"""The same face over the frames of a shot: found faces matched from frame to frame, and their places smoothed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from facesr_ext.faces.alignment import Frame, frame_of
from facesr_ext.faces.detection import Face, overlap
from facesr_ext.faces.landmarks import NUM_LANDMARKS
from facesr_ext.faces.smoothing import share_in_time, smoothed

LEAST_SEEN = 3
"""Frames in which a face has to be seen; what is seen in fewer is taken for a mistake of the detector."""
_MATCH = 0.25  # overlap of two boxes of one face, one frame apart
_GAP = 0.5  # seconds that a face may go unseen
_FADE = 0.2  # seconds over which a face that comes up within a shot is restored more and more
_SUDDEN = 1.5  # times by which a face grows or shrinks at most from one sight to the next


@dataclass(eq=False)
class Sight:
    """A face in one frame.

    Attributes:
        face (Face): As the detector gives it.
        landmarks (ndarray | None): (68, 2) float32, pixels of the frame.
    """

    face: Face
    landmarks: np.ndarray | None = None


@dataclass(eq=False)
class Track:
    """A face over some frames of a shot.

    Attributes:
        first (int): Its first frame, counted from the shot's.
        points (ndarray): (T, 5, 2) float64 pixels, smoothed; also where the face went unseen.
        boxes (ndarray): (T, 4) float64 pixels, smoothed.
        landmarks (ndarray | None): (T, 68, 2) float64 pixels, smoothed.
        share (ndarray): (T,) in (0, 1]: how much of a change is made; less where it comes up or goes within a shot.
        score (float): The mean of the detector's.
        seen (int): In how many frames it was found.
    """

    first: int
    points: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray | None
    share: np.ndarray
    score: float
    seen: int

    def __len__(self) -> int:
        return len(self.points)

    def face(self, index: int) -> Face:
        """The face in the ``index``-th frame of the track."""
        return Face(self.boxes[index].astype(np.float32), self.score, self.points[index].astype(np.float32))

    def frame(self, index: int) -> Frame:
        """Its aligned square there."""
        return frame_of('ffhq', Face(self.boxes[index], self.score, self.points[index]))

    def sides(self) -> np.ndarray:
        """(T,): the sides of its squares, pixels."""
        return np.array([self.frame(index).side for index in range(len(self))])


@dataclass(eq=False)
class _Open:
    """A track that may go on: its frames, seconds and sights."""

    frames: list[int] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)

    def expected(self, frame: int) -> np.ndarray:
        """(4,): its box in a later frame, where it goes on as it went."""
        last = self.sights[-1].face.box
        if len(self.sights) < 2:
            return last
        speed = (last - self.sights[-2].face.box) / (self.frames[-1] - self.frames[-2])
        moved = speed.reshape(2, 2).mean(0) * min(frame - self.frames[-1], 3)
        return last + np.tile(moved, 2)


def tracks_of(times: np.ndarray, sights: Sequence[Sequence[Sight]]) -> list[Track]:
    """Finds the tracks of a shot.

    Args:
        times (ndarray): (T,) seconds of its frames.
        sights (Sequence[Sequence[Sight]]): The faces of each frame, T of them.

    Returns:
        list[Track]: In the order in which they begin; those that were seen once, too.
    """
    going: list[_Open] = []
    done: list[_Open] = []
    for index, found in enumerate(sights):
        ended = [track for track in going if times[index] - times[track.frames[-1]] > _GAP]
        done += ended
        going = [track for track in going if track not in ended]
        going += _go_on(going, index, found)
    done += going
    done.sort(key=lambda track: track.frames[0])
    return [_smooth(track, times) for track in done]


def _go_on(going: Sequence[_Open], frame: int, found: Sequence[Sight]) -> list[_Open]:
    """Hands the faces of a frame to the tracks that they belong to; returns tracks that begin here."""
    free = set(range(len(found)))
    if going and found:
        likeness = np.array([[_likeness(track, frame, sight) for sight in found] for track in going])
        for row, column in zip(*linear_sum_assignment(-likeness), strict=True):
            if likeness[row, column] >= _MATCH:
                going[row].frames.append(frame)
                going[row].sights.append(found[column])
                free.discard(int(column))
    return [_Open([frame], [found[index]]) for index in sorted(free)]


def _likeness(track: _Open, frame: int, sight: Sight) -> float:
    last = track.sights[-1].face.size
    if not last / _SUDDEN < sight.face.size < last * _SUDDEN:
        return 0.0
    return max(overlap(track.expected(frame), sight.face.box), overlap(track.sights[-1].face.box, sight.face.box))


def _smooth(track: _Open, times: np.ndarray) -> Track:
    first, length = track.frames[0], track.frames[-1] - track.frames[0] + 1
    places = np.array(track.frames) - first
    own = times[first : first + length]
    measured = np.full((length, 14), np.nan)
    for place, sight in zip(places, track.sights, strict=True):
        measured[place] = np.concatenate([sight.face.points.ravel(), sight.face.box])
    even = np.concatenate([smoothed(own, measured[:, :10]), smoothed(own, measured[:, 10:])], 1)
    landmarks = _smooth_landmarks(track, places, own)
    fades = (first > 0, first + length < len(times))
    interval = float(np.diff(times).mean()) if len(times) > 1 else 1.0
    share = share_in_time(length, fades, round(_FADE / max(interval, 1e-6)))
    score = float(np.mean([sight.face.score for sight in track.sights]))
    return Track(first, even[:, :10].reshape(-1, 5, 2), even[:, 10:], landmarks, share, score, len(places))


def _smooth_landmarks(track: _Open, places: np.ndarray, times: np.ndarray) -> np.ndarray | None:
    known = [(place, sight.landmarks) for place, sight in zip(places, track.sights, strict=True)]
    if not any(landmarks is not None for _, landmarks in known):
        return None
    measured = np.full((len(times), 2 * NUM_LANDMARKS), np.nan)
    for place, landmarks in known:
        if landmarks is not None:
            measured[place] = landmarks.ravel()
    return smoothed(times, measured).reshape(-1, NUM_LANDMARKS, 2)
