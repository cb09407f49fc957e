"""Cells against figures worked out by hand, marks, ranks, and what is missing."""

from __future__ import annotations

import math

import pytest

from facesr_ext.comparison.results import MethodFacts, MetricFacts, Published, SetFacts
from facesr_ext.comparison.statistics import paired, paired_all
from facesr_ext.comparison.summary import SetTable, quartiles, summarise
from tests.test_comparison.examples import PSNR, comparison


def test_cells_are_those_worked_out_by_hand() -> None:
    summary = summarise(comparison())
    assert [table.facts.name for table in summary.sets] == ['seen', 'test']
    bicubic, net, _ = summary.sets[1].rows
    cell = net.cells['psnr_rgb']
    assert cell.figure.mean == pytest.approx(24.5) and cell.figure.num == 6 and not cell.missing
    assert cell.figure.low < 24.5 < cell.figure.high
    assert cell.difference[:3] == pytest.approx((2, 2, 2))  # on every image
    assert cell.p == pytest.approx(2 / 2**6)  # both ends of all 64 patterns of signs
    assert math.isnan(bicubic.cells['psnr_rgb'].p) and not bicubic.cells['psnr_rgb'].difference.num
    error = net.cells['rmse']
    assert (error.figure.mean, error.figure.num, error.missing) == (pytest.approx(2.0), 5, 1)
    assert error.difference.mean == pytest.approx(-1) and error.difference.num == 5


def test_p_is_corrected_for_all_sets_methods_and_metrics() -> None:
    summary = summarise(comparison())
    assert summary.tests == 6  # two methods: PSNR on both sets, and RMSE on the test set, where twin's p is 1
    for table in summary.sets:
        assert table.rows[1].cells['psnr_rgb'].p_holm == pytest.approx(6 / 32)
    assert summary.sets[1].rows[2].cells['rmse'].p_holm == 1


def test_the_best_and_those_that_cannot_be_told_from_it_are_marked() -> None:
    assert _marks(summarise(comparison()).sets[1]) == ['tied', 'best', 'tied']  # p 2/64 on six images, twice: 0.06
    many = {
        'bicubic': {'psnr_rgb': PSNR * 3},
        'net': {'psnr_rgb': [value + 2 for value in PSNR * 3]},
        'twin': {'psnr_rgb': [value + 2 + (0.5, -0.6)[i % 2] for i, value in enumerate(PSNR * 3)]},
    }
    facts = SetFacts('test', 'x', 8, tuple(map(str, range(18))))
    summary = summarise(comparison(values={'test': many}, sets=[facts]))
    assert _marks(summary.sets[0]) == ['', 'best', 'tied']


def _marks(table: SetTable, metric: str = 'psnr_rgb') -> list[str]:
    return [row.cells[metric].mark for row in table.rows]


def test_ranks_are_means_over_the_metrics_and_speed_is_by_the_median() -> None:
    bicubic, net, twin = summarise(comparison()).sets[1].rows
    assert [row.cells['psnr_rgb'].rank for row in (bicubic, net, twin)] == [3, 1, 2]
    assert [row.cells['rmse'].rank for row in (bicubic, net, twin)] == [2.5, 1, 2.5]
    assert [row.cells['kid'].rank for row in (bicubic, net)] == [2, 1] and math.isnan(twin.cells['kid'].rank)
    assert (bicubic.quality, net.quality, twin.quality) == (2.5, 1, 2.25)
    assert (bicubic.speed, net.speed) == (1, 2) and math.isnan(twin.speed) and twin.seconds is None
    assert bicubic.seconds == pytest.approx((0.002, 0.003, 0.004)) and quartiles(()) is None


def test_metrics_of_whole_sets_have_no_p_and_are_tied_where_their_spreads_overlap() -> None:
    rows = summarise(comparison()).sets[1].rows
    assert rows[0].cells['kid'].figure[:3] == (0.2, 0.1, 0.3) and math.isnan(rows[1].cells['kid'].p)
    assert _marks(summarise(comparison()).sets[1], 'kid') == ['tied', 'best', '']


def test_training_less_test_is_the_gap() -> None:
    (table,) = summarise(comparison()).gaps
    assert (table.train.name, table.test.name, [m.name for m in table.metrics]) == ('seen', 'test', ['psnr_rgb'])
    gap = table.cells['net']['psnr_rgb']
    assert (gap.train.mean, gap.test.mean, gap.gap.mean) == pytest.approx((25.5, 24.5, 1.0))
    assert gap.gap.low < 0 < gap.gap.high  # other images: the gap is less sure than a paired difference


def test_one_image_has_no_interval_and_says_so() -> None:
    facts = SetFacts('one', 'x', 8, ('a',))
    values = {'one': {'bicubic': {'psnr_rgb': [20.0]}, 'net': {'psnr_rgb': [22.0]}}}
    table = summarise(comparison(sets=[facts], values=values)).sets[0]
    cell = table.rows[1].cells['psnr_rgb']
    assert cell.figure.mean == 22 and math.isnan(cell.figure.low) and math.isnan(cell.p) and math.isnan(cell.p_holm)
    assert table.rows[0].cells['psnr_rgb'].mark == 'tied'  # one image tells nothing apart
    assert table.notes[0].startswith('one image only')


def test_what_is_missing_is_named() -> None:
    summary = summarise(comparison())
    assert summary.broken == (('SRGAN', 'no checkpoint'), ('lost', 'there is no folder /data/lost'))
    table = summary.sets[1]
    assert table.absent == (('SRGAN', 'no checkpoint'),)
    assert 'rmse: of 6 images without a value: Bicubic 1, FSRNet 1, Twin 1' in table.notes[0]
    assert 'kid: no value at all: Twin' in table.notes[1]
    nan = {'bicubic': {'psnr_rgb': [math.nan] * 6}, 'net': {'psnr_rgb': PSNR}}
    rows = summarise(comparison(values={'test': nan}, whole={})).sets[0].rows
    assert math.isnan(rows[0].cells['psnr_rgb'].figure.mean) and math.isnan(rows[0].quality)
    assert rows[1].cells['psnr_rgb'].mark == '' and rows[0].cells['psnr_rgb'].missing == 6


def test_published_rows_belong_to_their_set_and_are_in_no_row() -> None:
    seen, test = summarise(comparison()).sets
    assert not seen.published and [row.method for row in test.published] == ['FSRNet (paper)']
    assert [row.method.name for row in test.rows] == ['bicubic', 'net', 'twin']
    assert test.rows[1].cells['psnr_rgb'].mark == 'best'  # not the 99.5 dB of others
    elsewhere = [Published('X', {'psnr_rgb': 1.0}, 'p', 's', 'lost')]
    assert summarise(comparison(published=elsewhere)).broken[-1][0] == 'X (published)'


def test_a_reference_that_did_not_run_leaves_the_figures() -> None:
    values = {'test': {'net': {'psnr_rgb': PSNR}, 'twin': {'psnr_rgb': PSNR}}}
    summary = summarise(comparison(values=values))
    assert not summary.tests and summary.sets[0].rows[0].cells['psnr_rgb'].figure.mean == 22.5


def test_equal_images_have_an_infinite_mean_and_no_interval() -> None:
    values = {'test': {'bicubic': {'psnr_rgb': PSNR}, 'net': {'psnr_rgb': [math.inf] * 6}}}
    rows = summarise(comparison(values=values)).sets[0].rows
    assert math.isinf(rows[1].cells['psnr_rgb'].figure.mean) and rows[1].cells['psnr_rgb'].mark == 'best'


def test_nothing_measured_is_an_empty_summary() -> None:
    summary = summarise(comparison(values={}, whole={}, methods=[MethodFacts('bicubic', 'B', problem='gone')]))
    assert not summary.sets and not summary.gaps and len(summary.broken) == 5
    assert summarise(comparison(metrics=[MetricFacts('x', 'x', True)])).sets[0].metrics == ()


def test_pairs_tested_together_are_those_tested_alone() -> None:
    pairs = [(PSNR * 4, [value + 0.1 * ((i * k) % 5) - 0.2 for i, value in enumerate(PSNR * 4)]) for k in range(1, 5)]
    pairs.insert(1, (PSNR, PSNR))
    pairs.insert(2, ([*PSNR * 3, math.nan], [*PSNR * 2, *reversed(PSNR), 1.0]))
    together = paired_all(pairs)
    assert together == [paired(*pair) for pair in pairs]
    assert paired_all(pairs[::-1]) == together[::-1]
