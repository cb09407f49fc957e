"""What the CSV of a validation or test says."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facesr_ext.errors import DatasetError
from facesr_ext.runs.folder import MEAN


def read_columns(path: Path) -> dict[str, list[float]]:
    """The figures of each image, by column: NaN for one of the whole set. Empty where the table has none.

    Raises:
        DatasetError: if the file is no such table.
    """
    with _reading(path) as (rows, _):
        if rows and 'name' not in rows[0]:
            raise ValueError('it has no column "name"')
        return {key: [float(row[key] or math.nan) for row in rows] for key in _figures(rows)}


def read_means(path: Path) -> dict[str, float]:
    """The mean of each figure; tables of older versions have no row of means. Empty where there are no figures.

    Raises:
        DatasetError: if the file is no such table.
    """
    with _reading(path) as (rows, means):
        rows = [means] if means else rows
        return {key: math.fsum(float(row[key]) for row in rows) / len(rows) for key in _figures(rows)}


@contextmanager
def _reading(path: Path) -> Iterator[tuple[list[dict[str, str]], dict[str, str]]]:
    """The rows of images, and that of their means, {} for none; what is wrong in the block is the file's fault."""
    try:
        with path.open(newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        means = rows.pop() if len(rows) > 1 and rows[-1].get('name') == MEAN else {}
        yield rows, means
    except (OSError, ValueError, TypeError, OverflowError, csv.Error) as err:
        raise DatasetError(f'{path} is no table of a validation or test: {err}; remove it') from err


def _figures(rows: list[dict[str, str]]) -> list[str]:
    return [key for key in (rows[0] if rows else ()) if key != 'name']
