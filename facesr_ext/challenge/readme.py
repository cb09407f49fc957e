"""``readme.txt`` of a submission, with the fields that the NTIRE and AIM challenges ask for."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

README = 'readme.txt'
_RUNTIME = 'runtime per image [s]'
_DEVICE = 'CPU[1] / GPU[0]'
_EXTRA = 'Extra Data [1] / No Extra Data [0]'
_OTHER = 'Other description'


class Readme(NamedTuple):
    """What the organisers want to know.

    Attributes:
        runtime (float): Seconds an image.
        on_cpu (bool): It was measured on a CPU.
        extra_data (bool): Other data than the organisers' were used for training.
        description (str): The method and the machine, in one line.
    """

    runtime: float
    on_cpu: bool
    extra_data: bool
    description: str

    def text(self) -> str:
        """The content of the file."""
        fields = {
            _RUNTIME: f'{self.runtime:.4g}',
            _DEVICE: str(int(self.on_cpu)),
            _EXTRA: str(int(self.extra_data)),
            _OTHER: ' '.join(self.description.split()) or '-',
        }
        return ''.join(f'{name} : {value}\n' for name, value in fields.items())


def readme_faults(data: bytes) -> list[str]:
    """What is wrong with a ``readme.txt``: fields that are missing or make no sense."""
    try:
        lines = data.decode('utf-8').splitlines()
    except UnicodeDecodeError:
        return [f'{README} is no text in UTF-8']
    given = {key.strip(): value.strip() for key, _, value in (line.rpartition(':') for line in lines)}
    given.update((_OTHER, line.partition(':')[2].strip()) for line in lines if line.startswith(_OTHER))
    faults = [
        f'{README} has no line "{name} : ..."' for name in (_RUNTIME, _DEVICE, _EXTRA, _OTHER) if name not in given
    ]
    if _RUNTIME in given and not _is_time(given[_RUNTIME]):
        faults.append(f'{README}: "{_RUNTIME}" is a number above 0, not {given[_RUNTIME]!r}')
    faults += [
        f'{README}: "{name}" is 0 or 1, not {given[name]!r}'
        for name in (_DEVICE, _EXTRA)
        if name in given and not re.fullmatch('[01]', given[name])
    ]
    return faults


def _is_time(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False
