"""Imports go one way: a room imports from those before it, and never from those after it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / 'facesr_ext'
ORDER = (
    ('errors', 'imaging', 'places'), ('host',), ('settings',), ('archs',), ('losses',), ('runs',), ('spandrel',),
    ('faces',), ('degradations',), ('metrics',), ('data',), ('models',), ('inference',),
    ('challenge', 'reports', 'check', 'preparation', 'sweeps', 'demo'), ('comparison',), ('cli',),
)  # fmt: skip
"""From the ground up; rooms of one row do not import each other."""
HEIGHT = {room: height for height, rooms in enumerate(ORDER) for room in rooms}
ONLY = {
    'lmdb': 'data', 'facexlib': 'faces', 'dlib': 'faces', 'typer': 'cli', 'pydantic': 'settings',
    'jinja2': 'comparison', 'onnxruntime': 'inference', 'gradio': 'demo', 'fastapi': 'demo', 'uvicorn': 'demo',
    'av': 'data',
}  # fmt: skip
"""Packages that one room alone imports."""


def _room(module: str) -> str:
    return module.split('.')[1] if '.' in module else ''


def _imports() -> Iterator[tuple[str, str, str]]:
    """File, its room, and what it imports; imports for annotations alone count too."""
    for path in sorted(PACKAGE.rglob('*.py')):
        place = path.relative_to(PACKAGE)
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            names = [node.module or ''] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                yield place.as_posix(), place.parts[0].removesuffix('.py'), name


IMPORTS = list(_imports())


def test_imports_go_one_way() -> None:
    ours = [(file, room, _room(name)) for file, room, name in IMPORTS if name.startswith('facesr_ext.')]
    up = {f'{file} -> {to}' for file, room, to in ours if room in HEIGHT and to in HEIGHT and HEIGHT[to] > HEIGHT[room]}
    beside = {f'{file} -> {to}' for file, room, to in ours if room != to and HEIGHT.get(room) == HEIGHT.get(to, -1)}
    assert not up and not beside


def test_archs_and_losses_need_nothing_of_ours_but_their_descriptor_imaging_and_networks_of_others() -> None:
    found = {name for _, room, name in IMPORTS if room in ('archs', 'losses') and name.startswith('facesr_ext.')} - {
        'facesr_ext.imaging',
        'facesr_ext.archs.arch_info',
        'facesr_ext.archs.arch_util',
        'facesr_ext.archs.camera',
        'facesr_ext.host.lpips',
        'facesr_ext.host.programs',
    }
    assert not found


@pytest.mark.parametrize('package', ONLY)
def test_one_room_alone_imports(package: str) -> None:
    rooms = {room for _, room, name in IMPORTS if name.split('.')[0] == package}
    assert rooms <= {ONLY[package]}


def test_every_room_has_its_place() -> None:
    rooms = {
        path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name not in ('__pycache__', 'option_files')
    }
    assert rooms <= set(HEIGHT)


def test_every_room_begins_with_registering() -> None:
    """Registering imports most rooms: whatever module is imported first, that must come before its own imports."""
    for path in sorted(PACKAGE.glob('*/__init__.py')):
        assert path.parent.name == 'cli' or path.read_text(encoding='utf-8').rstrip().endswith('\nregister()'), path
