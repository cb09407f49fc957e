"""``facesr restore`` on whole photographs: seconds from a cold start, batches of faces, and the seam.

    python -m benchmarks.photos PHOTO... [--model default] [--parts start batches seam] [--rounds 1] [--identity]

start: each photograph alone, in a process of its own: faces found and restored, and what the seconds go to.
batches: all photographs, by batches as they come, of eight faces, one face at a time, and as GFPGAN-style code does
(`benchmarks.gfpgan_style`) with the same network, in fp32, and the same detector; they take turns. Means of the rounds.
Identity distances are measured with --identity alone, as they are for --json.
seam: the colour gradient of the change along the border of what is pasted (`faces.paste.seam`), in levels of 255 a
pixel and as a share of the photograph's own there; ours, and facexlib's paste of the same restored faces.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.common import Clock, add_clock, argument_parser, time_of_parts, timed, told
from benchmarks.gfpgan_style import GfpganStyle, faces_restored, paste_squares, square_mask
from facesr_ext.data.image_io import read_image
from facesr_ext.faces.alignment import Frame, frame_of
from facesr_ext.faces.detection import Face
from facesr_ext.faces.masks import ellipse_mask, landmark_mask
from facesr_ext.faces.paste import Patch, seam
from facesr_ext.inference.photo import PhotoRestorer
from facesr_ext.inference.photo_files import Written, restore_bytes

START = {
    'model': 'opening.open_model', 'detector': 'detection.build_detector', 'landmarks': 'photo._dlib',
    'read': 'photo_io.decode_photo_file', 'find': 'which_faces.find_faces', 'network': 'photo._restore_faces',
    'mask, identity': 'photo._patch', 'paste': 'paste.paste', 'write': 'photo_io.encode_photo_file',
}  # fmt: skip
"""What a part of a start is called, and the function of the package that does it."""
BATCHES = {
    'find': 'which_faces.find_faces', 'network': 'restorer.restore_batch',
    'mask, identity': 'photo._patch', 'paste': 'paste.paste',
}  # fmt: skip
"""The same of the restoring alone; what is left of the peer's is its paste."""
_LOOK = 256  # px at which landmarks of an aligned face are taken


def restore_once(photo: str, model: str, begun: str) -> None:
    """What the process of a cold start does: one file, and a line of JSON on what it took.

    Args:
        photo, model (str): As the command takes them.
        begun (str): When the process was started, ``time.time()``; or 'cpu', where its CPU seconds are to be counted.
    """
    clock = time.process_time if begun == 'cpu' else time.time
    start = 0.0 if begun == 'cpu' else float(begun)
    imports = clock() - start
    records: list[dict[str, Any]] = []

    def restore() -> None:
        with tempfile.TemporaryDirectory() as folder:
            data, record = restore_bytes(PhotoRestorer(model, device='cpu'), Path(photo).read_bytes(), Written())
            Path(folder, 'out').write_bytes(data)
            records.append(record)

    spent = time_of_parts(restore, START, clock)
    whole = clock() - start
    faces = records[0]['faces']
    sums = {'size': records[0]['size'], 'found': len(faces), 'restored': sum(face['done'] for face in faces)}
    print(json.dumps({**sums, 'seconds': {'whole': whole, 'imports': imports, **spent}}))


def print_start(photos: Sequence[Path], model: str, clock: Clock) -> None:
    """A row a photograph."""
    titles = ('whole', 'imports', *START)
    print(f'{"photograph":32}{"px":>12}{"found":>7}{"restored":>10}' + ''.join(f'{title:>16}' for title in titles))
    code = 'import sys; from benchmarks.photos import restore_once; restore_once(*sys.argv[1:])'
    for photo in photos:
        begun = 'cpu' if clock is time.process_time else repr(time.time())
        command = [sys.executable, '-c', code, str(photo), model, begun]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        sums = json.loads(output.splitlines()[-1])
        size = '{} x {}'.format(*sums['size'])
        cells = ''.join(f'{sums["seconds"][title]:16.2f}' for title in titles)
        print(f'{photo.name[:31]:32}{size:>12}{sums["found"]:7d}{sums["restored"]:10d}{cells}', flush=True)


def print_batches(
    images: Sequence[np.ndarray], restorer: PhotoRestorer, peer: GfpganStyle, rounds: int, clock: Clock
) -> None:
    """Seconds of each way, and how many times those of batches as they come."""
    num = sum(len(faces_restored(restorer, image)) for image in images)
    print(f'\n{num} faces of {len(images)} photographs: seconds')
    if not num:
        return

    def ours(size: int | None) -> None:
        restorer.batch_size = size
        for _ in restorer.restore_many(images):
            pass

    ways: dict[str, Callable[[], Any]] = {
        'as they come': lambda: ours(None),
        'batches of 8': lambda: ours(8),
        'one at a time': lambda: ours(1),
        'GFPGAN-style': lambda: [peer.restore(image) for image in images],
    }
    rows: dict[str, list[list[float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            spent: dict[str, float] = {}
            whole = timed(lambda: spent.update(time_of_parts(way, BATCHES, clock)), 'cpu', clock)  # noqa: B023
            rows[name].append([whole, *spent.values()])
    restorer.batch_size = None
    print(f'{"":20}{"whole":>10}{"a face":>10}{"times":>10}' + ''.join(f'{title:>16}' for title in BATCHES))
    first = np.mean(rows['as they come'], axis=0)[0]
    for name, values in rows.items():
        whole, *parts = np.mean(values, axis=0)
        cells = ''.join(f'{part:16.2f}' for part in parts)
        print(f'{name:20}{whole:10.2f}{whole / num:10.3f}{whole / first:10.2f}{cells}', flush=True)


def print_seam(photos: Sequence[Path], images: Sequence[np.ndarray], restorer: PhotoRestorer) -> None:
    """A row a photograph: means over its faces."""
    print(f'\n{"levels a pixel, x the photograph":32}{"faces":>7}{"ours":>18}{"GFPGAN-style":>18}{"along ours":>18}')
    for path, image in zip(photos, images, strict=True):
        result = restorer.restore(image)
        faces = find_done(restorer, image, result.faces)
        if not faces:
            continue
        theirs = paste_squares(image, [patch.frame for patch in faces], [patch.image for patch in faces])
        squares = [patch._replace(mask=square_mask()) for patch in faces]
        cells = [_seams(image, result.image, faces), _seams(image, theirs, squares), _seams(image, theirs, faces)]
        print(f'{path.name[:31]:32}{len(faces):7d}' + ''.join(f'{cell:>18}' for cell in cells), flush=True)


def find_done(restorer: PhotoRestorer, image: np.ndarray, records: Sequence[Any]) -> list[Patch]:
    """The patches of the faces that were restored: what was pasted, where, and within which mask."""
    done = [record for record in records if record.done]
    patches = []
    for face, record in zip(faces_restored(restorer, image), done, strict=True):
        frame = frame_of('ffhq', face)
        patches.append(Patch(frame, record.after, _mask(restorer, face, frame, record.before)))
    return patches


def _mask(restorer: PhotoRestorer, face: Face, frame: Frame, square: np.ndarray) -> np.ndarray:
    """By landmarks where dlib is there."""
    if restorer.landmarks is None:
        return ellipse_mask()
    five = frame.points(face.points, _LOOK).astype(np.float32)
    points = restorer.landmarks(cv2.resize(square, (_LOOK, _LOOK)), face._replace(points=five))
    return landmark_mask((points + 0.5) / _LOOK)


def _seams(image: np.ndarray, pasted: np.ndarray, patches: Sequence[Patch]) -> str:
    made = statistics.fmean(seam(image, pasted, patch) for patch in patches)
    own = statistics.fmean(seam(np.zeros_like(image), image, patch) for patch in patches)
    return f'{made:.2f} ({made / max(own, 1e-9):.2f})'


def main() -> None:
    """Prints what the head of this file says."""
    parser = argument_parser(__doc__)
    parser.add_argument('photos', type=Path, nargs='+', metavar='PHOTO')
    parser.add_argument('--model', default='default', help='default, sharp, a run, or a file of weights')
    parser.add_argument(
        '--parts', nargs='+', default=['start', 'batches', 'seam'], choices=['start', 'batches', 'seam']
    )
    parser.add_argument('--rounds', type=int, default=1)
    parser.add_argument('--identity', action='store_true', help='measure identity distances, too')
    add_clock(parser)
    args = parser.parse_args()
    with told(parser):
        images = [read_image(path) for path in args.photos]
        restorer = PhotoRestorer(args.model, device='cpu', identity=args.identity)
        print(f'{Path(args.model).name}, {torch.get_num_threads()} threads\n')
        if 'start' in args.parts:
            print_start(args.photos, args.model, args.clock)
        if 'batches' in args.parts:
            peer = GfpganStyle(PhotoRestorer(args.model, device='cpu', precision='fp32', identity=False))
            print_batches(images, restorer, peer, args.rounds, args.clock)
        if 'seam' in args.parts:
            print_seam(args.photos, images, restorer)


if __name__ == '__main__':
    main()
