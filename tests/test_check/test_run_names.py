"""Names of runs and sets, which become those of files and folders, and the names of phases."""

from __future__ import annotations

from pathlib import Path

import pytest

from facesr_ext.check.examine import check_file
from facesr_ext.errors import Finding

SAMPLE = Path(__file__).with_name('sample.yml')


def findings(*forced: str) -> list[Finding]:
    keys = {entry.partition('=')[0] for entry in forced}
    return [finding for finding in check_file(str(SAMPLE), 'train', forced) if ':'.join(finding.key) in keys]


@pytest.mark.parametrize('key', ['name', 'datasets:train:name', 'datasets:val:name'])
@pytest.mark.parametrize(
    ('name', 'says'),
    [
        ('../escape', 'is a path'),
        ('group/run1', 'is a path'),
        ('group\\run1', 'is a path'),
        ('/tmp/run', 'is a path'),
        ('..', 'names no folder'),
        ('n' * 250, 'longer than 200 bytes'),
        ('\u540d' * 80, 'longer than 200 bytes'),
        ('"a\\nb"', 'cannot be seen'),
        ('"a\\u202eb"', 'cannot be seen'),
        ('"\\ufeffa"', 'cannot be seen'),
        ('""', 'names no folder'),
        ('" "', 'names no folder'),
        ('.hidden', 'begins with'),
        ('--force', 'begins with'),
        ('"~"', 'begins with'),
        ('" run"', 'begins with'),
        ('C:\\run', 'is a path'),
        ('"a\\x1bb"', 'cannot be seen'),
    ],
)
def test_what_can_be_no_name_is_refused(key: str, name: str, says: str) -> None:
    (finding,) = findings(f'{key}={name}')
    assert finding.level == 'error' and says in finding.message


@pytest.mark.parametrize(
    'name', ['x4: bicubic', 'what?', 'all*', 'a|b', 'NUL', 'con.1', 'ends.', '"ends "', 'AUX', 'lpt9.x']
)
def test_what_windows_refuses_is_a_warning(name: str) -> None:
    (finding,) = findings(f'name={name}')
    assert finding.level == 'warning' and 'Windows' in finding.message


@pytest.mark.parametrize(
    'name',
    ['fsrnet_x8', 'debug run', 'Gesicht-\u00e4\u00f6', 'n' * 200, 'v1.2', 'console', '\U0001f600', '50% #1', 'e\u0301'],
)
def test_other_names_are_fine(name: str) -> None:
    assert not findings(f'name={name}', f'val:suffix={name}')


def test_suffix_of_results_is_no_path() -> None:
    (finding,) = findings('val:suffix=a/b')
    assert finding.level == 'error'


@pytest.mark.parametrize('phase', ['train_1', 'test', 'valid', 'trian', 'Train', 'val1', 'val-1', 'test_1'])
def test_sets_that_a_training_does_not_know(phase: str) -> None:
    (finding,) = findings(f'datasets:{phase}={{name: b, type: FaceDataset, dataroot_gt: builtin, image_size: 128}}')
    assert finding.level == 'error' and 'val, val_1' in finding.message
    more = 'datasets:val_2={name: b, type: FaceDataset, dataroot_gt: builtin, image_size: 128}'
    assert not findings(more)
