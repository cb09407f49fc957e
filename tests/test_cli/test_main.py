"""The ``facesr`` command as a whole."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer

from facesr_ext.cli.main import COMMANDS, GROUPS, PANELS, main
from facesr_ext.cli.screen import tell_error, tell_warning
from tests.support import child_environment


def test_without_arguments_it_says_where_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(f'  {door} ' in text for door in ('Photographs', 'A report', 'A challenge'))
    told = {words[1] for line in text.splitlines() if (words := line[line.find('facesr ') :].split())[:1] == ['facesr']}
    assert told - {'--help'} <= {*COMMANDS, *GROUPS}


def test_help_names_every_command_and_what_has_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(['--help'])
    text = capsys.readouterr().out
    assert not ended.value.code and all(name in text for name in (*COMMANDS, *GROUPS, *PANELS))
    assert sorted([*COMMANDS, *GROUPS]) == sorted(name for names in PANELS.values() for name in names)


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


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        (['restor', 'x'], "facesr: No such command 'restor'. Did you mean 'restore', 'report', 'test'?"),
        (['restore'], "facesr: Missing argument 'INPUT...'"),
        (['sample', 'x', '--num', 'many'], "facesr: Invalid value for '--num'"),
        (['submit', 'check', 'x'], "facesr: Missing argument 'LQ'"),
        (['list', 'arch'], "facesr: facesr list: 'arch' is unknown"),
        (['list', ''], 'facesr: argument 2 is empty'),
    ],
)
def test_every_error_is_one_line_of_one_shape(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    err = capsys.readouterr().err
    assert ended.value.code == 2 and len(err.splitlines()) == 1
    assert err.lower().startswith(told.lower().split("'many'")[0][:40]), err
    assert 'facesr list:' in err or 'empty' in err or err.rstrip().endswith('--help')


def test_colours_are_for_terminals_and_not_where_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, object]] = []
    monkeypatch.setattr(typer, 'secho', lambda text, fg, err, color: told.append((text, color)))
    monkeypatch.delenv('NO_COLOR', raising=False)
    tell_error('a')
    monkeypatch.setenv('NO_COLOR', '1')
    tell_warning('b')
    assert told == [('facesr: a', None), ('b', False)]


def test_the_shell_completes_commands_and_options() -> None:
    code = 'import sys; from facesr_ext.cli.main import main; main([])'
    for words, index, wanted in (('facesr re', '1', ['restore', 'report']), ('facesr restore --fa', '2', ['--faces'])):
        asked = {'_FACESR_COMPLETE': 'complete_bash', 'COMP_WORDS': words, 'COMP_CWORD': index}
        env = {**child_environment(), **asked}
        done = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True, check=False)
        assert done.stdout.split() == wanted, done.stderr


@pytest.mark.skipif(os.name != 'posix', reason='pipes of POSIX')
def test_a_reader_that_leaves_is_no_error() -> None:
    line = f'{sys.executable} -m facesr_ext list archs | head -n 1'
    done = subprocess.run(line, shell=True, env=child_environment(), capture_output=True, text=True, check=False)
    assert done.stdout == 'archs:\n' and 'Traceback' not in done.stderr
