"""Contact sheets: rows of pictures side by side, with a headline over each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

_HEAD, _GAP = 18, 2
_SIZE = 0.38  # of the letters, as OpenCV scales its font


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], cell: int | None = None, captions: Sequence[str] = ()
) -> np.ndarray:
    """Lays pictures out in rows.

    Args:
        rows (Sequence[Sequence[ndarray]]): Each row one (H, W, 3) uint8 RGB picture a column, or fewer; smaller ones
            are enlarged by repeating pixels, so that an LR picture shows what it holds.
        titles (Sequence[str]): A headline for each column.
        cell (int | None): Height and width of a cell, pixels. Default: the largest picture's.
        captions (Sequence[str]): A line of text above each row, made smaller where it is wider. Default: none.

    Returns:
        ndarray: (H, W, 3) uint8 RGB.
    """
    cell = cell or max(max(img.shape[:2]) for row in rows for img in row)
    lines = [np.concatenate([_cell(img, cell) for img in row], 1) for row in rows]
    width = max(line.shape[1] for line in lines)
    lines = [np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0)), constant_values=255) for line in lines]
    parts = [_text({i * (cell + _GAP): title for i, title in enumerate(titles)}, width)]
    for i, line in enumerate(lines):
        parts += [_text({0: captions[i]}, width)] if captions else []
        parts.append(line)
    return np.concatenate(parts, 0)


def _text(texts: Mapping[int, str], width: int) -> np.ndarray:
    """A white strip with texts where they begin, pixels from the left; none runs out of the strip."""
    strip = np.full((_HEAD, width, 3), 255, np.uint8)
    for left, text in texts.items():
        wide = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, _SIZE, 1)[0][0]
        size = _SIZE * min(1.0, (width - left - 6) / max(wide, 1))
        cv2.putText(strip, text, (left + 3, _HEAD - 6), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def _cell(img: np.ndarray, size: int) -> np.ndarray:
    """The picture in a white square of ``size`` and a gap to the right and below."""
    factor = size / max(img.shape[:2])
    shape = (max(1, round(img.shape[1] * factor)), max(1, round(img.shape[0] * factor)))
    img = (
        img
        if factor == 1
        else cv2.resize(img, shape, interpolation=cv2.INTER_NEAREST if factor > 1 else cv2.INTER_AREA)
    )
    out = np.full((size + _GAP, size + _GAP, 3), 255, np.uint8)
    out[: img.shape[0], : img.shape[1]] = img
    return out
