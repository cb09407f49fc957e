"""Repairs of how option files are read."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from os import path as osp
from typing import Any

from facesr_ext.host import entry, loading
from facesr_ext.host.patching import names_used, replace_everywhere
from facesr_ext.host.source import OptionLoader


def repair_option_files() -> None:
    """Makes option files and ``--force_yml`` data that is read, never code that is run.

    Symptom: an option file with a ``!!python/`` tag, or a ``--force_yml`` entry with a bracket in it, runs any code;
    ``lr=1e-4`` arrives as text, ``{a: 1}`` and ``-1`` too; a forced manual_seed does not seed.
    Cause: PyYAML's unsafe loader, ``exec`` and ``eval``; overrides are applied after the seed has been set.
    What is done: the loader is a safe one, and it applies the overrides itself; BasicSR's parser sees none.
    Every runner calls this function first: here `entry.meet_runner` meets those that are not the imported one.
    Upstream: https://github.com/XPixelGroup/BasicSR/issues/768
    """
    options: Any = importlib.import_module('basicsr.utils.options')
    stock, stock_yaml = options.parse_options, options.ordered_yaml
    if 'exec' not in names_used(stock):
        return

    def ordered_yaml() -> tuple[type[OptionLoader], Any]:
        return OptionLoader, stock_yaml()[1]

    @functools.wraps(stock)
    def parse_options(root_path: str, is_train: bool = True) -> Any:
        entry.meet_runner(sys._getframe(1).f_globals, 'train' if is_train else 'test')
        args, rest = entry.split_arguments(sys.argv[1:])
        entries = tuple(args.force_yml or ())
        several: dict[str, list[Any]] = {}

        class Loader(OptionLoader):
            overrides = entries

            def get_single_data(self) -> Any:
                options = super().get_single_data()
                several.update(_take_lists_of_folders(options))
                return options

        saved, sys.argv = sys.argv, [sys.argv[0], *rest]
        options.ordered_yaml = lambda: (Loader, stock_yaml()[1])
        try:
            opt, parsed = stock(root_path, is_train=is_train)
        finally:
            sys.argv, options.ordered_yaml = saved, ordered_yaml
        parsed.force_yml = args.force_yml
        for key, folders in several.items():
            opt['datasets'][key]['dataroot_gt'] = folders
        _name_sections(opt)
        loading.settle_workers(opt)
        return opt, parsed

    options.ordered_yaml = ordered_yaml
    replace_everywhere('parse_options', stock, parse_options)


def _take_lists_of_folders(options: dict[str, Any]) -> dict[str, list[Any]]:
    """Takes lists of folders (``dataroot_gt``) out of data sets: BasicSR expands the ``~`` of a text alone."""
    datasets = options.get('datasets')
    sets = datasets.items() if isinstance(datasets, dict) else ()
    return {
        key: [osp.expanduser(one) if isinstance(one, str) else one for one in section.pop('dataroot_gt')]
        for key, section in sets
        if isinstance(section, dict) and isinstance(section.get('dataroot_gt'), list)
    }


def _name_sections(opt: dict[str, Any]) -> None:
    """Says ``section: test_1`` in data sets whose key BasicSR has cut to their phase, 'test'."""
    for key, section in opt['datasets'].items():
        if section.get('phase') not in (None, key):
            section.setdefault('section', key)


REPAIRS: tuple[Callable[[], None], ...] = (repair_option_files,)
