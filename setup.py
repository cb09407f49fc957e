"""Packaging steps that pyproject.toml cannot express: files that lie beside the packages, not in one.

Python reads ``.pth`` and ``.start`` files in site-packages itself only, and no key of pyproject.toml puts a data file
there. The option files go into the built package, where ``facesr init`` finds them; an editable installation reads
those of the repository.
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

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


setup(cmdclass={'build_py': BuildWithMoreFiles})
