"""``facesr demo``: what it says before it serves."""

from __future__ import annotations

import importlib.util
import socket

import pytest

from facesr_ext.cli.main import main
from facesr_ext.demo import serve

needs_gradio = pytest.mark.skipif(importlib.util.find_spec('gradio') is None, reason='the extra demo is not installed')


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What it says to standard error; nothing has been served."""
    with pytest.raises(SystemExit) as ended:
        main(['demo', *arguments])
    told = capsys.readouterr()
    assert ended.value.code == 2 and not told.out
    return told.err


def test_without_gradio_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    assert "pip install 'facesr_ext[demo]'" in _said(capsys)


@needs_gradio
def test_an_address_that_cannot_be_listened_at_is_named_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, 'build_app', lambda *_: pytest.fail('it is built'))
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f'--port: cannot listen at 127.0.0.1, port {port}' in _said(capsys, '--port', str(port))
    assert "--host: 'no.such.host.invalid' is no address" in _said(capsys, '--host', 'no.such.host.invalid')


@needs_gradio
def test_another_host_than_this_machine_is_warned_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, '_run', lambda app, listener: None)
    monkeypatch.setattr(serve, 'build_app', lambda *_: None)
    for host, warned in (('127.0.0.1', False), ('0.0.0.0', True)):
        with pytest.raises(SystemExit):
            main(['demo', '--host', host, '--port', '0'])
        told = capsys.readouterr()
        assert ('without a password' in told.err) == warned and told.out.startswith(f'http://{host}:')


def test_a_model_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('gradio')
    assert 'model: there is no nowhere.pth' in _said(capsys, '--model', 'nowhere.pth', '--port', '0')
