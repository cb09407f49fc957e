"""``facesr restore`` on clips: what a file keeps, how much faces flicker, how long it takes, and how much memory.

    python -m benchmarks.video [--parts clip memory] [--photo PHOTO] [--seconds 10] [--rate 24] [-o FOLDER]

clip: drawn faces that move, noise, a cut, a turned picture and sound, restored whole; what there was before and after.
memory: the most that a process holds while it restores such a clip of half the width and height, and one six times as
long; each in a process of its own. Needs Linux.
pan: a window that moves over a photograph, with noise; flicker alone. With --photo.

Flicker is the mean difference of a face's luma from one frame to the next, in levels of 255, by the same smoothed
points in every row: of the clip, of the restored frames before they are encoded, of the encoded ones, and of what
restoring each frame as a photograph gives. Seconds are of the processor.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clips import drawn_frames, panned_frames, write_clip
from benchmarks.common import argument_parser, told
from facesr_ext.data.clip_io import pyav
from facesr_ext.data.image_io import read_image
from facesr_ext.errors import FaceSRError
from facesr_ext.inference.photo import PhotoRestorer
from facesr_ext.inference.video.files import ClipWritten, begin_anew, restore_clip_file
from facesr_ext.inference.video.frames import FlickerMeter, total
from facesr_ext.inference.video.look import look
from facesr_ext.inference.video.plan import Plan
from facesr_ext.inference.video.run import ClipRecord
from facesr_ext.inference.video.sources import ClipSource

PARTS = ('clip', 'memory')
_TURN, _CRF = 90, 26
_LONGER = 6  # times
_STATUS = Path('/proc/self/status')


def main() -> None:
    """Measures and prints tables."""
    parser = argument_parser(__doc__)
    parser.add_argument('--parts', nargs='*', choices=PARTS, default=PARTS)
    parser.add_argument('--photo', type=Path, help='over which a window moves')
    parser.add_argument('--model', default='default')
    parser.add_argument('--seconds', type=int, default=10)
    parser.add_argument('--rate', type=int, default=24, help='frames a second')
    parser.add_argument('--size', type=_size, default=(640, 360), help='of a frame, as 640x360')
    parser.add_argument('-o', '--output', type=Path, help='keep the clips here')
    args = parser.parse_args()
    with told(parser), tempfile.TemporaryDirectory() as temporary:
        folder, frames = args.output or Path(temporary), args.seconds * args.rate
        folder.mkdir(parents=True, exist_ok=True)
        if 'clip' in args.parts:
            drawn = drawn_frames(frames, args.rate, args.size)
            write_clip(folder / 'drawn.mp4', drawn, rate=args.rate, turn=_TURN, crf=_CRF)
            print_clip(folder / 'drawn.mp4', args.model)
        if args.photo:
            pan = panned_frames(read_image(args.photo), frames, args.size)
            write_clip(folder / 'pan.mp4', pan, rate=args.rate, crf=_CRF)
            print_clip(folder / 'pan.mp4', args.model)
        if 'memory' in args.parts:
            small = (args.size[0] // 4 * 2, args.size[1] // 4 * 2)
            print_memory(folder, [args.seconds, _LONGER * args.seconds], args.rate, small, args.model)


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = map(int, text.split('x'))
    except ValueError as err:
        raise argparse.ArgumentTypeError('say it as 640x360') from err
    if min(width, height) < 64 or width % 2 or height % 2:
        raise argparse.ArgumentTypeError('even numbers, from 64 on')
    return width, height


def print_clip(path: Path, model: str) -> None:
    """Restores a clip, and prints what it was and is.

    Args:
        path (Path): The clip.
        model (str): As the command takes it.
    """
    restorer, out = PhotoRestorer(model, device='cpu', identity=False), path.with_name(f'{path.stem}_restored.mp4')
    begin_anew(out)
    start = time.process_time()
    record = restore_clip_file(restorer, path, out, ClipWritten(quiet=True), {})
    spent = time.process_time() - start
    before, after = read_facts(path), read_facts(out)
    print(f'\n| {path.name} | before | after |\n|---|---:|---:|')
    for name in before:
        print(f'| {name} | {_said(before[name])} | {_said(after[name], before[name])} |')
    print(f'| shots, from frame | | {", ".join(map(str, record.shots))} |')
    print(f'| faces followed, restored | | {len(record.persons)}, {sum(one.done for one in record.persons)} |')
    for name, (first, second) in measured_flicker(restorer, path, out, record).items():
        print(f'| flicker, {name} | {first:.2f} | {second:.2f} |')
    print(f'| seconds | | {spent:.0f} |', flush=True)


def _said(value: Any, other: Any = None) -> str:
    """A fact in a cell; of a long one its length, and whether it is the same as another."""
    if not isinstance(value, list):
        return str(value)
    what = f'{len(value)}'
    if value and isinstance(value[0], bytes):
        what += f', {sum(map(len, value)):,} bytes'
    return what if other is None else f'{what}, {"the same" if value == other else "not the same"}'


def read_facts(path: Path) -> dict[str, Any]:
    """What a clip is: of its frames the number, rate, times and turn; of its sound the packets and their times."""
    av = pyav()
    with av.open(str(path)) as clip:
        stream = clip.streams.video[0]
        packets = [packet for packet in clip.demux(*clip.streams) if packet.size]
        pictures = sorted(float(packet.pts * packet.time_base) for packet in packets if packet.stream is stream)
        sound = [packet for packet in packets if packet.stream.type == 'audio']
        rate = float(stream.average_rate)
        voice = [bytes(packet) for packet in sound]
        heard = [round(float(packet.pts * packet.time_base), 4) for packet in sound]
    with av.open(str(path)) as clip:
        turn = next(clip.decode(video=0)).rotation
    return {
        'frames': len(pictures), 'frames a second': rate, 'times of frames': [round(time, 4) for time in pictures],
        'turned by, degrees': turn, 'packets of sound': voice, 'times of packets': heard,
    }  # fmt: skip


def measured_flicker(
    restorer: PhotoRestorer, path: Path, out: Path, record: ClipRecord
) -> dict[str, tuple[float, float]]:
    """Flicker before and after, of each way.

    Args:
        restorer (PhotoRestorer): What has restored.
        path, out (Path): The clip, and the restored one.
        record (ClipRecord): Of that.
    """
    source, meters = ClipSource(path), {'encoded': FlickerMeter(), 'each frame as a photograph': FlickerMeter()}
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / 'faces.jsonl'
        look(source, restorer, notes, lambda: None)
        info = source.info
        plan = Plan(notes, float(info.time_base), (info.height, info.width), restorer)
        for given, coded in zip(source.frames(), ClipSource(out).frames(), strict=True):
            placed, number = plan.placed(given.number), given.number
            for meter, made in zip(meters.values(), (coded.image, restorer.restore(given.image).image), strict=True):
                meter.add(number, placed, given.image, made)
    rows = {'restored as a clip': record.whole_flicker().means()}
    rows |= {name: total(meter.flicker.values()).means() for name, meter in meters.items()}
    return {name: row for name, row in rows.items() if row is not None}


def print_memory(folder: Path, seconds: Sequence[int], rate: int, size: tuple[int, int], model: str) -> None:
    """A row a length.

    Raises:
        FaceSRError: on other systems than Linux.
    """
    if not _STATUS.is_file():
        raise FaceSRError('--parts memory needs /proc of Linux; leave it out')
    print(f'\n| seconds, {size[0]}x{size[1]} px | frames | MB at the start | MB at most | seconds it took |')
    print('|---:|---:|---:|---:|---:|')
    code = 'import sys; from benchmarks.video import restore_once; restore_once(*sys.argv[1:])'
    for length in seconds:
        path = folder / f'{length}s.mp4'
        write_clip(path, drawn_frames(length * rate, rate, size), rate=rate, crf=_CRF)
        out = path.with_name(f'{path.stem}_restored.mp4')
        begin_anew(out)
        command = [sys.executable, '-c', code, str(path), str(out), model]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        told_of = json.loads(output.splitlines()[-1])
        print(f'| {length} | ' + ' | '.join(f'{value:.0f}' for value in told_of) + ' |', flush=True)


def restore_once(path: str, out: str, model: str) -> None:
    """What a process of its own does: a clip, and a line of JSON: frames, MB before and at most, CPU seconds."""
    restorer = PhotoRestorer(model, device='cpu', identity=False)
    restorer.restore(np.zeros((64, 64, 3), np.uint8))  # what is loaded late is there
    start, before = time.process_time(), _most()
    record = restore_clip_file(restorer, Path(path), Path(out), ClipWritten(quiet=True), {})
    print(json.dumps([record.frames, before, _most(), time.process_time() - start]))


def _most() -> float:
    """The most memory that this process has held, MB."""
    text = _STATUS.read_text(encoding='ascii')
    return int(text.split('VmHWM:')[1].split()[0]) / 1000


if __name__ == '__main__':
    main()
