"""Damage to valid files: what hypothesis draws, applied to bytes and to texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

_NUMBERS = (b'\0\0\0\0', b'\xff\xff\xff\xff', b'\x7f\xff\xff\xff', b'\xff\xff\xff\x7f', b'\x80\0\0\0', b'\0\0\0\1')
_LONGEST = 1 << 16
TOKENS = (
    '!!python/object/apply:os.getpid []', '!!timestamp 2001-13-45', '!!int x', '!!float x', '!!bool maybe', '!!binary ',
    '2001-13-45', '&a ', '*a', '<<: ', '"', "'", '[', ']', '{', '}', '[' * 3000, '{"a":' * 3000, '9' * 5000, '1e999',
    '-1', '0', 'NaN', '-Infinity', '.inf', '.nan', 'null', '~', 'true', '\0', '\x1b[2J', '\u202e', '\ud800', '\r', '\n',
    '\t', ' ', '..', '/', '\\', '../../../etc/passwd', 'a' * 300, ':', ': ', '- ', '#', ',', '0x', '1_0', '1:30', '%',
    '<script>', '\ufeff', '\x85', '\u2028', '٣', '²', '(', ')',
)  # fmt: skip
"""What means something to a reader of texts, or has broken one."""


def damaged(files: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of the files as it is or with up to five kinds of damage, or any bytes."""
    return st.one_of(_changed(list(files)), _changed(list(files)), _changed(list(files)), st.binary(max_size=400))


def damaged_text(texts: Sequence[str]) -> st.SearchStrategy[str]:
    """As `damaged`, of texts, with `TOKENS` put in."""
    changed = _changed_text(list(texts))
    return st.one_of(changed, changed, changed, st.text(max_size=200), st.lists(st.sampled_from(TOKENS)).map(''.join))


@st.composite
def _changed(draw: Callable[..., object], files: list[bytes]) -> bytes:
    data = bytearray(files[_below(draw, len(files))])
    for _ in range(_below(draw, 6)):
        size, kind = len(data), _below(draw, 8)
        place = _below(draw, size + 1)
        if kind == 0 and place < size:
            data[place] ^= 1 << _below(draw, 8)
        elif kind == 1 and place < size:
            data[place] = _below(draw, 256)
        elif kind == 2:
            del data[place:]
        elif kind == 3:
            del data[place : place + 1 + _below(draw, 64)]
        elif kind == 4:  # a part of this or another file
            other = files[_below(draw, len(files))]
            start = _below(draw, len(other) + 1)
            data[place:place] = other[start : start + 1 + _below(draw, 512)]
        elif kind == 5:
            data[place : place + 4] = _NUMBERS[_below(draw, len(_NUMBERS))]
        elif kind == 6:
            data[place:place] = draw(st.binary(max_size=16))  # type: ignore[call-overload]
        else:  # a part, many times
            data[place:place] = data[place : place + 1 + _below(draw, 32)] * (1 + _below(draw, 200))
    return bytes(data[:_LONGEST])


@st.composite
def _changed_text(draw: Callable[..., object], texts: list[str]) -> str:
    text = texts[_below(draw, len(texts))]
    for _ in range(_below(draw, 6)):
        kind, place = _below(draw, 6), _below(draw, len(text) + 1)
        rest = text[place:]
        if kind == 0:
            text = text[:place]
        elif kind == 1:
            text = text[:place] + rest[1 + _below(draw, 40) :]
        elif kind == 2:
            other = texts[_below(draw, len(texts))]
            start = _below(draw, len(other) + 1)
            text = text[:place] + other[start : start + 1 + _below(draw, 300)] + rest
        elif kind == 3:
            text = text[:place] + TOKENS[_below(draw, len(TOKENS))] + rest
        elif kind == 4:  # in place of a number or word
            word = len(rest) - len(rest.lstrip('-+.0123456789abcdefghijklmnopqrstuvwxyz_'))
            text = text[:place] + TOKENS[_below(draw, len(TOKENS))] + rest[word:]
        else:
            text = text[:place] + str(draw(st.text(max_size=4))) + rest
    return text[:_LONGEST]


def _below(draw: Callable[..., object], count: int) -> int:
    return int(draw(st.integers(0, count - 1)))  # type: ignore[call-overload]


def json_values() -> st.SearchStrategy[object]:
    """Any value that JSON, YAML or a checkpoint's metadata can hold, odd ones often."""
    odd = st.sampled_from(
        [None, True, -1, 0, 10**9, 10**30, 1e308, float('nan'), float('inf'), '', '..', '../../x', '\0', 'a' * 300]
    )
    leaves = st.one_of(odd, st.integers(), st.floats(), st.text(max_size=20))
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner,
                        max_size=4), max_leaves=8)  # fmt: skip
