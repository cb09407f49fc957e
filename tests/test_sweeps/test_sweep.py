"""The sweep itself: what it refuses, real trainings with one that fails, killed and gone on with, and its report."""

from __future__ import annotations

import csv
import json
import math
import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from facesr_ext.check.examine import check_file
from facesr_ext.cli.main import main
from facesr_ext.data.image_io import read_image
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.runs.child import _tail, locked
from facesr_ext.sweeps.plan import Plan, make_plan
from facesr_ext.sweeps.report import write_report
from facesr_ext.sweeps.trainings import Result, State, figures_of
from tests.support import OPTIONS, ROOT, child_environment, small_options, write_options

AXES = ['network_g:num_feat=4,8', 'train:optim_g:lr=1e-3,1e-4']


def _file(tmp_path: Path) -> str:
    opt = small_options(OPTIONS / 'srresnet.yml')
    opt['name'] = 'small'
    opt['val']['val_freq'] = 1
    return str(write_options(opt, tmp_path / 'small.yml'))


def _result(value: float, best: float | None = None) -> Result:
    figures = {'psnr_rgb': value, 'psnr_rgb_bicubic': 20.0, 'ssim_rgb': 0.5, 'l_g_pix': 0.1}
    return Result('done', '', 2, figures, value if best is None else best, 1, 1234, 5.0)


# ---- the plan -----------------------------------------------------------------------------------------------------


def test_plan(tmp_path: Path) -> None:
    plan = make_plan(_file(tmp_path), AXES, 'full', ['scale=4'], seeds=2)
    runs = plan.runs()
    assert (plan.metric, plan.higher, plan.set, plan.name, plan.seed) == ('psnr_rgb', True, 'val', 'small', 0)
    assert [run.point for run in runs[::2]] == [(0, 0), (0, 1), (1, 0), (1, 1)] and [
        run.repeat for run in runs[:2]
    ] == [0, 1]
    assert runs[0].forced == ('scale=4', 'network_g:num_feat=4', 'train:optim_g:lr=1e-3')
    assert runs[1].forced == (*runs[0].forced, 'manual_seed=1')
    assert len({run.name for run in runs}) == 8 and all(run.name.startswith('small_sweep_') for run in runs)
    other = make_plan(_file(tmp_path), ['train:optim_g:lr=0.001,1', 'network_g:num_feat=16,4'], 'full', ['scale=4'])
    assert other.runs([(0, 1)])[0].name == runs[0].name  # the same training, whatever the sweep
    loss = make_plan(_file(tmp_path), AXES, 'full', metric='l_g_pix')
    assert (loss.metric, loss.higher) == ('l_g_pix', False)


def test_plans_that_are_refused(tmp_path: Path) -> None:
    file = _file(tmp_path)
    for message, arguments in (
        ("does not measure 'psnr_rbg'; did you mean psnr_rgb?", {'metric': 'psnr_rbg'}),
        ("has no validation set 'vall'; did you mean val?", {'set_name': 'vall'}),
        ('has no manual_seed to count from', {'seeds': 2, 'forced': ['manual_seed=~']}),
        ('measures nothing; add val: metrics', {'forced': ['val:metrics=~']}),
        ('vary something else', {'axes': ['name=a,b']}),
    ):
        with pytest.raises(OptionError, match=message.replace('?', r'\?')):
            make_plan(**{'opt': file, 'axes': AXES, 'design': 'full', **arguments})
    with pytest.raises(OptionError, match='there is no such file'):
        make_plan(str(tmp_path / 'none.yml'), AXES, 'full')
    with pytest.raises(OptionError, match='trains nothing'):
        make_plan(str(OPTIONS / 'test.yml'), AXES, 'full')


def test_every_point_is_checked_before_the_first_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    axes = ['--axis', 'network_g:num_feat=4,0', '--axis', 'train:optim_g:lrr=1,2']
    with pytest.raises(SystemExit) as ended:
        main(['sweep', '-opt', _file(tmp_path), *axes])
    assert ended.value.code == 2 and not list(tmp_path.glob('*/'))
    told = capsys.readouterr().err
    assert 'train:optim_g:lrr' in told and 'did you mean lr?' in told


def test_the_command_of_report_s1_is_accepted() -> None:
    pytest.importorskip('pyDOE3', reason='the extra sweep is missing')
    page = (ROOT / 'docs' / 'sweep.md').read_text()
    words = shlex.split(page.split('```bash')[1].split('```')[0].replace('\\\n', ' '))
    assert words[:4] == ['facesr', 'sweep', '-opt', 'options/srnet.yml']
    axes = [words[i + 1] for i, word in enumerate(words) if word == '--axis']
    assert words[words.index('--design') + 1] == 'L9' and len(axes) == 4
    plan = make_plan(str(OPTIONS / 'srnet.yml'), axes, 'L9')
    assert len(plan.runs()) == 9
    assert not [
        fault for run in plan.runs() for fault in check_file(plan.opt, 'train', run.forced) if 'error' in fault.level
    ]
    noted = (OPTIONS / 'srnet.yml').read_text().replace('\n#  ', '')
    assert all(f'--axis {axis}' in noted for axis in axes)


# ---- trainings ----------------------------------------------------------------------------------------------------


def test_trainings_one_that_fails_and_a_sweep_that_is_killed(tmp_path: Path) -> None:
    words = [
        sys.executable, '-m', 'facesr_ext', 'sweep', '-opt', _file(tmp_path), '-o', 'out',
        '--axis', 'train:pixel_opt:loss_weight=1,1e39',
        '--force_yml', 'train:nonfinite_patience=1', 'train:optim_g:lr=1e-4',
    ]  # fmt: skip
    state = tmp_path / 'out' / 'sweep.json'
    logs = tmp_path / 'out' / 'logs'
    with subprocess.Popen(words, cwd=tmp_path, env=child_environment(), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(logs.glob('*'))) < 2:
            time.sleep(0.05)
        process.kill()  # its second training goes on by itself
    first = json.loads(state.read_text())['runs']
    assert len(first) == 1, 'it had trained more before it could be killed'
    log = logs / f'{next(iter(first))}.log'
    written = log.stat().st_mtime_ns
    done = subprocess.run(words, cwd=tmp_path, env=child_environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert log.stat().st_mtime_ns == written, 'what had finished was trained again'
    results = json.loads(state.read_text())['runs']
    assert [result['status'] for result in results.values()] == ['done', 'failed']
    assert 'steps of net_g in a row were not finite' in list(results.values())[1]['reason']
    with (tmp_path / 'out' / 'table.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['pixel_opt:loss_weight'] for row in rows] == ['1', '1e39'] and {row['kind'] for row in rows} == {
        'design'
    }
    for row, result in zip(rows, results.values(), strict=True):
        table = tmp_path / 'experiments' / row['run'] / 'visualization' / 'val_2.csv'
        assert table.exists() == (row['status'] == 'done')
        if row['status'] == 'done':
            mean = table.read_text().splitlines()[-1].split(',')
            assert row['psnr_rgb'] in mean or f'{float(row["psnr_rgb"]):#.6g}' in mean
            assert float(row['seconds']) > 0 and int(row['parameters']) > 0 and result['iteration'] == 2
    report = (tmp_path / 'out' / 'sweep.md').read_text()
    for part in (
        'Failed: 1 of 2 runs.',
        '## Main effects',
        '## Failed',
        'a point of the design',
        'bicubic',
    ):
        assert part in report
    assert '1e39: missing | 0 |' in report
    image = read_image(tmp_path / 'out' / 'effects.png')
    assert image.shape[2] == 3 and image.std() > 5


@pytest.mark.skipif(os.name != 'posix', reason='locks of POSIX')
def test_one_sweep_at_a_time_is_at_work_on_a_folder(tmp_path: Path) -> None:
    told: list[str] = []
    order: list[str] = []

    def second() -> None:
        with locked(tmp_path, told.append):
            order.append('second')

    thread = threading.Thread(target=second)
    with locked(tmp_path, told.append):
        thread.start()
        while not told:
            time.sleep(0.01)
        order.append('first')
    thread.join(10)
    assert order == ['first', 'second'] and 'waiting for its end' in told[0]


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / 'x.log'
    log.write_bytes(b'old\n1 %\r2 %\r3 %\nTraceback\n\n  File\nValueError: no\n')
    assert _tail(log, 4) == '3 %\nTraceback\n  File\nValueError: no'
    log.write_bytes(b'2026-01-01 10:00:00,123 INFO: a\n2026-01-01 10:00:01,123 ERROR: lost\n  more\n')
    assert _tail(log, 0) == 'lost\n  more'
    log.write_bytes(b'')
    assert _tail(log, 0) == 'it has written nothing'


def test_state(tmp_path: Path) -> None:
    plan = make_plan(_file(tmp_path), AXES, 'full')
    run = plan.runs()[0]
    state = State(tmp_path, 'small')
    state.add(run, Result('failed', 'psnr_rgb is NaN', 2, {'psnr_rgb': math.nan}))
    again = State(tmp_path, 'small').results[run.name]
    assert (
        math.isnan(again.figures['psnr_rgb']) and math.isnan(again.response(plan)) and again.reason == 'psnr_rgb is NaN'
    )
    state.path.write_text('{}')
    with pytest.raises(DatasetError, match='remove it, the runs themselves stay'):
        State(tmp_path, 'small')


def test_a_run_whose_folder_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = make_plan(_file(tmp_path), AXES, 'full')
    result = figures_of(plan.runs()[0], plan)
    assert result.status == 'failed' and 'is not the folder of a training' in result.reason


def test_files_of_others_are_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'sweep.md').write_text('mine')
    with pytest.raises(SystemExit) as ended:
        main(['sweep', '-opt', _file(tmp_path), '--axis', AXES[0], '-o', 'out'])
    assert ended.value.code == 2 and (tmp_path / 'out' / 'sweep.md').read_text() == 'mine'


# ---- the report ---------------------------------------------------------------------------------------------------


def _known(plan: Plan, values: dict[tuple[int, ...], list[float]]) -> dict[str, Result]:
    runs = {(run.point, run.repeat): run.name for point in values for run in plan.runs([point])}
    return {runs[point, i]: _result(value) for point, row in values.items() for i, value in enumerate(row)}


def test_report_of_a_confirmation(tmp_path: Path) -> None:
    pytest.importorskip('pyDOE3', reason='the extra sweep is missing')
    plan = make_plan(_file(tmp_path), [*AXES, 'datasets:train:batch_size_per_gpu=1,2'], 'L4', seeds=2)
    assert plan.points == ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0))
    values = {(0, 0, 0): [20.0, 22.0], (0, 1, 1): [21.0, 23.0], (1, 0, 1): [30.0, 32.0], (1, 1, 0): [26.0, 28.0]}
    results = _known(plan, values)
    report = write_report(plan, results, tmp_path).read_text()
    assert 'network_g:num_feat=8, optim_g:lr=1e-3, train:batch_size_per_gpu=2: psnr_rgb 31 if' in report
    assert 'Measured (a point of the design): 31 ± 1.4, +0 against the prediction.' in report
    assert '| 1 | 4 | 1e-3 | 1 | 21 ± 1.4 | 0.5 ± 0 | 21 ± 1.4 (1, 1) | 1,234 | 5 s |' in report
    assert 'differ by 1.4142 (standard deviation between seeds), so means of 4 runs by 1 for chance alone' in report
    values = {(0, 0, 0): [20.0, 20.0], **dict.fromkeys(plan.points[1:], [25.0, 25.0])}
    results = _known(plan, values)
    report = write_report(plan, results, tmp_path).read_text()
    assert 'It has not been trained.' in report and 'Best point of the design' in report
    optimum = (1, 1, 1)
    results |= _known(plan, {optimum: [27.0, 27.0]})
    report = write_report(plan, results, tmp_path).read_text()
    assert '| confirmation | 8 | 1e-4 | 2 | 27 ± 0 |' in report
    assert 'Measured (its confirmation run): 27 ± 0, -0.5 against' in report
    with (tmp_path / 'table.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['kind'] for row in rows] == ['design'] * 8 + ['confirmation'] * 2 and rows[1]['seed'] == '1'


def test_report_of_interactions_and_of_a_sweep_that_goes_on(tmp_path: Path) -> None:
    plan = make_plan(_file(tmp_path), AXES, 'full', seeds=2)
    values = {(0, 0): [20.0, 20.2], (0, 1): [21.0, 21.2], (1, 0): [23.0, 23.2], (1, 1): [20.0, 20.2]}
    results = _known(plan, values)
    report = write_report(plan, results, tmp_path).read_text()
    assert '## Interactions' in report and '| network_g:num_feat with optim_g:lr | 66 % |' in report
    assert '| 8 | 23.1 | 20.1 |' in report
    del results[plan.runs()[-1].name]
    report = write_report(plan, results, tmp_path).read_text()
    assert 'So far 7 of 8 runs have ended' in report and '## Interactions' not in report and '(1 of 2)' in report
