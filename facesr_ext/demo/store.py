"""Where photographs of visitors are while they are worked on, and what deletes them."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from facesr_ext.errors import FaceSRError
from facesr_ext.inference.face_record import FaceRecord

GONE = 'The photograph has been deleted, as every one is after a while; drop it again.'


@dataclass
class Kept:
    """A visitor's photograph.

    Attributes:
        folder (Path): Of it alone, with a name that cannot be guessed.
        name (str): Of the file, as the visitor has it.
        longest (int): Its longer side, pixels.
        found (list[FaceRecord]): Its faces.
        restored (list[FaceRecord]): The same after the last restoring, without pictures; [] before the first.
        upload (tuple | None): The uploaded file and when it was written, by which another upload of the same is told.
        used (float): When it was last worked on, seconds since the epoch.
        drawn (int): How often its faces have been outlined.
    """

    folder: Path
    name: str
    longest: int = 1
    found: list[FaceRecord] = field(default_factory=list)
    restored: list[FaceRecord] = field(default_factory=list)
    upload: tuple[Path, int] | None = None
    used: float = 0.0
    drawn: int = 0

    @property
    def original(self) -> Path:
        """The photograph as it was uploaded."""
        return self.folder / 'original'

    @property
    def result(self) -> Path:
        """The pixels of the result, an array."""
        return self.folder / 'result.npy'


class Store:
    """Photographs by the session of their visitor, one each, in a folder of the page's own.

    Args:
        folder (Path): Holds what visitors have, uploads too; nothing else.
        minutes (float): After which what nobody has touched is deleted.
    """

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder, self.seconds = folder, 60 * minutes
        self._sessions: dict[str, Kept] = {}
        self._lock = threading.Lock()

    def put(self, session: str, name: str, data: bytes, upload: Path | None = None) -> Kept:
        """Keeps a photograph in place of the session's earlier one.

        Args:
            session (str): Whose it is.
            name (str): Of the file.
            data (bytes): What it holds.
            upload (Path | None): Where the upload lies, to be deleted with it.
        """
        self.drop(session)
        kept = Kept(self.folder / secrets.token_urlsafe(24), name, used=time.time())
        kept.folder.mkdir(parents=True)
        kept.original.write_bytes(data)
        if upload is not None:
            kept.upload = (upload, upload.stat().st_mtime_ns)
        with self._lock:
            self._sessions[session] = kept
        return kept

    def get(self, session: str) -> Kept:
        """The photograph of a session.

        Raises:
            FaceSRError: if there is none any more.
        """
        with self._lock:
            kept = self._sessions.get(session)
        if kept is None or not kept.original.is_file():
            raise FaceSRError(GONE)
        kept.used = time.time()
        return kept

    def drop(self, session: str) -> None:
        """Deletes the photograph of a session, and its upload unless somebody has uploaded the same since."""
        with self._lock:
            kept = self._sessions.pop(session, None)
            noted = {other.upload for other in self._sessions.values()}
        if kept is None:
            return
        shutil.rmtree(kept.folder, ignore_errors=True)
        if kept.upload is not None and kept.upload not in noted:
            file, written = kept.upload
            with contextlib.suppress(OSError):
                if file.stat().st_mtime_ns == written:
                    shutil.rmtree(file.parent)

    def sweep(self) -> None:
        """Deletes all that nobody has touched for so long."""
        oldest = time.time() - self.seconds
        with self._lock:
            old = [session for session, kept in self._sessions.items() if kept.used < oldest]
        for session in old:
            self.drop(session)
        with self._lock:
            folders = {kept.folder for kept in self._sessions.values()}
        for file in list(_files(self.folder)):
            with contextlib.suppress(OSError):
                if file.stat().st_mtime < oldest and not folders.intersection(file.parents):
                    file.unlink()
                    if file.parent != self.folder:
                        file.parent.rmdir()  # where it was the last

    def size(self) -> int:
        """Bytes of all that visitors have on the disk."""
        total = 0
        for file in _files(self.folder):
            with contextlib.suppress(OSError):
                total += file.stat().st_size
        return total


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob('*') if path.is_file())


class Sweeper:
    """Sweeps a store again and again, in a thread of its own, from `start` to `stop`.

    Args:
        store (Store): What is swept.
        every (float): Seconds from one time to the next.
    """

    def __init__(self, store: Store, every: float = 30.0) -> None:
        self._store, self._every = store, every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name='sweeper', daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it and waits for that."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._every):
            self._store.sweep()
