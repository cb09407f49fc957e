"""How threads wait for each other: set before torch is loaded, and never over what the user has set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from facesr_ext import _threads

ASK = 'import json, os; {} import basicsr; print(json.dumps([os.environ.get("GOMP_SPINCOUNT"), basicsr.SPINS]))'
STAND_IN = 'import os\nSPINS = os.environ.get("GOMP_SPINCOUNT")\n'  # a package, so that torch need not be loaded

linux = pytest.mark.skipif(not sys.platform.startswith('linux'), reason="GNU's OpenMP is Linux's")


def _asked(folder: Path, before: str = '', **variables: str) -> list[str | None]:
    (folder / 'basicsr').mkdir(exist_ok=True)
    (folder / 'basicsr' / '__init__.py').write_text(STAND_IN, encoding='utf-8')
    known = {key: value for key, value in os.environ.items() if key not in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')}
    known['PYTHONPATH'] = os.pathsep.join([str(folder), *filter(None, [os.environ.get('PYTHONPATH')])])
    command = [sys.executable, '-c', 'import _facesr_ext_boot; _facesr_ext_boot.autoload(); ' + ASK.format(before)]
    done = subprocess.run(command, env={**known, **variables}, capture_output=True, text=True, check=True)
    said: list[str | None] = json.loads(done.stdout)
    return said


@linux
def test_an_import_of_basicsr_begins_with_it(tmp_path: Path) -> None:
    assert _asked(tmp_path) == ['10000', '10000']
    assert _asked(tmp_path, GOMP_SPINCOUNT='7') == ['7', '7']
    assert _asked(tmp_path, FACESR_EXT_AUTOLOAD='0') == [None, None]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY'):
        monkeypatch.setenv(name, '')  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, 'torch')
    return monkeypatch


@linux
def test_it_is_set_once(fresh: pytest.MonkeyPatch) -> None:
    assert _threads.wanted() == {'GOMP_SPINCOUNT': '10000'} and 'GOMP_SPINCOUNT' not in os.environ
    assert _threads.wait_briefly() and os.environ['GOMP_SPINCOUNT'] == '10000'
    assert not _threads.wait_briefly() and not _threads.wanted()


def test_what_the_user_sets_stands(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv('OMP_WAIT_POLICY', 'ACTIVE')
    assert not _threads.wait_briefly() and 'GOMP_SPINCOUNT' not in os.environ


def test_it_is_too_late_once_torch_is_loaded(fresh: pytest.MonkeyPatch) -> None:
    fresh.setitem(sys.modules, 'torch', sys)
    assert not _threads.wait_briefly() and 'GOMP_SPINCOUNT' not in os.environ
