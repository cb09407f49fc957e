"""Every reader takes any bytes: what it says of them is an error of ours, in bounded time and memory.

``python -m pytest tests/fuzzing --fuzz 10000`` tries so many inputs of each reader, other ones every time; without it
there are some that are the same every time.
"""

from __future__ import annotations

import resource
import shutil
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from facesr_ext.errors import FaceSRError
from tests.fuzzing.targets import TARGETS, available

SHORT = {'option check': 25, 'checkpoint': 60, 'checkpoint metadata': 60, 'training state': 60, 'clip': 60}
"""Of readers that take long; 150 of the others."""
_SECONDS, _MEMORY = 20, 1 << 31


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """2 GiB of addresses more than the process has."""
    has = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (has + _MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize('name', TARGETS)
def test_any_input_is_read_or_named(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    target = TARGETS[name]
    if not available(target):
        pytest.skip(f'without {", ".join(target.needs)}')
    many = request.config.getoption('--fuzz')
    folder = tmp_path / 'seeds'
    folder.mkdir()
    tried = 0

    @hypothesis.settings(
        max_examples=many or SHORT.get(name, 150),
        derandomize=not many,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        report_multiple_bugs=True,
    )
    @hypothesis.given(target.inputs(folder))
    def run(given: object) -> None:
        nonlocal tried
        tried += 1
        start = time.process_time()  # whatever else the machine does
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                target.call(given, folder)
        except FaceSRError as err:
            assert str(err).strip()
        assert time.process_time() - start < _SECONDS

    run()
    request.node.user_properties.append(('inputs', tried))
    shutil.rmtree(folder)
