"""The picture of the rooms: who imports whom, made from the imports themselves. ``python -m docs.rooms`` writes it."""

from __future__ import annotations

from pathlib import Path

from tests.test_rooms import IMPORTS, ORDER

PICTURE = Path(__file__).with_name('rooms.svg')
_CELL, _LEFT, _TOP = 26, 118, 112
_STYLE = (
    'text{font:13px sans-serif;fill:#555}.room{fill:#00897b;font-weight:600}.own{fill:#8882}'
    '.grid{stroke:#8884}.dot{fill:#00897b}'
)


def rooms() -> list[str]:
    """Every room, from the ground up."""
    return [room for row in ORDER for room in row]


def imports() -> set[tuple[str, str]]:
    """Every (room, room that it imports)."""
    known = set(rooms())
    pairs = {(room, name.split('.')[1]) for _, room, name in IMPORTS if name.startswith('facesr_ext.')}
    return {(room, to) for room, to in pairs if room != to and {room, to} <= known}


def draw() -> str:
    """The SVG: a row for each room, with a dot in the column of each room that it imports."""
    names = rooms()
    side = _CELL * len(names)
    parts = []
    for index, name in enumerate(names):
        at = index * _CELL
        middle = at + _CELL // 2
        parts.append(f'<text class="room" x="{_LEFT - 8}" y="{_TOP + middle + 4}" text-anchor="end">{name}</text>')
        place = f'{_LEFT + middle + 4} {_TOP - 8}'
        parts.append(f'<text transform="translate({place}) rotate(-60)">{name}</text>')
        parts.append(f'<rect class="own" x="{_LEFT + at}" y="{_TOP + at}" width="{_CELL}" height="{_CELL}"/>')
        parts.append(f'<path class="grid" d="M{_LEFT} {_TOP + at + _CELL}h{side}M{_LEFT + at + _CELL} {_TOP}v{side}"/>')
    for room, to in sorted(imports()):
        x, y = _LEFT + names.index(to) * _CELL + _CELL // 2, _TOP + names.index(room) * _CELL + _CELL // 2
        parts.append(f'<circle class="dot" cx="{x}" cy="{y}" r="6"><title>{room} imports {to}</title></circle>')
    size = f'{_LEFT + side + 60} {_TOP + side + 8}'
    body = '\n'.join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}"><style>{_STYLE}</style>\n{body}\n</svg>\n'


if __name__ == '__main__':
    PICTURE.write_text(draw(), encoding='utf-8')
