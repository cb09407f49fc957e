"""The page's server, started once as a user starts it, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import ROOT, child_environment

LIMITS = ('--max-mb', '2', '--max-megapixels', '4', '--max-waiting', '8')
_PATIENCE = 240  # seconds until the server is up, on a machine that has much else to do


class Server(NamedTuple):
    """Where it is, its process, and the folder of its temporary files."""

    url: str
    process: subprocess.Popen[str]
    temporary: Path

    @property
    def visitors(self) -> Path:
        """Where visitors' photographs are."""
        return next(self.temporary.glob('facesr_demo_*')) / 'visitors'

    def memory(self) -> float:
        """What the process has of the memory, MB."""
        pages = int(Path(f'/proc/{self.process.pid}/statm').read_text(encoding='ascii').split()[1])
        return pages * os.sysconf('SC_PAGE_SIZE') / 1e6


def start_server(temporary: Path, *options: str) -> Server:
    """Starts the page with any free port."""
    command = [sys.executable, '-m', 'facesr_ext', 'demo', '--port', '0', '--device', 'cpu', *options]
    environment = child_environment(TMPDIR=str(temporary), PYTHONPATH=str(ROOT), PYTHONUNBUFFERED='1')
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=temporary, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    with selectors.DefaultSelector() as wait:
        wait.register(process.stdout, selectors.EVENT_READ)
        if not wait.select(_PATIENCE):
            process.kill()
            pytest.fail('the server does not come up')
    line = process.stdout.readline()
    if not line.startswith('http'):
        process.wait()
        pytest.fail(f'exit status {process.returncode}: {line}{process.stderr.read()}')
    return Server(line.split()[0], process, temporary)


def stop_server(server: Server) -> str:
    """Stops it as a system does that shuts down; returns what it wrote to standard error."""
    server.process.send_signal(signal.SIGTERM)
    try:
        return server.process.communicate(timeout=_PATIENCE)[1]
    except subprocess.TimeoutExpired:
        server.process.kill()
        raise


@pytest.fixture(scope='session')
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page with small limits; whether it leaves anything behind is looked at when it ends."""
    if importlib.util.find_spec('gradio') is None:
        pytest.skip('the extra demo is not installed')
    running = start_server(tmp_path_factory.mktemp('server'), *LIMITS)
    yield running
    if running.process.poll() is None:
        told = stop_server(running)
        assert 'Traceback' not in told and running.process.returncode == 0, told
    assert not list(running.temporary.glob('facesr_demo_*'))


@pytest.fixture(scope='session')
def chromium() -> str:
    """A browser without a head."""
    pytest.importorskip('playwright.sync_api')
    for name in ('chromium', 'chromium-browser', 'google-chrome'):
        if path := shutil.which(name):
            return path
    pytest.skip('there is no Chromium')


def wait_for(condition: object, seconds: float = 120.0) -> None:
    """Waits until a callable is true."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it does not come about'
        time.sleep(0.1)
