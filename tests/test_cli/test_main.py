"""The ``facesr`` command as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

from facesr_ext.cli.main import COMMANDS, GROUPS, main
from tests.support import child_environment


def test_help_names_every_command_and_what_has_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(['--help'])
    text = capsys.readouterr().out
    assert not ended.value.code and all(name in text for name in (*COMMANDS, *GROUPS))
    assert ('restore' in text) is ('restore' in COMMANDS)


def test_help_answers_without_torch() -> None:
    code = (
        'import sys; from facesr_ext.cli.main import build_app; build_app(); '
        'sys.exit(" ".join({"torch", "basicsr", "pydantic"} & set(sys.modules)) or 0)'
    )
    done = subprocess.run([sys.executable, '-c', code], env=child_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('name', [*COMMANDS, *GROUPS, 'submit pack', 'submit check', 'submit score'])
def test_help_of_every_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), '--help'])
    assert not ended.value.code and f'facesr {name}' in capsys.readouterr().out


@pytest.mark.parametrize('name', ['train', 'test', 'check'])
def test_help_of_what_takes_an_option_file_says_how(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([name, '--help'])
    text = capsys.readouterr().out
    assert '-opt' in text and '--force_yml' in text and 'KEY:KEY=VALUE' in text
