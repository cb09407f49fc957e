"""``facesr list``: every part that an option file can name, where it comes from, and what it is."""

from __future__ import annotations

import inspect
from typing import Any

import typer

KINDS = ('archs', 'losses', 'models', 'datasets', 'metrics', 'degradations', 'presets')


def main(kind: str = typer.Argument('', help=f'One of {", ".join(KINDS)}; default: all.')) -> None:
    """List networks, losses, models, data sets, metrics, degradations and presets by the names of option files."""
    from facesr_ext import register
    from facesr_ext.host.parts import known_name

    register()
    for name in KINDS if not kind else [known_name(('facesr list',), kind, KINDS)]:
        typer.echo(f'{name}:')
        for row in _presets() if name == 'presets' else _parts(name):
            typer.echo(f'  {row}')


def _parts(kind: str) -> list[str]:
    from facesr_ext.host.registry import PART_REGISTRIES

    objects = {name: target for name, target in PART_REGISTRIES[kind]}  # noqa: C416 - keys() would mislead dict()
    plain = {name.removesuffix('_basicsr'): objects[name] for name in sorted(objects, reverse=True)}  # ours win
    return [_row(name, plain[name]) for name in sorted(plain, key=str.lower)]


def _row(name: str, target: Any) -> str:
    origin = target.__module__.partition('.')[0]
    own = vars(target).get('__doc__') if inspect.isclass(target) else target.__doc__  # not what it has inherited
    text = inspect.cleandoc(own or '').split('\n')[0]
    return f'{name:28} {origin:11} {target.__module__:42} {text}{_needs(target)}'.rstrip()


def _needs(target: Any) -> str:
    """What a metric needs beside this package, and whether it is there."""
    found = []
    for need in getattr(target, 'needs', ()):
        argument, value = need.only or (None, None)
        when = f' with {argument}: {value}' if value is not None else f' unless {argument} is given' if argument else ''
        found.append(f'{need.what}{when}{": missing" if need.missing() else ""}')
    return f' [needs {", ".join(found)}]' if found else ''


def _presets() -> list[str]:
    from facesr_ext.degradations.presets import PRESETS

    settings = {name: ', '.join(f'{k}: {v}' for k, v in preset.items()) for name, preset in PRESETS.items()}
    return [f'{name:28} facesr_ext  {text}' for name, text in sorted(settings.items())]
