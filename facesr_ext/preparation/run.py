"""The whole way: find, process in parallel, choose, write. Broken off anywhere and begun again, it ends the same."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from facesr_ext.data.image_io import read_image
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.places import user_path
from facesr_ext.preparation import write
from facesr_ext.preparation.choose import Entry, choose
from facesr_ext.preparation.find import Found, find_photos
from facesr_ext.preparation.fingerprints import thumbnail
from facesr_ext.preparation.plan import Plan
from facesr_ext.preparation.process import Processor, append_record, read_records
from facesr_ext.runs.atomic import remove_unfinished

WORK = '.prepare'
_ENOUGH = 500  # files that are worth a process of their own


class Result(NamedTuple):
    """What came out: how many images of each split and of each reason to leave one out; the first process knows."""

    counts: dict[str, int] | None
    target: Path


def prepare(sources: Sequence[Path], target: Path, plan: Plan) -> Result:
    """Makes a data set of photographs, or goes on with one.

    Args:
        sources (Sequence[Path]): Folders and files of photographs.
        target (Path): The data set: new, empty, or made by the same settings.
        plan (Plan): The settings.

    Returns:
        Result: With the counts of the manifest.

    Raises:
        OptionError: for a source that is not there, a folder that holds something else, or other settings than before.
        DependencyError, CheckpointError: if a network or its weights are missing.
        DatasetError: if nothing is found, or the disk is full.
    """
    target = user_path(target)
    work = target / WORK
    found = find_photos(sources, target)
    _require_ours(target, work)
    if not any(item.reason is None for item in found):
        raise DatasetError(f'no image in {", ".join(str(source) for source in sources)}', ('SRC',))
    plan.settle(work)
    try:
        _process(plan, work, found)
        if not _is_first_process():
            return Result(None, target)
        return Result(_finish(plan, work, target, found, sources), target)
    except OSError as err:
        raise DatasetError(f'cannot write below {target}: {err}; make room, and run it again: it goes on') from err


def _require_ours(target: Path, work: Path) -> None:
    if target.is_file() or (target.is_dir() and not work.is_dir() and any(target.iterdir())):
        raise OptionError(f'{target} is there and was not made by this command; name a new folder', ('DST',))


def _stamp(item: Found) -> str:
    """What tells that a file is still the one that was processed; its name alone where it was not read."""
    if item.reason:
        return item.name
    try:
        stat = item.path.stat()
    except OSError:
        return item.name
    return f'{item.name}|{stat.st_size}|{stat.st_mtime_ns}'


def _process(plan: Plan, work: Path, found: Sequence[Found]) -> None:
    """Processes this process's share of the files that no record tells of, and waits for the other processes."""
    rank, ranks = _rank()
    records = work / 'records'
    records.mkdir(parents=True, exist_ok=True)
    staged, before = work / 'staged', write.read_kept(work.parent)
    root = _root(plan, work)
    known = {
        stamp for stamp, record in read_records(records).items() if write.is_there(plan, staged, root, record, before)
    }
    waiting = [(item, stamp) for item in found[rank::ranks] if (stamp := _stamp(item)) not in known]
    share = f'process 1 of {ranks}' if ranks > 1 else None  # the others have as many files
    progress = tqdm(total=len(waiting), unit='file', desc=share, disable=rank > 0 or not waiting)
    file = records / f'{rank}.jsonl'
    for record in _records(plan, staged, waiting):
        append_record(file, record)
        progress.update()
    progress.close()
    _wait_for_all(ranks)


_processor: Processor | None = None


def _begin(plan: Plan, staged: Path) -> None:
    """Once in each worker process."""
    global _processor
    _processor = Processor(plan, staged)


def _work_on(item: Found, stamp: str) -> dict[str, Any]:
    if _processor is None:
        raise RuntimeError('the worker has not begun')
    return {'stamp': stamp, **_processor(item)}


def _records(plan: Plan, staged: Path, waiting: Sequence[tuple[Found, str]]) -> Iterator[dict[str, Any]]:
    """The records, as they become ready."""
    if not waiting:
        return
    workers = min(plan.workers or _workers_for(len(waiting)), len(waiting))
    if workers < 2:
        processor = Processor(plan, staged)
        for item, stamp in waiting:
            yield {'stamp': stamp, **processor(item)}
        return
    Processor(plan, staged)  # what is missing is named here, once
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(workers, context, _begin, (plan, staged)) as pool:
        jobs = [pool.submit(_work_on, item, stamp) for item, stamp in waiting]
        try:
            for job in as_completed(jobs):
                yield job.result()
        except BrokenProcessPool as err:
            raise DatasetError(
                'a worker was killed, perhaps for memory; take fewer --workers, and run it again'
            ) from err
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _workers_for(files: int) -> int:
    """One a core, and fewer for few files: a process takes seconds to begin."""
    return min(os.cpu_count() or 1, math.ceil(files / _ENOUGH))


def _finish(plan: Plan, work: Path, target: Path, found: Sequence[Found], sources: Sequence[Path]) -> dict[str, int]:
    """Everything after the photographs: what stays, in which split, and the files of the data set."""
    staged, root = work / 'staged', _root(plan, work)
    remove_unfinished(target, alone=True)
    before = write.read_kept(target)
    records = _all_records(
        found, read_records(work / 'records'), lambda record: write.is_there(plan, staged, root, record, before), before
    )
    entries = choose(plan, records, before, _thumbnails(plan, staged, root, before))
    write.write_sheets(target, entries, _image_of(plan, staged, root, before, found))
    write.place(plan, staged, root, entries)
    write.write_landmarks(plan, root, entries)
    if plan.store == 'lmdb':
        write.write_lmdbs(plan, root, target)
    write.write_about(plan, target, entries, sources)
    write.write_manifest(target, entries)
    write.remove_placed(staged, entries)
    return dict(write.tally(entries))


def _root(plan: Plan, work: Path) -> Path:
    """Where the folders of the splits lie: those of an LMDB stay in the work."""
    return work / 'folders' if plan.store == 'lmdb' else work.parent


def _all_records(
    found: Sequence[Found],
    known: dict[str, dict[str, Any]],
    is_there: Callable[[dict[str, Any]], bool],
    before: write.Before,
) -> list[dict[str, Any]]:
    """One record of each file, by name: of those found, and of those that are gone and that the data set shows."""
    records = [known[stamp] for item in found if (stamp := _stamp(item)) in known]
    there = {part.get('key') for record in records for part in record['parts']}
    for record in known.values():
        keys = {part.get('key') for part in record['parts']} & before.keys()
        if keys - there and is_there(record):
            there |= keys
            records.append(record)
    return sorted(records, key=lambda record: str(record['source']))


def _thumbnails(plan: Plan, staged: Path, root: Path, before: write.Before) -> Callable[[str], np.ndarray]:
    def read(key: str) -> np.ndarray:
        image = read_image(write.find_image(plan, staged, root, key, before))
        return thumbnail(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))

    return read


def _image_of(
    plan: Plan, staged: Path, root: Path, before: write.Before, found: Iterable[Found]
) -> Callable[[Entry], np.ndarray | None]:
    paths = {item.name: item.path for item in found if item.reason is None}

    def read(entry: Entry) -> np.ndarray | None:
        if entry.key:
            path = write.find_image(plan, staged, root, entry.key, before)
            if path.is_file():
                return read_image(path)
        return write.thumbnail_of_source(paths[entry.source], entry) if entry.source in paths else None

    return read


def _rank() -> tuple[int, int]:
    """This process's number and how many there are, as torchrun says."""
    return int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))


def _is_first_process() -> bool:
    return _rank()[0] == 0


def _wait_for_all(ranks: int) -> None:
    """Until every process has done its share; the first one goes on alone."""
    if ranks < 2:
        return
    import torch.distributed as dist

    if not dist.is_initialized():
        dist.init_process_group('gloo', timeout=timedelta(days=7))
    dist.barrier()
    dist.destroy_process_group()
