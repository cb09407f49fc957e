"""What the CSV of a validation or test says."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from facesr_ext.runs.folder import MEAN


def read_means(path: Path) -> dict[str, float]:
    """The mean of each figure; tables of older versions have no row of means. Empty where there are no figures."""
    with path.open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    if len(rows) > 1 and rows[-1].get('name') == MEAN:
        rows = rows[-1:]
    keys = [key for key in (rows[0] if rows else ()) if key != 'name']
    return {key: math.fsum(float(row[key]) for row in rows) / len(rows) for key in keys}
