"""What is promised of work, of files of strangers and of numbers, and how often it was tried: tests, and a table.

``python -m benchmarks.reliability`` takes minutes; ``--fuzz 10000`` tries so many inputs of each reader, which takes an
hour, and ``--faults 100`` kills so often, which takes half an hour.
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
    'killed at any moment, nothing is lost': ('tests/faults/test_killed.py',),
    'a file is there whole, or as it was': ('tests/faults/test_failing_files.py',),
    'full disks, lost workers, a second run, collapse': ('tests/faults/test_places.py',),
    'what may change before a run goes on': ('tests/faults/test_changes.py',),
    'numbers': ('tests/test_models/test_numbers.py', 'tests/test_models/test_resuming.py'),
    'clocks that jump': ('tests/test_runs/test_run_log.py',),
}
"""Promise -> the files of its tests."""


DRAWN = ('inputs', 'tries')
"""What tests note: inputs that were drawn, and kills and failing operations."""


def main() -> None:
    """Runs them and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--fuzz', type=int, default=0, metavar='N', help='inputs of each reader')
    parser.add_argument('--faults', type=int, default=0, metavar='N', help='kills of each kind')
    given = parser.parse_args()
    print('| promise | tests | passed | failed | skipped | inputs | tries |\n|---|---|---|---|---|---|---|')
    failed = False
    for promise, files in PROMISES.items():
        found = tried(files, given.fuzz, given.faults)
        failed = failed or found['failed'] > 0 or not found['passed']
        where = ', '.join(f'`{file}`' for file in files)
        counts: list[object] = [found[key] for key in ('passed', 'failed', 'skipped')]
        counts += [found[key] or '-' for key in DRAWN]
        print(f'| {promise} | {where} | {" | ".join(map(str, counts))} |')
        sys.stdout.flush()
    raise SystemExit(failed)


def tried(files: tuple[str, ...], fuzz: int, faults: int) -> Counter[str]:
    """How many tests of some files passed, failed and were skipped, and what they have noted (DRAWN)."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / 'report.xml'
        command = [sys.executable, '-m', 'pytest', '-q', f'--junitxml={report}', f'--fuzz={fuzz}']
        command += [f'--faults={faults}', *files]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})
        if not report.is_file():
            raise SystemExit(done.stdout + done.stderr)
        counts: Counter[str] = Counter()
        for case in ElementTree.parse(report).iter('testcase'):
            bad = case.find('failure') is not None or case.find('error') is not None
            if bad:
                print(f'failed: {case.get("classname")}.{case.get("name")}', file=sys.stderr)
            counts['failed' if bad else 'skipped' if case.find('skipped') is not None else 'passed'] += 1
            for noted in case.iter('property'):
                if noted.get('name') in DRAWN:
                    counts[str(noted.get('name'))] += int(noted.get('value', 0))
    return counts


if __name__ == '__main__':
    main()
