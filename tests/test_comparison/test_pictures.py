"""Which images are shown, what they show, and what is said where there are none."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facesr_ext.comparison.gallery import Gallery, Shown, choose
from facesr_ext.comparison.pictures import Pictures, draw_pictures, error_maps, largest_error
from facesr_ext.comparison.plots import draw_run_curves, error_colours, plot_text
from facesr_ext.comparison.results import Comparison, ResultFolder
from facesr_ext.comparison.summary import summarise
from facesr_ext.data.image_io import read_image, write_image
from tests.test_comparison.examples import HOSTILE, PSNR, comparison, write_faces


def draw(found: Comparison, folder: ResultFolder, shown: Shown = Shown(num=2)) -> Pictures:
    """All pictures of a comparison."""
    return draw_pictures(found, summarise(found), folder, shown, {})


def gallery(found: Comparison, folder: ResultFolder) -> Gallery:
    """The images of the test set."""
    return Gallery(found, folder, found.sets[1])


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    """Where drawn faces lie as results of three methods."""
    folder = ResultFolder(tmp_path)
    write_faces(comparison(), folder)
    return folder


def test_every_picture_is_written_in_its_size(folder: ResultFolder) -> None:
    pictures = draw(comparison(), folder)
    sizes = {(p.set, p.kind): read_image(p.path).shape for p in pictures.drawn}
    head, gap, cell = 18, 2, 128
    assert sizes['test', 'faces'] == (head + 2 * (head + cell + gap), 5 * (cell + gap), 3)  # LQ, three methods, GT
    assert sizes['test', 'extremes'] == (head + 3 * (head + cell + gap), 4 * (cell + gap), 3)
    assert sizes['test', 'errors'][1] == 4 * (cell + gap) and sizes['test', 'errors'][0] > sizes['test', 'faces'][0]
    assert set(sizes) == {('test', kind) for kind in ('faces', 'zooms', 'errors', 'extremes', 'cost')} | {
        ('seen', 'cost')
    }
    assert pictures.notes == ['seen: no pictures, as its images were not saved for all methods alike']


def test_a_sheet_shows_each_image_pixel_by_pixel(folder: ResultFolder) -> None:
    (faces,) = [picture for picture in draw(comparison(), folder).drawn if picture.kind == 'faces']
    sheet, gt = read_image(faces.path), read_image(folder.image('test', folder.GT, 'u'))
    assert np.array_equal(sheet[36 : 36 + 128 : 2, 4 * 130 : 4 * 130 + 128 : 2], gt)
    lq = read_image(folder.image('test', folder.LQ, 'u'))
    assert np.array_equal(sheet[36 : 36 + 128 : 16, 0:128:16], lq)


def test_images_are_spread_over_the_set(folder: ResultFolder) -> None:
    shown = gallery(comparison(), folder)
    assert shown.spread(3) == ['u', 'w', 'z'] and shown.spread(1) == ['u'] and shown.spread(0) == []
    assert shown.spread(99) == list('uvwxyz')


def test_best_median_and_worst_follow_the_direction(folder: ResultFolder) -> None:
    shown = gallery(comparison(), folder)
    assert [(e.what, e.image) for e in shown.extremes(PSNR, True)] == [('best', 'z'), ('median', 'w'), ('worst', 'u')]
    error = [4.0, 3.0, math.nan, 3.5, 2.0, 3.2]
    assert [e.image for e in shown.extremes(error, False)] == ['y', 'z', 'u']
    assert [e.what for e in shown.extremes([1.0, *[math.nan] * 5], True)] == ['worst']
    assert shown.extremes([math.nan] * 6, True) == []


def test_what_is_chosen_is_what_was_asked_for_or_said() -> None:
    found = comparison()
    assert choose(found, 'test', Shown())[:2] == ('twin', found.metrics[0])
    chosen = choose(found, 'test', Shown(by='rmse', method='net'))
    assert chosen == ('net', found.metrics[1], [])
    chosen = choose(found, 'test', Shown(by='kid', method='gone'))
    assert (chosen.method, chosen.metric) == ('twin', found.metrics[0]) and len(chosen.notes) == 2


def test_zooms_end_where_pixels_of_the_lq_end(folder: ResultFolder) -> None:
    shown = gallery(comparison(), folder)
    lq, *_, gt = shown.zoom('u', (240, 260, 770, 1000))
    assert lq.shape == (6, 4, 3) and gt.shape == (48, 32, 3)
    assert np.array_equal(gt, shown.gt('u')[16:64, 16:48])
    assert [part.shape[:2] for part in shown.zoom('u', (1000, 0, 1000, 0))][:1] == [(1, 1)]


def test_error_maps_are_mean_absolute_differences(tmp_path: Path) -> None:
    folder, found = ResultFolder(tmp_path), comparison()
    for name in found.sets[1].images:
        write_image(folder.image('test', folder.GT, name), np.full((8, 8, 3), 100, np.uint8))
        write_image(folder.image('test', 'bicubic', name), np.full((8, 8, 3), (100, 130, 160), np.uint8))
        write_image(folder.image('test', 'net', name), np.full((8, 4, 3), 100, np.uint8))
    shown = gallery(found, folder)
    maps = error_maps(shown, 'u')
    assert list(maps) == ['bicubic'] and np.all(maps['bicubic'] == 30)  # net's has another size
    assert largest_error(shown, ['u', 'v']) == 30 and shown.absent == ['Twin']
    assert np.array_equal(error_colours(np.zeros((1, 1)), 30), error_colours(np.full((1, 1), -1.0), 30))
    assert error_colours(np.full((1, 1), 30.0), 30).sum() > 600 > 30 > error_colours(np.zeros((1, 1)), 30).sum()


def test_images_that_were_not_saved_for_all_are_left_out(folder: ResultFolder) -> None:
    folder.image('test', 'net', 'u').unlink()
    assert gallery(comparison(), folder).images == list('vwxyz')
    for name in 'vwxyz':
        folder.image('test', 'net', name).unlink()
    pictures = draw(comparison(), folder)
    assert 'test: no images were saved of FSRNet' in pictures.notes
    (faces,) = [picture for picture in pictures.drawn if picture.kind == 'faces']
    assert read_image(faces.path).shape[1] == 4 * 130


def test_a_damaged_image_costs_its_pictures_alone(folder: ResultFolder) -> None:
    folder.image('test', 'net', 'u').write_bytes(b'no picture')
    pictures = draw(comparison(), folder)
    assert {picture.kind for picture in pictures.drawn} == {'extremes', 'cost'}  # net is not in the first
    assert sum('u.png' in note for note in pictures.notes) == 3


def test_without_gt_there_are_no_error_maps(folder: ResultFolder) -> None:
    for name in 'uvwxyz':
        folder.image('test', folder.GT, name).unlink()
    kinds = {picture.kind for picture in draw(comparison(), folder).drawn}
    assert kinds == {'faces', 'zooms', 'extremes', 'cost'}


def test_one_method_has_no_cost_to_compare(tmp_path: Path) -> None:
    values = {'test': {'net': {'psnr_rgb': PSNR}}}
    assert draw(comparison(values=values), ResultFolder(tmp_path)).drawn == []


def test_names_of_strangers_are_drawn_as_they_are(folder: ResultFolder) -> None:
    found = comparison()
    found.methods = [replace(method, label=HOSTILE) for method in found.methods]
    assert {picture.kind for picture in draw(found, folder).drawn} >= {'faces', 'cost'}
    assert plot_text('_a$b$') == r' _a\$b\$'


def test_curves_of_all_runs_share_a_panel_a_metric(tmp_path: Path) -> None:
    for run, offset in (('one', 0), ('two', 1)):
        for iteration in (100, 200):
            path = tmp_path / run / 'visualization' / f'val_{iteration}.csv'
            path.parent.mkdir(parents=True, exist_ok=True)
            value = 20 + iteration / 100 + offset
            path.write_text(f'name,psnr,psnr_bicubic,l_g_pix\na,{value},1,2\nmean,{value},1,2\n')
    (tmp_path / 'empty').mkdir()
    curves, notes = draw_run_curves({'$x$': tmp_path / 'one', '_b': tmp_path / 'two', 'Empty': tmp_path / 'empty'})
    assert curves is not None and curves.shape == (320, 550, 3)  # one panel: no bicubic, no loss
    assert len(notes) == 1 and 'Empty' in notes[0]
    assert draw_run_curves({})[0] is None
