"""Packaging steps that pyproject.toml cannot express: the start-up files lie beside the packages, not in one.

Python reads ``.pth`` and ``.start`` files in site-packages itself only, and no key of pyproject.toml puts a data file
there.
"""

from __future__ import annotations

import os

from setuptools import setup
from setuptools.command.build_py import build_py

STARTUP_FILES = ('facesr_ext.pth', 'facesr_ext.start')


class BuildWithStartupFiles(build_py):
    """build_py that also copies the start-up files to the root of the wheel, in ordinary and in editable builds."""

    def run(self) -> None:
        super().run()
        # An editable build leaves build_lib unused: the root of its wheel is where the install command points.
        editable = getattr(self, 'editable_mode', False)
        root = self.get_finalized_command('install').install_lib if editable else self.build_lib
        self.mkpath(root)
        for name in STARTUP_FILES:
            self.copy_file(name, os.path.join(root, name))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs = list(super().get_outputs(include_bytecode))
        if not getattr(self, 'editable_mode', False):
            outputs += [os.path.join(self.build_lib, name) for name in STARTUP_FILES]
        return outputs


setup(cmdclass={'build_py': BuildWithStartupFiles})
