"""Packaging steps that pyproject.toml cannot express: files that lie beside the packages, not in one.

Python reads ``.pth`` and ``.start`` files in site-packages itself only, and no key of pyproject.toml puts a data file
there. The option files go into the built package, where ``facesr init`` finds them; an editable installation reads
those of the repository. And where SOURCE_DATE_EPOCH says of when the files are, an sdist depends on them alone, as a
wheel of setuptools does.
"""

from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

STARTUP_FILES = ('facesr_ext.pth', 'facesr_ext.start')
OPTION_FILES = tuple(str(path) for path in (*sorted(Path('options').rglob('*.yml')), Path('options/schema.json')))


class BuildWithMoreFiles(build_py):
    """build_py that also copies the start-up files to the root of the wheel, and the option files into the package."""

    def run(self) -> None:
        super().run()
        # An editable build leaves build_lib unused: the root of its wheel is where the install command points.
        editable = getattr(self, 'editable_mode', False)
        root = self.get_finalized_command('install').install_lib if editable else self.build_lib
        self.mkpath(root)
        for name in STARTUP_FILES:
            self.copy_file(name, os.path.join(root, name))
        for name, target in zip(OPTION_FILES, self._option_targets(), strict=False):
            self.mkpath(os.path.dirname(target))
            self.copy_file(name, target)

    def _option_targets(self) -> list[str]:
        """Where the option files go; nowhere in an editable build."""
        if getattr(self, 'editable_mode', False):
            return []
        folder = os.path.join(self.build_lib, 'facesr_ext', 'option_files')
        return [os.path.join(folder, os.path.relpath(name, 'options')) for name in OPTION_FILES]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs = list(super().get_outputs(include_bytecode))
        if not getattr(self, 'editable_mode', False):
            outputs += [os.path.join(self.build_lib, name) for name in STARTUP_FILES] + self._option_targets()
        return outputs


class ReproducibleSdist(sdist):
    """sdist that does not know when it was made, and by whom."""

    def make_archive(self, base_name: str, format: str, *args: Any, **kwargs: Any) -> str:
        path: str = super().make_archive(base_name, format, *args, **kwargs)
        epoch = os.environ.get('SOURCE_DATE_EPOCH')
        if epoch and format == 'gztar':
            _rewrite(Path(path), int(epoch))
        return path


def _rewrite(path: Path, epoch: int) -> None:
    """The same files in the order of their names, all of one time and nobody's."""
    whole = path.with_suffix('.tmp')
    with (
        tarfile.open(path) as old,
        whole.open('wb') as file,
        gzip.GzipFile('', 'wb', fileobj=file, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode='w') as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, '', ''
            member.mode, member.pax_headers = 0o755 if member.isdir() or member.mode & 0o100 else 0o644, {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    whole.replace(path)


setup(cmdclass={'build_py': BuildWithMoreFiles, 'sdist': ReproducibleSdist})
