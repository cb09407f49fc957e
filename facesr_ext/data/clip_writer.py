"""Writing clips: frames into segments that are whole files, and segments with the given clip's sound into one clip.

A segment begins with a key frame and needs no other; what is joined are its packets, nothing is encoded twice. Sound
and subtitles are copied packet by packet.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from facesr_ext.data.clip_io import Clip, ClipInfo, picture_stream, pyav
from facesr_ext.errors import DatasetError, DependencyError, OptionError, hint

CONTAINERS = {
    '.mp4': 'mp4', '.m4v': 'mp4', '.mov': 'mov', '.mkv': 'matroska', '.webm': 'webm', '.ts': 'mpegts',
}  # fmt: skip
"""Suffixes of what is written, and FFmpeg's names of the formats."""
_DEPTH = 8
_QUALITY = {'libx264': 18, 'libx265': 20, 'libvpx-vp9': 24, 'libsvtav1': 24, 'libaom-av1': 22, 'libopenh264': None}
"""``crf`` of the codecs that have one, by which a difference is hardly seen."""
_MORE: dict[str, dict[str, str]] = {
    'libx264': {'x264-params': 'mbtree=0'},  # with it, x264 165 encodes the same frames differently each time
    'libx265': {'x265-params': 'log-level=error'},
    'libvpx-vp9': {'b': '0', 'row-mt': '1', 'cpu-used': '4'},
}
_OWN = ('encoder', 'major_brand', 'minor_version', 'compatible_brands')  # tags that each format writes itself
_KINDS = ('audio', 'subtitle')


class Coding(NamedTuple):
    """How frames are encoded.

    Attributes:
        codec (str): FFmpeg's name of the encoder.
        crf (int | None): Its quality; None where it has no such scale.
        layout (str): Of the pixels.
    """

    codec: str
    crf: int | None
    layout: str


def choose_coding(suffix: str, codec: str | None, crf: int | None, layout: str, bits: int) -> tuple[Coding, list[str]]:
    """The encoder and layout for a clip.

    8 bits become H.264 and more become HEVC, where the FFmpeg of PyAV has libx264 and libx265; ``.webm`` is VP9.

    Args:
        suffix (str): Of the file, one of `CONTAINERS`.
        codec (str | None): What the user asks for.
        crf (int | None): So.
        layout (str): FFmpeg's name of the given frames' layout.
        bits (int): Of their samples.

    Returns:
        tuple[Coding, list[str]]: And what is lost by it.

    Raises:
        OptionError: for a codec that is no encoder of pictures, or has no ``crf``.
        DependencyError: where there is no encoder at all.
    """
    av = pyav()
    known = [name for name in _QUALITY if name in av.codecs_available]
    wanted = ('libvpx-vp9', 'libsvtav1') if suffix == '.webm' else ('libx265', 'libx264') if bits > _DEPTH else ()
    name = codec or next((name for name in (*wanted, 'libx264', 'libopenh264', 'mpeg4') if name in _encoders(av)), None)
    if name is None:
        raise DependencyError('the FFmpeg of PyAV has no encoder for it; install a build of av with libx264')
    try:
        encoder = av.Codec(name, 'w')
    except (ValueError, av.FFmpegError) as err:
        raise OptionError(
            f'there is no encoder {name!r} in the FFmpeg of PyAV; {hint(name, known)}', ('codec',)
        ) from err
    if encoder.type != 'video':
        raise OptionError(f'{name} encodes no pictures; {hint(name, known)}', ('codec',))
    name = encoder.name
    if crf is not None and _QUALITY.get(name) is None:
        raise OptionError(f'{name} has none; take one of {", ".join(n for n, q in _QUALITY.items() if q)}', ('crf',))
    offered = [item.name for item in encoder.video_formats or ()]
    chosen, lost = _layout(offered, layout, bits)
    return Coding(name, _QUALITY.get(name) if crf is None else crf, chosen), lost


def _encoders(av: Any) -> set[str]:
    return set(av.codecs_available)


def _layout(offered: Sequence[str], layout: str, bits: int) -> tuple[str, list[str]]:
    """The layout itself where an encoder takes it, else the nearest that players know."""
    plain_samples = layout.startswith(('yuv', 'nv', 'gray'))  # others hold them shifted, packed or with alpha
    if plain_samples and not layout.startswith('yuva') and (layout in offered or not offered):
        return layout, []
    deep = [name for name in ('yuv420p10le', 'yuv422p10le', 'yuv444p10le') if name in offered]
    if bits > _DEPTH and deep:
        return deep[0], [] if bits == 10 and '420' in layout else [f'{layout} becomes {deep[0]}']
    plain = 'yuv420p' if 'yuv420p' in offered else offered[0]
    return plain, [f'{layout} becomes {plain}']


def write_segment(path: Path, frames: Iterable[Any], info: ClipInfo, coding: Coding) -> int:
    """Encodes some frames into a file of their own (Matroska), their times counted from 0.

    Args:
        path (Path): Where to.
        frames (Iterable[av.VideoFrame]): In the layout of ``coding``, of one size.
        info (ClipInfo): Of the clip.
        coding (Coding): How.

    Returns:
        int: How many.

    Raises:
        DatasetError: if the encoder refuses them.
    """
    av, given = pyav(), iter(frames)
    first = next(given, None)  # before the file is opened: what it raises is not the encoder's to tell
    if first is None:
        return 0
    number = 0
    try:
        with av.open(str(path), 'w', format='matroska') as out:
            stream = _new_stream(out, first, info, coding)
            for frame in itertools.chain([first], given):
                frame.pts, frame.time_base = number, stream.codec_context.time_base
                number += 1
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    except (av.FFmpegError, ValueError) as err:
        reason = getattr(err, 'strerror', None) or err
        raise DatasetError(f'{coding.codec} does not take these frames ({reason}); name another --codec') from err
    return number


def _new_stream(out: Any, frame: Any, info: ClipInfo, coding: Coding) -> Any:
    rate = info.rate.limit_denominator(60000) if 0 < info.rate <= 500 else Fraction(25)
    options = dict(_MORE.get(coding.codec, {}))
    if coding.crf is not None:
        options['crf'] = str(coding.crf)
    stream = out.add_stream(coding.codec, rate=rate, options=options)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = frame.width, frame.height, coding.layout
    context.time_base = 1 / rate
    for name, value in info.colours.items():
        setattr(context, name, value)
    if info.aspect is not None:
        context.sample_aspect_ratio = info.aspect
    return stream


class Times(NamedTuple):
    """When the frames of a clip are shown: ticks, (T,) int64 rising, and how long the last one stays."""

    shown: np.ndarray
    last: int


def require_container(clip: Clip | None, suffix: str) -> None:
    """Sees before the work that the file can hold the sound and the subtitles of the clip.

    Raises:
        OptionError: for a suffix that is not written, or a format without room for a stream.
    """
    if suffix not in CONTAINERS:
        raise OptionError(f'{suffix or "no suffix"} is not written; say {", ".join(CONTAINERS)}', ('--output',))
    if clip is None:
        return
    av = pyav()
    with clip.opened() as source:
        for stream in _carried(source):
            target = av.open('/dev/null' if Path('/dev/null').exists() else 'NUL', 'w', format=CONTAINERS[suffix])
            try:
                target.add_stream_from_template(stream)
                target.start_encoding()
            except (av.FFmpegError, ValueError) as err:
                what = f'{stream.type} ({stream.codec_context.name if stream.codec_context else "unknown"})'
                raise OptionError(
                    f'{suffix} cannot hold its {what}; name another suffix, as .mkv', ('--output',)
                ) from err
            finally:
                with contextlib.suppress(av.FFmpegError, ValueError):
                    target.close()


def join(path: Path, suffix: str, segments: Sequence[Path], times: Times, info: ClipInfo, sound: Clip | None) -> None:
    """Joins segments into one clip, with the times, turn and sound of the given one.

    Args:
        path (Path): Where to; its name need not have the suffix.
        suffix (str): Names the format.
        segments (Sequence[Path]): In order.
        times (Times): Of all frames.
        info (ClipInfo): Of the clip.
        sound (Clip | None): Where sound, subtitles, chapters and tags are taken from.

    Raises:
        DatasetError: if the segments have another number of frames, or the format does not take them.
        DependencyError: where PyAV is too old to write the display matrix that there is.
    """
    av = pyav()
    options = {'movflags': '+faststart'} if CONTAINERS[suffix] in ('mp4', 'mov') else {}
    try:
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(av.open(str(path), 'w', format=CONTAINERS[suffix], options=options))
            first = stack.enter_context(av.open(str(segments[0])))
            picture = out.add_stream_from_template(first.streams.video[0])
            picture.time_base = info.time_base
            if picture.codec_context is not None and first.streams.video[0].codec_context.name == 'hevc':
                _tag(picture, suffix)
            if info.matrix is not None:
                _turn(picture, info.matrix)
            copied: Iterator[Any] = iter(())
            if sound is not None:
                copied = _sound(out, stack.enter_context(sound.opened()))
            out.start_encoding()
            merged = heapq.merge(_pictures(picture, segments, times, info), copied, key=_when)
            for packet in merged:
                out.mux(packet)
    except (av.FFmpegError, ValueError) as err:
        reason = getattr(err, 'strerror', None) or err
        raise DatasetError(f'{suffix} does not take it ({reason}); write .mkv') from err


def _tag(stream: Any, suffix: str) -> None:
    """Apple's players know HEVC by this name alone."""
    if CONTAINERS[suffix] in ('mp4', 'mov'):
        stream.codec_context.codec_tag = 'hvc1'


def _turn(stream: Any, matrix: tuple[int, ...]) -> None:
    if not hasattr(stream, 'set_display_matrix'):
        raise DependencyError("to keep its rotation needs PyAV 18; run: pip install 'av>=18'")
    stream.set_display_matrix(matrix)


def _carried(container: Any) -> list[Any]:
    return [stream for stream in container.streams if stream.type in _KINDS]


def _sound(out: Any, source: Any) -> Iterator[Any]:
    """Adds what is copied to a clip, and returns its packets."""
    out.metadata.update({key: value for key, value in source.metadata.items() if key not in _OWN})
    with contextlib.suppress(AttributeError):
        out.set_chapters(source.chapters())
    streams = _carried(source)
    if not streams:
        return iter(())
    targets = {}
    for stream in streams:
        targets[stream.index] = out.add_stream_from_template(stream)
        targets[stream.index].metadata.update(stream.metadata)
    return _copied(source, streams, targets)


def _copied(source: Any, streams: Sequence[Any], targets: dict[int, Any]) -> Iterator[Any]:
    for packet in source.demux(streams):
        if packet.dts is None and packet.pts is None:
            continue  # the end
        packet.stream = targets[packet.stream.index]
        yield packet


def _pictures(picture: Any, segments: Sequence[Path], times: Times, info: ClipInfo) -> Iterator[Any]:
    """The packets of the segments, each with the time of its frame.

    Decoding times are the times of the frames in order, as much earlier as frames are encoded ahead of their time.
    """
    ahead = max(_ahead(path) for path in segments)
    step = max(1, round(1 / (info.rate * info.time_base)))
    shown = times.shown.tolist()
    decoded = [shown[0] - step * (ahead - index) for index in range(ahead)] + shown
    first = 0
    for path in segments:
        order = _order(path)
        if first + len(order) > len(shown):
            raise DatasetError(f'{path} has more frames than it was given; remove its folder, and begin again')
        with pyav().open(str(path)) as source:
            packets = (packet for packet in source.demux(video=0) if packet.size)
            for place, (packet, rank) in enumerate(zip(packets, order, strict=True)):
                index = first + rank
                ends = shown[index + 1] if index + 1 < len(shown) else shown[index] + (times.last or step)
                packet.stream, packet.time_base = picture, info.time_base
                packet.pts, packet.dts = shown[index], decoded[first + place]
                packet.duration = ends - shown[index]
                yield packet
        first += len(order)
    if first != len(shown):
        raise DatasetError(f'the segments have {first} frames, not {len(shown)}; remove their folder, and begin again')


def _order(path: Path) -> list[int]:
    """The place in the order of showing of each packet of a segment."""
    with pyav().open(str(path)) as source:
        times = [packet.pts for packet in source.demux(picture_stream(source)) if packet.size]
    ranks = np.empty(len(times), int)
    ranks[np.argsort(np.array(times), kind='stable')] = np.arange(len(times))
    return ranks.tolist()


def _ahead(path: Path) -> int:
    """By how many frames a segment is decoded ahead of its time."""
    return max([0, *(place - rank for place, rank in enumerate(_order(path)))])


def _when(packet: Any) -> float:
    """Seconds by which packets of several streams are put in order."""
    time = packet.dts if packet.dts is not None else packet.pts
    return float(time * packet.time_base)
