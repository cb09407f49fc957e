"""What is promised of files of strangers and of numbers, and how often it was tried: runs the tests, prints a table.

``python -m benchmarks.reliability`` takes minutes; ``--fuzz 10000`` tries so many inputs of each reader, which takes an
hour.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

PROMISES = {
    'no reader runs code': ('tests/attacks/test_code.py', 'tests/test_check/test_examine.py'),
    'small files stay small': ('tests/attacks/test_bombs.py',),
    'names and places that lie': ('tests/attacks/test_places.py', 'tests/test_check/test_run_names.py'),
    'any input is read, or named': ('tests/fuzzing/test_fuzz.py',),
    'what was found is mended': ('tests/fuzzing/test_found.py',),
    'numbers': ('tests/test_models/test_numbers.py', 'tests/test_models/test_resuming.py'),
    'clocks that jump': ('tests/test_runs/test_run_log.py',),
}
"""Promise -> the files of its tests."""


def main() -> None:
    """Runs them and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--fuzz', type=int, default=0, metavar='N', help='inputs of each reader')
    fuzz = parser.parse_args().fuzz
    print('| promise | tests | passed | failed | skipped | inputs |\n|---|---|---|---|---|---|')
    failed = False
    for promise, files in PROMISES.items():
        found, inputs = tried(files, fuzz)
        failed = failed or found['failed'] > 0 or not found['passed']
        where = ', '.join(f'`{file}`' for file in files)
        print(f'| {promise} | {where} | {found["passed"]} | {found["failed"]} | {found["skipped"]} | {inputs or "-"} |')
        sys.stdout.flush()
    raise SystemExit(failed)


def tried(files: tuple[str, ...], fuzz: int) -> tuple[Counter[str], int]:
    """How many tests of some files passed, failed and were skipped, and how many inputs they have drawn."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / 'report.xml'
        command = [sys.executable, '-m', 'pytest', '-q', f'--junitxml={report}', f'--fuzz={fuzz}', *files]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})
        if not report.is_file():
            raise SystemExit(done.stdout + done.stderr)
        counts: Counter[str] = Counter()
        inputs = 0
        for case in ElementTree.parse(report).iter('testcase'):
            bad = case.find('failure') is not None or case.find('error') is not None
            counts['failed' if bad else 'skipped' if case.find('skipped') is not None else 'passed'] += 1
            inputs += sum(int(p.get('value', 0)) for p in case.iter('property') if p.get('name') == 'inputs')
    return counts, inputs


if __name__ == '__main__':
    main()
