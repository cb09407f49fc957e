"""``python -m facesr_ext``: the same as the ``facesr`` command, for torchrun and for environments without scripts."""

from __future__ import annotations

from facesr_ext.cli.main import main

if __name__ == '__main__':
    main()
