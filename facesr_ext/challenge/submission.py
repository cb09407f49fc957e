"""From a checkpoint, or a folder of results, to an archive that has been read back and found right."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from facesr_ext.challenge.checks import FORMATS, Format, Task, findings_in, read_task, without_suffix
from facesr_ext.challenge.kept import KeptResults
from facesr_ext.challenge.packages import FolderPackage, open_package, write_zip
from facesr_ext.challenge.readme import README, Readme
from facesr_ext.data.image_io import read_image
from facesr_ext.errors import DatasetError, Finding, OptionError, SubmissionError
from facesr_ext.host.parts import known_name
from facesr_ext.inference.restorer import Restorer
from facesr_ext.models.budget import count_parameters, require_budget
from facesr_ext.models.device import describe_device
from facesr_ext.runs.atomic import replaced_when_whole
from facesr_ext.runs.folder import RunFolder
from facesr_ext.runs.tables import read_means


class Packed(NamedTuple):
    """A submission that is ready.

    Attributes:
        path (Path): The archive.
        num (int): Results in it.
        runtime (float | None): Seconds an image, from decoded LQ to 8-bit result; None where none were restored.
        warnings (list[Finding]): What deserves a look.
    """

    path: Path
    num: int
    runtime: float | None
    warnings: list[Finding]


def layout_named(name: str) -> Format:
    """The format of a name; OptionError for another one."""
    return FORMATS[known_name(('--format',), name, FORMATS)]


def pack_checkpoint(
    restorer: Restorer,
    lq_dir: Path,
    target: Path,
    format_name: str = 'ai6126',
    max_params: int | None = None,
    extra_data: bool = False,
    description: str = '',
) -> Packed:
    """Restores every LQ image and packs the results.

    Args:
        restorer (Restorer): The network.
        lq_dir (Path): Folder of LQ images; a result is called as its LQ, with .png.
        target (Path): The archive; it is there whole and verified, or as it was before. What a packing that was
            broken off has restored waits beside it in a hidden folder, for the same network.
        format_name (str): One of :data:`~facesr_ext.challenge.checks.FORMATS`.
        max_params (int | None): The most parameters that are allowed. Default: what the checkpoint was trained under.
        extra_data (bool): Other data than the organisers' were used, for ``readme.txt``.
        description (str): For ``readme.txt``; the network and the machine are named anyway.

    Raises:
        OptionError: The network is too large, or the format unknown.
        DatasetError: An image cannot be read, or the archive not written.
        SubmissionError: with every fault of the results.
    """
    layout = layout_named(format_name)
    recorded = (restorer.metadata.get('challenge') or {}).get('max_params')
    require_budget(restorer.net, recorded if max_params is None else max_params)
    task = read_task(lq_dir, restorer.scale)
    kept = KeptResults(restorer, target)

    def files() -> Iterator[tuple[str, bytes]]:
        yield from _restored(restorer, task, kept)
        text = f'{_network(restorer)}, {describe_device(restorer.device)}. {description}'
        on_cpu = restorer.device.type == 'cpu'
        yield README, Readme(_mean(kept.seconds()), on_cpu, extra_data, text).text().encode()

    try:
        warnings = _pack(files(), task, layout, target)
    except SubmissionError:
        kept.remove()
        raise
    runtime = _mean(kept.seconds())
    kept.remove()
    if kept.taken:
        warnings.append(Finding('warning', f'{kept.taken} results are those of a packing that was broken off'))
    runs = {Path(file).resolve().parent.parent for file in restorer.files}
    warnings += [finding for run in runs for finding in below_bicubic(last_table(run))]
    return Packed(target, len(task.lq), runtime, warnings)


def _restored(restorer: Restorer, task: Task, kept: KeptResults) -> Iterator[tuple[str, bytes]]:
    """Name and PNG of each result; as many at a time as the restorer takes together."""
    bar = tqdm(total=len(task.lq), unit='image', desc='restore')
    rest = iter(task.lq.items())
    while group := list(itertools.islice(rest, restorer.batch_size)):
        lqs = {name: read_image(path) for name, path in group}
        made = {name: kept.find(lq) for name, lq in lqs.items()}
        missing = [name for name, data in made.items() if data is None]
        start = time.perf_counter()
        results = restorer.restore([lqs[name] for name in missing])
        each = (time.perf_counter() - start) / max(1, len(missing))
        made.update((name, kept.add(lqs[name], result, each)) for name, result in zip(missing, results, strict=True))
        for name, data in made.items():
            yield name, data or b''
        bar.update(len(group))
    bar.close()


def last_table(run: Path) -> Path:
    """The CSV of a run's last validation; a file that is not there where it has none."""
    return max(((i, path) for _, i, path in RunFolder(run).tables()), default=(0, run / 'none.csv'))[1]


def below_bicubic(table: Path) -> list[Finding]:
    """A warning where a validation or test says that the network is worse than bicubic."""
    means = read_means(table) if table.is_file() else {}
    rising = [k for k in means if k.startswith(('psnr', 'ssim'))]  # of others a lower value may be the better one
    key = next((k for k in ('psnr_rgb', 'psnr', *rising) if f'{k}_bicubic' in means), '')
    if not key or not means[key] < means[f'{key}_bicubic']:
        return []
    return [Finding('warning', f'{key} {means[key]:.2f} is below bicubic, {means[f"{key}_bicubic"]:.2f} ({table})')]


def pack_results(
    folder: Path, lq_dir: Path, target: Path, format_name: str = 'ai6126', scale: int = 4, readme: Readme | None = None
) -> Packed:
    """Packs a folder of results that are there already, if nothing is wrong with them.

    Args:
        folder (Path): Nothing but results, and if need be their ``readme.txt``. A suffix that all names have, as
            ``basicsr.test`` adds the run's, is left out in the archive.
        lq_dir, target, format_name: As in :func:`pack_checkpoint`.
        scale (int): LR-to-HR factor.
        readme (Readme | None): Written where the folder has no ``readme.txt``.

    Raises:
        OptionError, DatasetError, SubmissionError: As in :func:`pack_checkpoint`.
    """
    layout, task = layout_named(format_name), read_task(lq_dir, scale)
    package = _folder_package(folder, task)
    more = {} if readme is None or README in package.names else {README: readme.text().encode()}
    _warnings(package.where, findings_in(package, task, Format('', layout.readme and not more)))
    files = ((name, package.read(name)) for name in package.names)
    warnings = _pack(itertools.chain(files, more.items()), task, layout, target)
    warnings += below_bicubic(folder.with_name(f'{folder.name}.csv'))  # where basicsr.test has put it
    return Packed(target, len(task.lq), None, warnings)


def _folder_package(folder: Path, task: Task) -> FolderPackage:
    """Results of a folder, under the names that they are to have."""
    package = FolderPackage(folder)
    return FolderPackage(folder, without_suffix(package.names, task))


def check_submission(path: Path, lq_dir: Path, format_name: str = 'ai6126', scale: int = 4) -> Packed:
    """Looks an archive or a folder through that somebody else has made.

    Args:
        path (Path): The archive; or a folder as it would be packed.
        lq_dir, format_name, scale: As in :func:`pack_results`.

    Raises:
        OptionError, DatasetError, SubmissionError: As in :func:`pack_checkpoint`.
    """
    layout, task = layout_named(format_name), read_task(lq_dir, scale)
    warnings = _verified(path, task, Format('', layout.readme) if path.is_dir() else layout)
    return Packed(path, len(task.lq), None, warnings)


def _pack(files: Iterable[tuple[str, bytes]], task: Task, layout: Format, target: Path) -> list[Finding]:
    """Writes the archive, reads it back and puts it into its place; returns warnings."""
    if target.suffix.lower() != '.zip':
        raise OptionError(f'-o {target}: the archive is called *.zip')
    prefix = f'{layout.folder}/' if layout.folder else ''
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replaced_when_whole(target) as temporary:
            write_zip(temporary, ((prefix + name, data) for name, data in files))
            return _verified(temporary, task, layout, str(target))
    except OSError as err:
        raise DatasetError(f'cannot write {target}: {err.strerror or err}') from err


def _verified(path: Path, task: Task, layout: Format, where: str | None = None) -> list[Finding]:
    opened = contextlib.nullcontext(_folder_package(path, task)) if path.is_dir() else open_package(path)
    with opened as package:
        return _warnings(where or str(path), findings_in(package, task, layout))


def _warnings(where: str, found: list[Finding]) -> list[Finding]:
    """The warnings; SubmissionError where there are errors."""
    if faults := [finding.message for finding in found if finding.level == 'error']:
        raise SubmissionError(where, faults)
    return found


def _network(restorer: Restorer) -> str:
    return f'{type(restorer.net).__name__}, {count_parameters(restorer.net):,d} parameters'


def _mean(values: list[float]) -> float:
    """Without the first, which warms up, where there are others."""
    values = values[1:] or values
    return sum(values) / len(values)
