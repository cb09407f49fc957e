"""Reports: what a folder of a training says, read from a real one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facesr_ext.archs.espcn_arch import ESPCN
from facesr_ext.cli.main import main
from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.host.source import OptionFile
from facesr_ext.reports.curves import Curve, Panel, draw_curves
from facesr_ext.reports.run_report import _degradation, _expanded, _psnr_panel, _result, _validations, write_report
from facesr_ext.runs.checkpoints import META_KEY, save_atomic
from facesr_ext.runs.run_log import RunLog, logged_options, logged_value, read_run
from tests.support import OPTIONS, small_options, write_options

RunPython = Callable[..., 'subprocess.CompletedProcess[str]']


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory, run_python: RunPython) -> Path:
    """A training of four iterations, ended after two and resumed; each process writes a log of its own."""
    folder = tmp_path_factory.mktemp('report')
    for total in (2, 4):
        opt = small_options(OPTIONS / 'challenge' / 's4_gan.yml')
        opt['train'].update(total_iter=total)
        opt['train']['scheduler']['periods'] = [4]
        opt['datasets']['train']['num_faces'] = 8
        write_options(opt, folder / 'x.yml')
        run_python(['-m', 'facesr_ext', 'train', '-opt', 'x.yml', '--auto_resume'], cwd=folder)
    return folder / 'experiments' / opt['name']


def test_what_the_run_says(run: Path) -> None:
    log = read_run(run)
    assert len(list(run.glob('train_*.log'))) == 2
    assert [step.iteration for step in log.steps] == [1, 2, 3, 4] and log.images == 8 and log.name == 's4_gan'
    assert {'l_g_pix', 'l_g_gan', 'l_d_real', 'psnr'} <= log.steps[-1].figures.keys()
    assert 0 < log.seconds < 120
    assert all(step.lr <= 2e-4 and step.seconds >= 0 for step in log.steps)
    assert list(log.networks) == ['MSRResNet', 'UNetDiscriminatorSN']
    assert log.options['train:optim_g:weight_decay'] == '1e-05' and log.options['challenge:max_params'] == '2276355'
    assert log.machine['Machine'].startswith('CPU') and 'PyTorch' in log.machine
    assert list(log.validations['val']) == [2, 4] and 'psnr_rgb_bicubic' in log.validations['val'][4]
    assert log.validations['val'][4]['l_g_pix'] > 0
    (panel,) = _psnr_panel(log)
    assert [curve.name for curve in panel.curves] == ['training', 'val, result', 'val, bicubic']
    assert 'val, l_g_pix' in [' '.join(curve.name.split(' ')[:2]) for curve in panel.right]


def test_report(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(2):
        write_image(tmp_path / 'lq' / f'{i}.png', render_face(0, i, 32).image)
    with pytest.raises(SystemExit) as ended:
        main(['report', str(run), '-o', str(tmp_path / 'out'), '--lq', str(tmp_path / 'lq')])
    assert ended.value.code == 0 and 'report.md' in capsys.readouterr().out
    text = (tmp_path / 'out' / 'report.md').read_text()
    log = read_run(run)
    rows = (
        f'| MSRResNet | {log.networks["MSRResNet"]:,d} parameters |',
        f'| limit of the challenge | 2,276,355 parameters, {2_276_355 - log.networks["MSRResNet"]:,d} left |',
        '| pixel_opt | type: L1Loss, loss_weight: 1.0 |',
        '| gan_opt | type: GANLoss, gan_type: vanilla',
        '| train:optim_g:betas | [0.9, 0.99] |',
        '| training images | 8 |',
        '| degradation | preset: report_s4, type: FirstOrderDegradation, ',
        'noise_range: [15.0, 15.0], ',
        'jpeg_range: [5.0, 50.0], ',
        f'| 4 | {log.validations["val"][4]["psnr_rgb"]:.4f} |',
        f'| bicubic | {log.validations["val"][4]["psnr_rgb_bicubic"]:.4f} |',
        '| Machine | CPU',
        f'Validation on `val`: psnr_rgb {log.validations["val"][4]["psnr_rgb"]:.2f} at iteration 4, ',
    )
    for row in rows:
        assert row in text, row
    assert 'root_path' not in text and 'experiments_root' not in text
    for name in ('training.png', 'validation_val.png', 'sheet_val.png', 'training_pairs.png', 'predictions.png'):
        picture = read_image(tmp_path / 'out' / name)
        assert picture.std() > 5 and f'({name})' in text
    assert read_image(tmp_path / 'out' / 'predictions.png').shape == (18 + 2 * (18 + 258), 3 * 258, 3)


def test_a_report_needs_no_checkpoint_without_pictures_to_restore(run: Path, tmp_path: Path) -> None:
    assert 'Predicted images' not in write_report(run, tmp_path).read_text()


@pytest.mark.parametrize(('name', 'text'), [('report.md', '# another run\n'), ('training.png', 'mine'), ('lq', '')])
def test_what_is_no_report_of_this_run_stays(name: str, text: str, run: Path, tmp_path: Path) -> None:
    write_image(tmp_path / 'lq' / '0.png', render_face(0, 0, 32).image)
    output = tmp_path if text else tmp_path / 'lq'
    if text:
        (tmp_path / name).write_text(text)
    with pytest.raises(OptionError, match='--force'):
        write_report(run, output, tmp_path / 'lq')
    assert not text or (tmp_path / name).read_text() == text
    write_report(run, output, force=True)
    write_report(run, output)  # its own


def test_another_network_beside(run: Path, tmp_path: Path) -> None:
    """Two of one run, so that their columns must be alike; one of another scale is refused."""
    write_image(tmp_path / 'lq' / '0.png', render_face(0, 0, 32).image)
    earlier = run / 'models' / 'net_g_2.pth'
    for other in (run, earlier):
        write_report(run, tmp_path / 'out', tmp_path / 'lq', [other])
        sheet = read_image(tmp_path / 'out' / 'predictions.png')[2 * 18 :]
        assert sheet.shape[1] == 4 * 258
        own, beside = sheet[:, 2 * 258 : 3 * 258], sheet[:, 3 * 258 :]
        assert np.array_equal(own[:, :256], beside[:, :256]) is (other == run)
    with pytest.raises(OptionError, match='--beside shows what other networks make of the images of --lq'):
        write_report(run, tmp_path / 'out', beside=[earlier])
    small = tmp_path / 'net_g_1.pth'
    net = {'type': 'ESPCN', 'scale': 2}
    save_atomic({'params': ESPCN(2).state_dict(), META_KEY: {'arch': net, 'scale': 2}}, small)
    with pytest.raises(OptionError, match='net_g_1.pth: its scale is 2, not that of'):
        write_report(run, tmp_path / 'out', tmp_path / 'lq', [small])


def test_what_is_no_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r'is not the folder of a training: it has no train_\*\.log'):
        write_report(tmp_path, tmp_path / 'out')


def test_options_are_read_as_basicsr_logs_them() -> None:
    from basicsr.utils.options import dict2str

    opt = {'name': 'x', 'train': {'optim_g': {'lr': 1e-4}, 'empty': {}}, 'text': 'a: [b'}
    lines = ['INFO: ', *dict2str(opt).splitlines(), '', 'INFO: later: 1', '  name: other']
    assert logged_options(lines) == {'name': 'x', 'train:optim_g:lr': '0.0001', 'text': 'a: [b'}


def test_curves_differ_by_what_they_show() -> None:
    x = list(range(10))
    losses = Curve('l_pix', x, [10.0**-i for i in x])
    flat = Curve('bicubic', x, [5.0] * 10, dashed=True)
    left = Panel('a', [losses], log=True)
    image = draw_curves([left, Panel('b', [Curve('result', x, x), flat])])
    assert image.shape == (320, 1100, 3) and image.dtype == np.uint8
    other = draw_curves([left, Panel('b', [Curve('result', x, x[::-1]), flat])])
    assert draw_curves([Panel('many', [Curve('lr', range(100), [1.0] * 100)])]).std() > 5
    assert np.array_equal(image[:, :540], other[:, :540]) and not np.array_equal(image, other)


def test_axis_and_dashes_are_asked_for_and_not_read_from_names() -> None:
    x = list(range(10))
    curve = Curve('bicubic', x, [10.0**-i for i in x])
    plain, dashed = (draw_curves([Panel('a (log)', [c])]) for c in (curve, curve._replace(dashed=True)))
    assert not np.array_equal(plain, dashed)
    assert not np.array_equal(plain, draw_curves([Panel('a (log)', [curve], log=True)]))


def test_an_axis_on_the_right_changes_the_image() -> None:
    x = list(range(10))
    psnr, loss = Curve('psnr', x, [20.0 + i for i in x]), Curve('loss', x, [0.1 / (1 + i) for i in x])
    assert not np.array_equal(draw_curves([Panel('a', [psnr])]), draw_curves([Panel('a', [psnr], right=[loss])]))


@pytest.mark.parametrize(
    ('given', 'wanted'),
    [
        ({'preset': 'report_s4', 'jpeg_range': '[9, 9]'}, {'jpeg_range': '[9, 9]', 'noise_range': [15.0, 15.0]}),
        ({'preset': 'realesrgan'}, {'type': 'SecondOrderDegradation', 'usm_lq': True, 'resize_range': (0.15, 1.5)}),
        ({'type': 'Foreign', 'a': '1'}, {'type': 'Foreign', 'a': '1'}),
    ],
)
def test_presets_are_told_by_their_values(given: dict[str, str], wanted: dict[str, object]) -> None:
    """What the file says counts before the preset, and that before the class."""
    told = _expanded(given)
    assert {key: told[key] for key in wanted} == wanted


def _log(options: dict[str, str], validations: dict[str, dict[int, dict[str, float]]] | None = None) -> RunLog:
    return RunLog('x', options, {}, {}, None, [], validations or {})


def test_a_mixture_is_told_by_the_values_of_its_parts() -> None:
    """As an option file has it, and BasicSR logs it; a mixture within a mixture, too."""
    from basicsr.utils.options import dict2str

    inner = '{type: MixtureDegradation, parts: [{preset: bicubic_x4}, {preset: realesrgan, jpeg_range: [7, 9]}]}'
    parts = f'[{{preset: report_s4, probability: 0.7, noise_range: [1, 2]}}, {inner}]'
    file = OptionFile('x.yml', f'name: x\ndegradation: {{type: MixtureDegradation, parts: {parts}}}')
    told = _degradation(_log(logged_options(dict2str(file.options).splitlines())))
    assert told.startswith('type: MixtureDegradation, parts: preset: report_s4, type: FirstOrderDegradation')
    first, bicubic, second = told.split('; ')
    for text in ('probability: 0.7', 'noise_range: [1, 2]', 'jpeg_range: [5.0, 50.0]', 'blur_sigma: [0.2, 3.0]'):
        assert text in first, text
    assert 'parts: preset: bicubic_x4, type: BicubicDegradation, enlarge: False, scale: 4' in bicubic
    assert 'jpeg_range: [7, 9]' in second and 'usm_lq: True' in second and 'resize_range: (0.15, 1.5)' in second


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ("[OrderedDict([('a', OrderedDict([('b', [1, 2.5])])), ('c', None)])]", [{'a': {'b': [1, 2.5]}, 'c': None}]),
        ("[OrderedDict({'a': OrderedDict()})]", [{'a': {}}]),
        ("[{'a': True}]", [{'a': True}]),
        ("__import__('os').getcwd()", "__import__('os').getcwd()"),
        ('no list [', 'no list ['),
    ],
)
def test_logged_lists_are_read_as_data(text: str, value: object) -> None:
    assert logged_value(text) == value


NAN = float('nan')


@pytest.mark.parametrize(
    ('means', 'sentence'),
    [
        (
            {2: {'psnr_rgb': 20.0, 'psnr_rgb_bicubic': NAN}, 4: {'psnr_rgb': 19.0, 'psnr_rgb_bicubic': NAN}},
            "psnr_rgb 19.00 at iteration 4, bicubic's is missing; best 20.00 at 2.",
        ),
        (
            {2: {'psnr_rgb': 20.0, 'psnr_rgb_bicubic': 18.0}, 4: {'psnr_rgb': NAN, 'psnr_rgb_bicubic': 18.0}},
            'psnr_rgb is missing at iteration 4, bicubic 18.00; best 20.00 at 2.',
        ),
        ({4: {'lpips': NAN, 'lpips_bicubic': NAN}}, 'lpips was never measured, its values are missing in every table'),
        (
            {2: {'niqe': 6.0}, 4: {'niqe': 7.5}},
            'niqe 7.50 at iteration 4; best 6.00 at 2.',
        ),
        (
            {4: {'psnr_rgb': float('inf'), 'psnr_rgb_bicubic': float('inf')}},
            'psnr_rgb inf at iteration 4, bicubic inf; best inf at 4.',
        ),
    ],
)
def test_what_was_not_measured_is_said(means: dict[int, dict[str, float]], sentence: str, tmp_path: Path) -> None:
    log = _log({'val:metrics:niqe:type': 'calculate_niqe'}, {'val': means})
    (_, line) = _result(log)
    assert sentence in line and 'nan' not in line
    table = '\n'.join(_validations(log, tmp_path, tmp_path))
    assert 'nan' not in table and ('missing' in table) == ('missing' in line)


def test_a_validation_without_metrics_has_no_table(tmp_path: Path) -> None:
    log = _log({}, {'val': {2: {}}})
    assert _result(log) == ['', 'No validation has been written yet.'] and _validations(log, tmp_path, tmp_path) == []
