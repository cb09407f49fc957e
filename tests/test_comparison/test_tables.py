"""Figures as text, and tables whose names of strangers do no harm."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace

import pytest

from facesr_ext.comparison.figures import decimals, large, number, p_value, seconds
from facesr_ext.comparison.layout import Table, gap_table, method_table, set_tables
from facesr_ext.comparison.results import Comparison, Published
from facesr_ext.comparison.statistics import Interval
from facesr_ext.comparison.summary import summarise
from facesr_ext.comparison.tables import latex_tables, latex_text, markdown_table, markdown_text, per_image_csv, set_csv
from tests.test_comparison.examples import HOSTILE, PSNR, comparison


def hostile() -> Comparison:
    """A comparison all of whose words come from somebody who means harm."""
    found = comparison()
    methods = [replace(method, label=HOSTILE) for method in found.methods]
    sets = [replace(facts, lq=HOSTILE, images=(HOSTILE, '=1+1', *facts.images[2:])) for facts in found.sets]
    published = [Published(HOSTILE, {'psnr_rgb': 1.0}, HOSTILE, HOSTILE)]
    return replace(found, methods=methods, sets=sets, published=published, name=HOSTILE)


def tables(found: Comparison) -> dict[str, Table]:
    """The tables of the test set, and the gap."""
    summary = summarise(found)
    return {
        **{table.name: table for table in set_tables(summary, summary.sets[1])},
        'gap': gap_table(summary, summary.gaps[0]),
        'methods': method_table(found),
    }


@pytest.mark.parametrize(
    ('half', 'unit', 'count'),
    [(0.4, '', 2), (0.04, '', 3), (0.04, 'dB', 2), (0.0123, '', 3), (12.0, '', 0), (1.5, 'px', 1), (1e-9, '', 6)],
)
def test_an_interval_supports_so_many_decimals(half: float, unit: str, count: int) -> None:
    assert decimals([Interval(25.0, 25 - half, 25 + half, 9)], unit) == count


def test_without_an_interval_four_digits_are_shown() -> None:
    alone = [Interval(value, math.nan, math.nan, 1) for value in (math.nan, 23.5512)]
    assert decimals(alone) == 2 and decimals([Interval(0.60412, math.nan, math.nan, 1)]) == 4
    assert decimals([]) == 2 and decimals([Interval(math.inf, math.nan, math.nan, 3)]) == 2


def test_figures_as_text() -> None:
    assert [number(value, 2) for value in (1.005, -2.5, math.nan, math.inf, -0.001)] == [
        '1.00',
        '−2.50',
        '–',
        '∞',
        '0.00',
    ]
    assert number(0.25, 1, signed=True) == '+0.2' and number(-math.inf, 1) == '−∞'
    assert [p_value(p) for p in (2e-4, 0.0123, 0.2, math.nan)] == ['<0.001', '0.012', '0.20', '–']
    assert [large(value) for value in (0, 999, 3_066_385, 12_345_678_901, None)] == [
        '0',
        '999',
        '3.07 M',
        '12.3 G',
        '–',
    ]
    assert large(48_000_000, 'B') == '48.0 MB' and large(12, 'B') == '12 B'
    assert [seconds(value) for value in (1.5, 0.0123, 4e-5)] == ['1.50 s', '12.3 ms', '40.0 µs']


def test_the_tables_say_what_the_cells_hold() -> None:
    found = tables(comparison())
    assert list(found) == ['figures', 'differences', 'cost', 'published', 'gap', 'methods']
    assert found['figures'].head == ('Method', 'psnr_rgb, dB ↑', 'rmse, px ↓', 'kid ↓', 'Quality rank')
    net = found['figures'].rows[1]
    assert (net[1].text, net[1].mark, net[2].text, net[3].text, net[4].text) == ('24.5', 'best', '2.00', '0.100', '1')
    assert net[2].more[0].startswith('[1.') and net[2].more[1:] == ('1 missing',)
    assert found['differences'].title == 'Difference to Bicubic' and len(found['differences'].rows) == 2
    assert found['differences'].rows[0][1].text == '+2.00'
    assert found['differences'].rows[0][1].more == ('[+2.00, +2.00]', 'p 0.031, Holm 0.19')
    assert [cell.text for cell in found['cost'].rows[0]] == ['Bicubic', '0', '10.0 k', '2.00 MB', '3.00 ms', '2.5', '1']
    summary = summarise(comparison())
    without = {table.name: table for table in set_tables(summary, summary.sets[0])}['cost']  # nothing was timed there
    assert without.head == ('Method', 'Parameters', 'Quality rank') and not without.below
    assert [cell.text for cell in found['gap'].rows[2]] == ['psnr_rgb, dB ↑ gap', '+1.0', '+1.0', '+1.0']
    assert found['methods'].rows[3][4].text == 'no checkpoint'


def test_runs_of_several_seeds_show_how_much_they_differ() -> None:
    seeds = {
        'test': {'net': {'psnr_rgb': [24.4, 24.5, 24.6], 'rmse': [2.0, math.nan, 2.1]}, 'twin': {'psnr_rgb': [24.0]}}
    }
    table = tables(comparison(seeds=seeds))['seeds']
    assert table.head == ('Method', 'psnr_rgb, dB ↑', 'rmse, px ↓') and len(table.rows) == 1
    label, psnr, error = table.rows[0]
    assert (label.text, psnr.text, psnr.more) == ('FSRNet', '24.50', ('SD 0.10 of 3 runs', '[24.40, 24.60]'))
    assert error.more == ('SD 0.071 of 2 runs', '[2.000, 2.100]')


def test_weights_are_named_by_their_last_folders() -> None:
    found = comparison()
    found.methods[1] = replace(found.methods[1], files=('/home/x/experiments/net_x8/models/net_g_latest.pth',))
    assert tables(found)['methods'].rows[1][2].text == '…/net_x8/models/net_g_latest.pth'


def test_published_rows_stand_in_a_block_of_their_own_without_marks() -> None:
    found = tables(comparison())
    row = found['published'].rows[0]
    assert [cell.text for cell in row] == ['FSRNet (paper)', '99.5', 'CelebA, Y', 'https://example.org/p']
    assert not any(cell.mark for cell in row)
    assert all('99.5' not in cell.text for name in ('figures', 'cost') for row in found[name].rows for cell in row)


def test_markdown_has_as_many_cells_as_columns_whatever_names_say() -> None:
    for table in tables(hostile()).values():
        lines = [line for line in markdown_table(table) if line.startswith('|')]
        assert {len(re.findall(r'(?<!\\)\|', line)) for line in lines} == {len(table.head) + 1}
        assert not any('<script' in line or re.search(r'(?<!\\)`', line) for line in lines)
    assert markdown_text('psnr_rgb _x_') == r'psnr_rgb \_x\_'


def test_latex_is_escaped_and_has_as_many_cells_as_columns() -> None:
    text = latex_tables(summarise(hostile()))
    assert text.count(r'\begin{tabular}') == text.count(r'\end{tabular}') == 9
    for block in re.findall(r'\\begin\{tabular\}\{(.*?)\}\n(.*?)\\end\{tabular\}', text, re.DOTALL):
        rows = [line for line in block[1].splitlines() if line.endswith(r'\\')]
        assert rows and {len(re.findall(r'(?<!\\)&', row)) + 1 for row in rows} == {len(block[0])}
    body = '\n'.join(line for line in text.splitlines() if not line.startswith('%'))
    assert not re.search(r'(?<!\\)[#%]', body) and r'\foo' not in body
    assert body.count('{') - body.count(r'\{') == body.count('}') - body.count(r'\}')
    assert latex_text('a_b & 5% \\x') == r'a\_b \& 5\% \textbackslash{}x'
    assert latex_text('−∞ ↑') == r'$-$$\infty$ $\uparrow$'


def test_csv_holds_raw_numbers_a_row_a_method() -> None:
    summary = summarise(comparison())
    rows = list(csv.DictReader(io.StringIO(set_csv(summary.sets[1]))))
    assert [row['method'] for row in rows] == ['bicubic', 'net', 'twin']
    net, cell = rows[1], summary.sets[1].rows[1].cells['psnr_rgb']
    assert (float(net['psnr_rgb']), float(net['psnr_rgb_low'])) == (cell.figure.mean, cell.figure.low)
    assert (float(net['psnr_rgb_p']), float(net['psnr_rgb_p_holm']), net['psnr_rgb_n']) == (cell.p, cell.p_holm, '6')
    assert net['psnr_rgb_mark'] == 'best' and net['parameters'] == '3066385' and net['seconds_median'] == '0.2'
    assert rows[0]['psnr_rgb_p'] == '' and rows[2]['kid'] == '' and rows[0]['rmse_n'] == '5'


def test_csv_of_images_gives_back_every_value() -> None:
    rows = list(csv.DictReader(io.StringIO(per_image_csv(comparison(), 'test'))))
    assert [float(row['psnr_rgb']) for row in rows if row['method'] == 'bicubic'] == PSNR
    assert [row['rmse'] for row in rows if row['image'] == 'w'] == ['', '', ''] and len(rows) == 18


def test_no_cell_of_a_csv_is_a_formula() -> None:
    found = hostile()
    found.methods[0] = replace(found.methods[0], label='=cmd()')
    text = set_csv(summarise(found).sets[1])
    assert next(csv.DictReader(io.StringIO(text)))['label'] == "'=cmd()"
    rows = list(csv.DictReader(io.StringIO(per_image_csv(found, 'test'))))
    assert rows[0]['image'] == HOSTILE  # with its line break, in quotes
    assert rows[3]['image'] == "'=1+1" and len(rows) == 18
