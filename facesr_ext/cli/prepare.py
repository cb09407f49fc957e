"""``facesr prepare``: photographs -> a clean, aligned, split, labelled data set, with a manifest of every file."""

from __future__ import annotations

from pathlib import Path

import typer

from facesr_ext.errors import OptionError


def main(
    paths: list[Path] = typer.Argument(
        ..., metavar='SRC... DST', help='Folders of photographs, or files; then the data set, new or to go on with.'
    ),
    detector: str = typer.Option(
        'centerface', help='centerface, retinaface (extra: facexlib), or none: each image is one face.'
    ),
    threshold: float = typer.Option(0.5, help='The least score of a face; 0.35 finds everything, and more.'),
    landmarks: str = typer.Option('none', help='dlib: 68 points, a better alignment, landmarks.json (extra: faces).'),
    crop: str = typer.Option('ffhq', help='ffhq or celeba (turned upright), fsrnet (as it is), box.'),
    margin: float = typer.Option(0.3, help='For --crop box: share of the box added on each side.'),
    sizes: str = typer.Option('256', help='Sizes of the faces in pixels, as 16,32,64,128.'),
    kernel: str = typer.Option('cubic', help="How they are reduced: cubic (MATLAB's) or area."),
    lr: str = typer.Option('', help='Also write LR images, reduced by these factors, as 4,8.'),
    tile: int | None = typer.Option(None, help='Cut tiles of this size in place of faces.'),
    min_face: int | None = typer.Option(None, help="The least side of a face's square, pixels. Default: the size."),
    max_face: int | None = typer.Option(None, help='The largest: for collecting low-resolution faces.'),
    max_outside: float = typer.Option(0.2, help='How much of the square may lie beyond the edge.'),
    min_sharpness: float = typer.Option(7.0, help='Blurrier faces are left out; 0 keeps all.'),
    information: bool | None = typer.Option(None, help='Leave out images of few colours. Default: tiles alone.'),
    duplicates: str = typer.Option('near', help='near: images that show the same stay once; exact, keep.'),
    same_person: float | None = typer.Option(None, help='Faces nearer than this stay in one split (extra: faces).'),
    split: str = typer.Option('8:1:1', help='Shares, counts as 28000/1000/1000, or a file of names and splits.'),
    masks: Path | None = typer.Option(None, help='Masks of the photographs, NAME.png; they are cropped alike.'),
    mask_labels: str = typer.Option('celebamask19', help='What their values mean.'),
    fix_labels: bool = typer.Option(False, '--fix-labels', help='Exchange left and right where a mask confuses them.'),
    check_labels: bool = typer.Option(
        False, '--check-labels', help='Only list such masks below SRC...; there is no DST.'
    ),
    parse: str = typer.Option('none', help='Make masks by bisenet or parsenet (extra: facexlib).'),
    store: str = typer.Option('folder', '--format', help='folder or lmdb.'),
    licence: str = typer.Option('', help="The source's terms, noted in dataset.md."),
    weights: Path | None = typer.Option(None, help="Folder with the networks' files."),
    workers: int = typer.Option(0, min=0, help='Processes. Default: one a core, fewer for few files.'),
) -> None:
    """Make a data set of photographs: find the faces, align, sort out, split, label. Run it again to go on."""
    from facesr_ext.preparation.plan import Plan
    from facesr_ext.preparation.run import prepare

    if check_labels:
        _list_confused(paths, mask_labels)
        return
    if len(paths) < 2:
        raise OptionError('one path is too few: name photographs, then the data set', ('SRC... DST',))
    plan = Plan(
        detector=detector, threshold=threshold, landmarks=landmarks, crop=crop, margin=margin,
        sizes=_numbers(sizes, '--sizes'), kernel=kernel, lr=_numbers(lr, '--lr'), tile=tile, min_face=min_face,
        max_face=max_face, max_outside=max_outside, min_sharpness=min_sharpness, information=information,
        duplicates=duplicates, same_person=same_person, split=split, masks=str(masks) if masks else None,
        mask_labels=mask_labels, fix_labels=fix_labels, parse=parse, store=store, licence=licence,
        weights=str(weights) if weights else None, workers=workers,
    )  # fmt: skip
    result = prepare(paths[:-1], paths[-1], plan)
    for kind, count in (result.counts or {}).items():
        typer.echo(f'{count:8} {kind}')
    if result.counts is not None:
        typer.echo(f'manifest.jsonl, dataset.md and sheets/ in {result.target} tell of each')


def _list_confused(folders: list[Path], mask_labels: str) -> None:
    """A line for each mask with confused sides, and how many there are of each kind."""
    from facesr_ext.faces.labels import LABEL_SETS
    from facesr_ext.faces.sides import PAIRS
    from facesr_ext.host.parts import known_name
    from facesr_ext.preparation.labels import confused_masks

    known_name(('--mask-labels',), mask_labels, LABEL_SETS)
    looked_at, counts = 0, dict.fromkeys(PAIRS, 0)
    for path, confused in confused_masks(folders, LABEL_SETS[mask_labels]):
        looked_at += 1
        for pair in confused:
            counts[pair] += 1
        if confused:
            typer.echo(f'{path}: {", ".join(confused)}')
    told = ', '.join(f'{pair} {num}' for pair, num in counts.items())
    typer.echo(f'{looked_at} masks; left and right confused: {told}')


def _numbers(text: str, key: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(',') if part.strip())
    except ValueError as err:
        raise OptionError(f'{text!r} are no whole numbers with commas between them', (key,)) from err
