"""benchmarks/results.py: claims decided by small comparisons, stored figures, the page, and faults of its file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.results import FIGURES, PAGE, Gathering, by_key
from benchmarks.results_page.claims import FAILS, HOLDS, UNTESTED, decide
from benchmarks.results_page.page import duration, write_page
from benchmarks.results_page.settings import Claim, PageFile, all_claims, read_page
from benchmarks.results_page.stored import Figures, figures_of
from benchmarks.results_page.trainings import Training, read_logs, trainings_of
from facesr_ext.comparison.results import (
    Comparison,
    Cost,
    MethodFacts,
    MetricFacts,
    ResultFolder,
    SetFacts,
    WholeFigure,
)
from facesr_ext.errors import DatasetError, OptionError
from tests.support import ROOT
from tests.test_comparison.test_train import options as compare_options

IMAGES = 40
LOG = """\
Disable distributed.
2026-01-01 10:00:00,100 INFO: faces: 12 images in DIR
\tNumber of train images: 5,386
\tBatch size per gpu: 8
\tWorld size (gpu number): 2
2026-01-01 10:00:01,000 INFO: Machine: CPU x86_64, 2 of 2 threads
2026-01-01 10:00:02,000 INFO: precision: bf16 (auto)
2026-01-01 10:05:00,100 INFO: [a..][epoch:  1, iter:   1,000, lr:(1.000e-03,)] [eta: 0:00:00] l_pix: 4.0e-02
Disable distributed.
2026-01-01 12:00:00,100 INFO: goes on
2026-01-01 12:01:00,100 INFO: [a..][epoch:  2, iter:   1,250, lr:(1.000e-03,)] [eta: 0:00:00] l_pix: 4.0e-02
"""


def comparison(sets: Sequence[str] = ('train', 'test')) -> Comparison:
    """Methods b (worst), a (2 dB better), c (as good as a), on psnr; lower is better in lpips, which b wins."""
    noise = np.random.default_rng(0).normal(0, 0.5, (4, IMAGES))
    base = 25 + noise[0]
    psnr = {
        'b': base,
        'a': base + 2 + 0.1 * noise[1],
        'c': base + 2 + 0.1 * noise[1] + 0.1 * noise[2] - 0.1 * noise[2].mean(),
    }
    values = {name: {'psnr': list(map(float, row)), 'lpips': list(map(float, row / 100))} for name, row in psnr.items()}
    values['b']['psnr'][0] = math.nan
    names = tuple(map(str, range(IMAGES)))
    spread = {'a': {'kid': WholeFigure(0.1, 0.08, 0.12)}, 'b': {'kid': WholeFigure(0.3, 0.2, 0.4)}}
    return Comparison(
        name='tiny',
        reference='b',
        methods=[
            MethodFacts('b', 'Bicubic', 'Bicubic', parameters=0),
            MethodFacts('a', 'A', 'SRCNN', (), 'f' * 64, 10),
            MethodFacts('c', 'C', 'SRCNN', (), 'e' * 64, 10),
            MethodFacts('d', 'D', problem='there is no /home/someone/runs/d: train it'),
        ],
        sets=[SetFacts(name, f'as stored in /home/someone/{name}/LR', 4, names, split=name) for name in sets],
        metrics=[
            MetricFacts('psnr', 'psnr_y', True, 'dB'),
            MetricFacts('lpips', 'lpips_alex', False),
            MetricFacts('kid', 'kid_vgg16', False, whole_set=True),
        ],
        values={name: {m: {k: list(v) for k, v in row.items()} for m, row in values.items()} for name in sets},
        whole=dict.fromkeys(sets, spread),
        costs={name: {'a': Cost(1, 1, (0.2, 0.2)), 'b': Cost(1, 1, (0.01, 0.02))} for name in sets},
        seeds={name: {} for name in sets},
        machine={'device': 'CPU', 'system': 'Linux', 'Command': 'facesr compare -opt /home/someone/tiny.yml'},
    )


def verdict(test: dict[str, Any], found: Comparison | None = None, key: str = 'tiny') -> tuple[str, str, str]:
    """What becomes of a claim with one test."""
    claim = Claim.model_validate({'claim': 'it is so', 'source': 'a report', 'tests': [{'says': 'A', **test}]})
    return decide(claim, {key: figures_of(found or comparison())})


def compared(**given: Any) -> dict[str, Any]:
    return {'compared': {'comparison': 'tiny', 'set': 'test', 'metric': 'psnr', 'method': 'a', **given}}


@pytest.mark.parametrize(
    ('given', 'condition', 'expected', 'why'),
    [
        ({'than': 'b'}, {'better': True}, HOLDS, ''),
        ({'than': 'a', 'method': 'b'}, {'better': True}, FAILS, 'the other way round'),
        ({'than': 'c'}, {'better': True}, FAILS, 'the two cannot be told apart'),
        ({'than': 'b', 'metric': 'lpips'}, {'better': True}, FAILS, 'the other way round'),
        ({'than': 'a', 'method': 'b', 'metric': 'lpips'}, {'better': True}, HOLDS, ''),
        ({'than': 'b', 'metric': 'kid'}, {'better': True}, HOLDS, ''),
        ({'than': 'a', 'method': 'b', 'metric': 'kid'}, {'better': True}, FAILS, 'the other way round'),
        ({'than': 'c', 'metric': 'kid'}, {'better': True}, UNTESTED, '`tiny` has no kid of both'),
        ({'than': 'b'}, {'above': 1.5}, HOLDS, ''),
        ({'than': 'b'}, {'above': 3.0}, FAILS, 'short by 0.9'),
        ({'than': 'b'}, {'below': 1.0}, FAILS, 'above it by 1.0'),
        ({'than': 'c'}, {'within': 0.5}, HOLDS, ''),
        ({'than': 'b'}, {'within': 0.5}, FAILS, 'its interval is not within 0.5 dB of zero'),
        ({}, {'between': [26.0, 28.0]}, HOLDS, ''),
        ({}, {'between': [28.0, 30.0]}, FAILS, 'dB below it'),
        ({'less': 'lpips'}, {'above': 20.0}, HOLDS, ''),
        ({'train': 'train'}, {'above': 0.0}, FAILS, 'within its interval'),
        ({'method': 'd'}, {'above': 0.0}, UNTESTED, 'no run yet of d (`tiny`)'),
        ({'set': 'other'}, {'above': 0.0}, UNTESTED, 'has no figures of the set other'),
        ({'metric': 'ssim'}, {'above': 0.0}, UNTESTED, '`tiny` has no ssim of a'),
        ({'comparison': 'missing'}, {'above': 0.0}, UNTESTED, 'no run yet (`missing`)'),
    ],
)  # fmt: skip
def test_a_claim_is_decided(given: dict[str, Any], condition: dict[str, Any], expected: str, why: str) -> None:
    outcome = verdict({**compared(**given), **condition})
    assert outcome[0] == expected and why in outcome[2]
    assert bool(outcome[1]) == (expected != UNTESTED)


def test_a_figure_is_told_with_its_interval() -> None:
    _, ours, _ = verdict({**compared(than='b'), 'better': True})
    assert ours.startswith('A: +2.0') and ' dB [+' in ours


def test_runs_must_bear_out_a_difference_too() -> None:
    """Over images a is ahead of c by 0.05 each; over runs it is not."""
    found = comparison()
    found.values['test']['c']['psnr'] = [value - 0.05 for value in found.values['test']['a']['psnr']]
    assert verdict({**compared(than='c'), 'better': True}, found)[0] == HOLDS
    found.seeds['test'] = {'a': {'psnr': [26.0, 27.1, 28.0]}, 'c': {'psnr': [26.1, 27.0, 27.85]}}
    outcome = verdict({**compared(than='c'), 'better': True}, found)
    assert outcome[0] == FAILS and 'over runs [' in outcome[1]
    found.seeds['test'] = {'a': {'psnr': [27.0, 27.01, 27.02]}}
    assert verdict({**compared(than='b'), 'better': True}, found)[0] == HOLDS  # bicubic has no weights
    assert 'over runs' not in verdict({**compared(than='c'), 'better': True}, found)[1]


def test_all_tests_must_hold_and_one_that_fails_decides() -> None:
    good = {'says': 'good', **compared(than='b'), 'better': True}
    bad = {'says': 'bad', **compared(than='b'), 'above': 9.0}
    missing = {'says': 'missing', **compared(method='d'), 'above': 0.0}
    known = {'tiny': figures_of(comparison())}
    for tests, expected in (([good], HOLDS), ([good, missing], UNTESTED), ([good, missing, bad], FAILS)):
        claim = Claim.model_validate({'claim': 'x', 'source': 'y', 'tests': tests, 'note': 'mind'})
        outcome = decide(claim, known)
        assert outcome.verdict == expected and outcome.why.endswith('mind')
    assert decide(Claim.model_validate({'claim': 'x', 'source': 'y', 'because': 'no way'}), known).why == 'no way'


def test_times_and_parameters() -> None:
    times = {'speed': {'comparison': 'tiny', 'set': 'test', 'method': 'a', 'than': 'b'}, 'between': [10.0, 20.0]}
    assert verdict(times)[:2] == (HOLDS, 'A: 13.3 times')
    net = {'counted': {'network': {'type': 'SRCNN'}}, 'between': [20099.0, 20099.0]}
    assert verdict(net)[:2] == (HOLDS, 'A: 20,099')


def test_stored_figures_come_back_without_the_machine(tmp_path: Path) -> None:
    stored = figures_of(comparison(), ['slow'])
    stored.write(tmp_path / 'tiny.json')
    text = (tmp_path / 'tiny.json').read_text(encoding='utf-8')
    assert '/home' not in text and 'Linux' not in text and len(text) < 6000
    again = Figures.read(tmp_path / 'tiny.json')
    assert again.remarks == ['slow'] and again.sets['test'].lq == 'as stored in LR'
    apart = again.difference('test', 'psnr', 'a', 'b')
    assert apart is not None and apart.num == IMAGES - 1 and apart.low < 2 < apart.high
    turned = again.difference('test', 'psnr', 'b', 'a')
    assert turned is not None and turned.low == -apart.high
    assert again.gaps['train - test']['a']['psnr'].mean == 0
    again.write(tmp_path / 'again.json')
    assert (tmp_path / 'again.json').read_text(encoding='utf-8') == text
    (tmp_path / 'tiny.json').write_text('{"version": 7}', encoding='utf-8')
    with pytest.raises(DatasetError, match='no figures of a comparison'):
        Figures.read(tmp_path / 'tiny.json')


def test_logs_of_a_training(tmp_path: Path) -> None:
    expected = Training(1250, 16, 5386, 360.0, 'CPU x86_64, 2 of 2 threads', 'bf16')
    assert read_logs([LOG]) == expected and expected.label == 'short CPU training'
    assert read_logs([LOG, LOG]).seconds == 720  # a run that was resumed has several
    assert expected._replace(seconds=30_000).label == '' and duration(30_000) == '8 h 20 min'
    for name in ('run', 'run_seed1'):
        (tmp_path / name / 'models').mkdir(parents=True)
        (tmp_path / name / 'train_x.log').write_text(LOG, encoding='utf-8')
    assert trainings_of(tmp_path / 'run' / 'models' / 'net_g_latest.pth') == [expected] * 2
    (tmp_path / 'logs').mkdir()
    (tmp_path / 'logs' / 'kept.log').write_text(LOG, encoding='utf-8')
    assert trainings_of(tmp_path / 'kept.pth') == [expected] and trainings_of(tmp_path / 'other.pth') == []


def small_page() -> dict[str, Any]:
    """The file of a page with one of everything."""
    table = {
        'title': 'its table',
        'source': 'S9',
        'comparison': 'tiny',
        'set': 'val',
        'metrics': {'psnr_rgb': 'PSNR, dB'},
        'rows': [{'name': 'bicubic', 'theirs': {'psnr_rgb': 27.3}, 'ours': 'bicubic'}, {'name': 'S4', 'ours': 's4'}],
        'differs': ['all'],
    }
    test = {
        'says': 'S4',
        'compared': {'comparison': 'tiny', 'set': 'val', 'metric': 'psnr_rgb', 'method': 's4'},
        'above': 1.0,
    }
    entry = {'file': 'options/compare/s4.yml', 'data': ['datasets:val:dataroot_gt=GT'], 'about': 'tiny'}
    claims = [{'claim': 'c', 'source': 's', 'tests': [test]}]
    return {
        'comparisons': {'tiny': entry},
        'reports': {'S9': {'title': 'nine', 'tables': [table], 'claims': claims}},
    }


def write(page: dict[str, Any], folder: Path) -> Path:
    path = folder / 'page.yml'
    path.write_text(yaml.safe_dump(page, sort_keys=False), encoding='utf-8')
    return path


def in_the_file() -> Comparison:
    """A comparison as s4.yml names it, with bicubic alone."""
    found = comparison(sets=('val',))
    found.name, found.reference, found.methods = (
        'compare_s4',
        'bicubic',
        [MethodFacts('bicubic', 'Bicubic', 'Bicubic', parameters=0)],
    )
    found.metrics = [MetricFacts('psnr_rgb', 'psnr_rgb', True, 'dB')]
    found.values = {'val': {'bicubic': {'psnr_rgb': found.values['val']['a']['psnr']}}}
    found.whole, found.costs, found.seeds = {}, {}, {}
    return found


def test_a_page_says_what_is_missing_and_is_written_alike_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # without runs
    page = read_page(write(small_page(), tmp_path))
    told: list[str] = []
    gathering = Gathering(page, tmp_path / 'results', tmp_path / 'figures', tell=told.append)
    empty = write_page(page, gathering.known())
    assert '| bicubic | 27.30 | not measured yet |\n| S4 | – | not trained yet |' in empty
    assert 'facesr compare -opt options/compare/s4.yml --train --force_yml datasets:val:dataroot_gt=GT' in empty
    assert 'cannot be tested | no run yet (`tiny`)' in empty
    folder = ResultFolder(tmp_path / 'results' / 'compare_s4')
    folder.root.mkdir(parents=True)
    in_the_file().write(folder.root)
    first = write_page(page, gathering.known())
    assert '| bicubic | 27.30 | 2' in first and '| S4 | – | not trained yet |' in first
    assert 'no run yet of s4 (`tiny`)' in first
    assert write_page(page, gathering.known()) == first
    for path in folder.root.iterdir():  # from the stored figures alone
        path.unlink()
    assert write_page(page, gathering.known()) == first and told == []


def test_what_is_missing_is_trained_and_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = small_page()
    file = tmp_path / 'mine.yml'
    file.write_text(yaml.safe_dump(compare_options(espcn={'opt': 'options/espcn.yml'})), encoding='utf-8')
    page['comparisons'] |= {
        'mine': {'file': str(file), 'about': 'a short training'},
        'broken': {'file': str(write({'name': 'x'}, tmp_path)), 'about': 'no comparison'},
    }
    read, told = PageFile.model_validate(page), list[str]()
    gathering = Gathering(read, tmp_path / 'results', tmp_path / 'figures', train=True, tell=told.append)
    known = gathering.known(['mine', 'broken'])
    assert set(known) == {'mine'} and ('faces', 'espcn') in known['mine'].measured
    assert known['mine'].trainings['espcn'][0].iterations == 2
    assert known['mine'].trainings['espcn'][0].label == 'short CPU training'
    assert any(line.startswith('training 1 of 1') for line in told) and any('broken: ' in line for line in told)
    page_before, text = write_page(read, known), (tmp_path / 'figures' / 'mine.json').read_text(encoding='utf-8')
    told.clear()
    assert write_page(read, gathering.known(['mine'])) == page_before
    assert told == ['mine: measuring, 1 of 1 runs are there'] and str(tmp_path) not in text


def test_stored_figures_are_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = read_page(write(small_page(), tmp_path))
    figures, folder = tmp_path / 'figures', ResultFolder(tmp_path / 'results' / 'compare_s4')
    folder.root.mkdir(parents=True)
    figures.mkdir()
    found = in_the_file()
    found.values['val']['more'] = found.values['val']['bicubic']
    found.methods.append(MethodFacts('more', 'More'))
    figures_of(found).write(figures / 'tiny.json')
    in_the_file().write(folder.root)
    told: list[str] = []
    assert 'more' in Gathering(page, tmp_path / 'results', figures, tell=told.append).known()['tiny'].methods
    assert told == ['tiny: the stored figures stay, the new ones do not replace them: they lack more (--replace tiny)']
    replaced = Gathering(page, tmp_path / 'results', figures, replace=['tiny'], remarks={'tiny': 'new'}).known()
    assert 'more' not in replaced['tiny'].methods and replaced['tiny'].remarks == ['new']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'headline': []}, 'headline: unknown key, nothing reads it; did you mean headlines'),
        ({'reports.S9.claims.0.figur': 'x'}, 'figur: unknown key'),
        ({'reports.S9.claims.0.tests.0.abov': 1.0}, 'abov: unknown key'),
        ({'reports.S9.claims.0.tests.0.below': 1.0}, 'must have one of better, above'),
        ({'reports.S9.claims.0.tests.0.compared.comparison': 'tinny'}, "no comparison 'tinny'; did you mean tiny"),
        ({'reports.S9.tables.0.comparison': 'other'}, "there is no comparison 'other'"),
        ({'reports.S9.claims.0.because': 'x'}, 'must have either tests or because'),
        ({'comparisons.tiny.file': 'options/compare/s9.yml'}, 'there is no file options/compare/s9.yml'),
        (
            {'reports.S9.sheets': [{'picture': 'docs/sheets/s9.jpg', 'about': 'x', 'command': 'y'}]},
            'there is no file docs/sheets/s9.jpg',
        ),
    ],
)  # fmt: skip
def test_a_fault_of_the_file_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    page = small_page()
    for key, value in change.items():
        *place, last = key.split('.')
        inner: Any = page
        for part in place:
            inner = inner[int(part)] if part.isdecimal() else inner[part]
        inner[last] = value
    with pytest.raises(OptionError) as caught:
        read_page(write(page, tmp_path))
    assert message in str(caught.value) and 'page.yml:' in str(caught.value)


def test_a_sheet_of_faces_is_shown_with_what_draws_it(tmp_path: Path) -> None:
    page = small_page()
    page['reports']['S9']['sheets'] = [{'picture': 'docs/before_after.jpg', 'about': 'Nine.', 'command': 'draw s9'}]
    text = write_page(read_page(write(page, tmp_path)), {})
    assert '](docs/before_after.jpg)\n\nNine. Command:\n\n```bash\ndraw s9\n```' in text


def test_a_quote_must_stand_on_its_page(tmp_path: Path) -> None:
    page = small_page()
    recorded = {'page': 'docs/measured.md', 'quote': 'nobody has written this', 'value': 1.0, 'protocol': 'none'}
    page['reports']['S9']['claims'][0]['tests'] = [{'says': 'x', 'recorded': recorded, 'above': 0.0}]
    with pytest.raises(OptionError, match='does not have the words'):
        read_page(write(page, tmp_path))


def test_overrides_name_their_comparison() -> None:
    page = PageFile.model_validate(small_page())
    assert by_key(['tiny:a:b=1', 'tiny:c=2'], page, '--force_yml', ':') == {'tiny': ['a:b=1', 'c=2']}
    with pytest.raises(OptionError, match='begin with one of tiny'):
        by_key(['tin:a=1'], page, '--force_yml', ':')


def test_the_page_in_the_repository_is_written_from_what_is_stored_there() -> None:
    page = read_page(PAGE)
    known = {path.stem: Figures.read(path) for path in FIGURES.glob('*.json')}
    assert set(known) <= set(page.comparisons)
    text = (ROOT / 'RESULTS.md').read_text(encoding='utf-8')
    assert text == write_page(page, known), 'write it anew: python -m benchmarks.results -o RESULTS.md'
    assert '/home' not in text and '/tmp' not in text
    assert set(page.reports) == {'S0', 'S1', 'S2', 'S3', 'S4'}
    assert all(claim.source for _, claim in all_claims(page))
    for path in FIGURES.glob('*.json'):
        assert path.stat().st_size < 40_000 and json.loads(path.read_text(encoding='utf-8'))['version'] == 1
