"""Near-duplicates of images: report S2's fingerprint of 13 x 13, looked up in near-linear time, and a closer look.

A fingerprint says for 13 x 13 places whether the image becomes clearly brighter to the right: 169 bits. Images count as
candidates where at most 16 bits differ (10 %), for the image itself, mirrored, or with a few per cent cut off at its
edges; they are duplicates where their grey levels correlate too, once one is laid over the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import cv2
import numpy as np

SIDE = 13
BITS = SIDE * SIDE
LENGTH = 22  # bytes
MOST = 16  # bits that may differ
THUMB = 96  # px a side of what is compared closely

_RISE = 1.0  # of 255: in an even background compression alone decides about less
_LARGEST = 256  # px a side: more of them say nothing more about 13 x 13 places
_CUTS = (0.02, 0.04)  # shares of the sides that a copy may lack
_GROUPS, _CHUNKS = 3, 8  # with 16 bits different 8 of 24 chunks are equal, and so three in one of three groups
_CHUNK_BITS = 7  # three of them make a key; one of the 169 bits is in none
_KEYS, _FEW = 1 << 3 * _CHUNK_BITS, 1 << 17  # values of a key; fewer looks are found without a table of all
_COUNTS = np.array([bin(value).count('1') for value in range(256)], np.uint8)
_BATCH = 1 << 20  # pairs compared at once
_SCALES = tuple(1 - 0.01 * step for step in range(9))  # 1 to 0.92
_CORRELATION = 0.75
_BROAD = 4.0  # px of the thumbnail


def fingerprint(grey: np.ndarray) -> np.ndarray:
    """(H, W) uint8 or float32 -> (22,) uint8: 169 bits, then zeros."""
    small = cv2.resize(grey.astype(np.float32), (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA)
    return np.packbits(small[:, 1:] > small[:, :-1] + _RISE)


def looks(grey: np.ndarray) -> np.ndarray:
    """The fingerprints under which copies of an image are found; its own is the first.

    Args:
        grey (ndarray): (H, W) uint8, at least 32 px a side.

    Returns:
        ndarray: (22, 22) uint8: the image whole and with 2 or 4 per cent of its sides cut off in five ways, as it is
            and mirrored.
    """
    factor = _LARGEST / max(grey.shape)
    if factor < 1:
        grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    parts = list(_parts(grey))
    return np.stack([fingerprint(part) for part in (*parts, *(part[:, ::-1] for part in parts))])


def _parts(grey: np.ndarray) -> Iterator[np.ndarray]:
    height, width = grey.shape
    yield grey
    for share in _CUTS:
        y, x = round(height * share), round(width * share)
        for top, left in ((0, 0), (0, x), (y, 0), (y, x), (y // 2, x // 2)):
            yield grey[top : height - y + top, left : width - x + left]


def candidates(known: np.ndarray, looked_for: np.ndarray, most: int = MOST) -> np.ndarray:
    """Pairs of images of which a look of one differs from the other's own fingerprint in few bits.

    Fingerprints are cut into 24 chunks in three groups. Where at most 16 bits differ, 8 chunks are equal, and so three
    in one group: only images with three equal chunks there are compared, which of a million are few.

    Args:
        known (ndarray): (N, 22) uint8, own fingerprints.
        looked_for (ndarray): (N, L, 22) uint8, as `looks` gives them.
        most (int): Bits that may differ; up to 16 none is missed.

    Returns:
        ndarray: (K, 2) int64, each pair once, the smaller index first; sorted.
    """
    num, per_image = looked_for.shape[:2]
    wanted = looked_for.reshape(-1, LENGTH)
    found: list[np.ndarray] = [np.empty(0, np.int64)]
    own_words, wanted_words = _words(known), _words(wanted)
    chunks = _spread_bits()[: _GROUPS * _CHUNKS * _CHUNK_BITS].reshape(-1, _CHUNK_BITS)
    own_bits, wanted_bits = _unpacked(known), _unpacked(wanted)
    own_chunks = [_numbers(own_bits[:, chunk]) for chunk in chunks]
    wanted_chunks = [_numbers(wanted_bits[:, chunk]) for chunk in chunks]
    for three in _threes():
        keys, looks_keys = (_key([parts[chunk] for chunk in three]) for parts in (own_chunks, wanted_chunks))
        for mine, theirs in _equal(keys, looks_keys):
            near = _near(own_words, mine, wanted_words, theirs, most)
            one, other = mine[near], theirs[near] // per_image
            pair = np.minimum(one, other) * num + np.maximum(one, other)
            found.append(np.unique(pair[one != other]))
    pairs = np.unique(np.concatenate(found))
    return np.stack([pairs // num, pairs % num], 1) if num else np.empty((0, 2), np.int64)


def _threes() -> Iterator[tuple[int, ...]]:
    """Every three chunks of one group."""
    for group in range(_GROUPS):
        yield from combinations(range(group * _CHUNKS, (group + 1) * _CHUNKS), 3)


def _key(chunks: list[np.ndarray]) -> np.ndarray:
    """Three chunks (N,) as one number each."""
    first, second, third = chunks
    return (first << 2 * _CHUNK_BITS) | (second << _CHUNK_BITS) | third


def _spread_bits() -> np.ndarray:
    """The bits in an order that puts distant ones into one chunk: neighbours say nearly the same."""
    return np.random.default_rng(13).permutation(BITS)


def _unpacked(prints: np.ndarray) -> np.ndarray:
    return np.unpackbits(prints, axis=1)[:, :BITS]


def _numbers(bits: np.ndarray) -> np.ndarray:
    """(N, 7) bits -> (N,) int32."""
    return bits.astype(np.int32) @ (1 << np.arange(bits.shape[1], dtype=np.int32))


def _equal(keys: np.ndarray, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of indices (into keys, into wanted) of equal values."""
    order = np.argsort(keys, kind='stable')
    start, counts = _ranges(keys, keys[order], wanted)
    hits = np.flatnonzero(counts)
    ends = np.cumsum(counts[hits])
    position = 0
    while position < len(hits):
        done = ends[position - 1] if position else 0
        stop = max(position + 1, int(np.searchsorted(ends, done + _BATCH, 'right')))
        part, num = hits[position:stop], counts[hits[position:stop]]
        within = np.arange(num.sum()) - np.repeat(np.cumsum(num) - num, num)
        yield order[np.repeat(start[part], num) + within], np.repeat(part, num)
        position = stop


def _ranges(keys: np.ndarray, ordered: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each wanted value begins among the ordered keys, and how often it is there."""
    if len(wanted) < _FEW:
        start = np.searchsorted(ordered, wanted, 'left')
        return start, np.searchsorted(ordered, wanted, 'right') - start
    counts = np.bincount(keys, minlength=_KEYS)
    return (np.cumsum(counts) - counts)[wanted], counts[wanted]


def _words(prints: np.ndarray) -> list[np.ndarray]:
    """(N, 22) bytes as three arrays (N,) uint64."""
    padded = np.zeros((len(prints), 24), np.uint8)
    padded[:, :LENGTH] = prints
    return list(np.ascontiguousarray(padded.view(np.uint64).T))


def _near(a: list[np.ndarray], mine: np.ndarray, b: list[np.ndarray], theirs: np.ndarray, most: int) -> np.ndarray:
    """Which of the pairs differ in at most ``most`` bits; after each word only those that still may go on."""
    left = np.arange(len(mine))
    apart = np.zeros(len(mine), np.int64)
    for one, other in zip(a, b, strict=True):
        apart += _bits(one[mine[left]] ^ other[theirs[left]])
        left, apart = left[apart <= most], apart[apart <= most]
    return left


def _bits(words: np.ndarray) -> np.ndarray:
    """(K,) uint64 -> (K,) int64: how many bits are set. numpy counts them itself from 2.0 on."""
    if hasattr(np, 'bitwise_count'):
        return np.bitwise_count(words).astype(np.int64)
    return _COUNTS[words.view(np.uint8).reshape(-1, 8)].sum(1, dtype=np.int64)


def thumbnail(grey: np.ndarray) -> np.ndarray:
    """(H, W) uint8 -> (96, 96) float32, what `same_image` compares: details, since broad shades make faces alike."""
    small = cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA).astype(np.float32)
    return cv2.GaussianBlur(small, (0, 0), 0.8) - cv2.GaussianBlur(small, (0, 0), _BROAD)


def same_image(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two thumbnails show one image, perhaps mirrored, brightened, or the one with its edges cut off."""
    return max(_likeness(a, b), _likeness(b, a), _likeness(a, b[:, ::-1]), _likeness(b, a[:, ::-1])) >= _CORRELATION


def _likeness(whole: np.ndarray, part: np.ndarray) -> float:
    """The best correlation of one thumbnail's middle with a place of the other, which shows as much or more."""
    best = -1.0
    for scale in _SCALES:
        size = round(THUMB * scale)
        small = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA) if size < THUMB else part
        edge = 2 if size == THUMB else 1
        best = max(best, float(cv2.matchTemplate(whole, small[edge:-edge, edge:-edge], cv2.TM_CCOEFF_NORMED).max()))
    return best


def groups(num: int, pairs: np.ndarray) -> list[list[int]]:
    """Images that hang together by pairs, as sorted lists of two or more indices, in the order of their first."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not len(pairs):
        return []
    graph = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(num, num))
    labels = connected_components(graph, directed=False)[1]
    order = np.argsort(labels, kind='stable')
    parts = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    return sorted((part.tolist() for part in parts if len(part) > 1), key=lambda part: part[0])
