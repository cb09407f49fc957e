"""What the CSV of a validation or test says."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from facesr_ext.errors import DatasetError
from facesr_ext.runs.folder import MEAN


def read_columns(path: Path) -> dict[str, list[float]]:
    """The figures of each image, by column: NaN for one of the whole set. Empty where the table has none.

    Raises:
        DatasetError: if the file is no such table.
    """
    try:
        with path.open(newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        if len(rows) > 1 and rows[-1].get('name') == MEAN:
            rows = rows[:-1]
        keys = [key for key in (rows[0] if rows else ()) if key != 'name']
        if rows and 'name' not in rows[0]:
            raise ValueError('it has no column "name"')
        return {key: [float(row[key] or math.nan) for row in rows] for key in keys}
    except (OSError, ValueError, TypeError, csv.Error) as err:
        raise DatasetError(f'{path} is no table of a validation or test: {err}') from err


def read_means(path: Path) -> dict[str, float]:
    """The mean of each figure; tables of older versions have no row of means. Empty where there are no figures.

    Raises:
        DatasetError: if the file is no such table.
    """
    try:
        with path.open(newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        if len(rows) > 1 and rows[-1].get('name') == MEAN:
            rows = rows[-1:]
        keys = [key for key in (rows[0] if rows else ()) if key != 'name']
        return {key: math.fsum(float(row[key]) for row in rows) / len(rows) for key in keys}
    except (OSError, ValueError, TypeError, OverflowError, csv.Error) as err:
        raise DatasetError(f'{path} is no table of a validation or test: {err}; remove it') from err
