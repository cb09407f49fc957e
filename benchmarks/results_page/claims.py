"""Whether a claim holds, by the figures that there are."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Literal, NamedTuple

import torch
from basicsr.archs import build_network
from scipy import stats

from benchmarks.results_page.settings import Claim, Compared, Counted, Recorded, Speed, Test
from benchmarks.results_page.stored import Figures
from facesr_ext.comparison.figures import interval, number
from facesr_ext.comparison.statistics import Interval

Verdict = Literal['holds', 'does not hold', 'cannot be tested']
HOLDS: Verdict = 'holds'
FAILS: Verdict = 'does not hold'
UNTESTED: Verdict = 'cannot be tested'
_DECIMALS = {'dB': 2, '%': 2, 'px': 3, 'levels': 1, 'times': 1, '': 4}


class Figure(NamedTuple):
    """A figure of ours.

    Attributes:
        value (Interval): It; ends are NaN where it has no interval.
        unit (str): 'dB', ...
        signed (bool): Whether it is a difference, shown with its sign.
        higher_is_better (bool | None): Direction of its metric.
        seeds (Interval | None): Of a difference of methods that were trained several times: the interval over runs.
        stands_on (str): Where it comes from, in words.
        apart (bool | None): Of whole sets, which have no paired difference: whether the spreads lie apart.
    """

    value: Interval
    unit: str = ''
    signed: bool = False
    higher_is_better: bool | None = None
    seeds: Interval | None = None
    stands_on: str = ''
    apart: bool | None = None


class Outcome(NamedTuple):
    """What became of a test or of a claim.

    Attributes:
        verdict (str): 'holds', 'does not hold' or 'cannot be tested'.
        ours (str): Our figures, one line; '' where there are none.
        why (str): The reason, one line; '' where the figure says all.
    """

    verdict: Verdict
    ours: str
    why: str


def decide(claim: Claim, known: Mapping[str, Figures]) -> Outcome:
    """What becomes of a claim: it holds where all of its tests do, and fails where one fails.

    Args:
        claim (Claim): It.
        known (Mapping): Key of a comparison -> its figures, of those that there are.
    """
    if not claim.tests:
        return Outcome(UNTESTED, '', claim.because)
    outcomes = [decide_test(test, known) for test in claim.tests]
    verdicts = {outcome.verdict for outcome in outcomes}
    verdict = next(one for one in (FAILS, UNTESTED, HOLDS) if one in verdicts)
    ours = '; '.join(outcome.ours for outcome in outcomes if outcome.ours)
    reasons = dict.fromkeys(outcome.why for outcome in outcomes if outcome.why and outcome.verdict == verdict)
    return Outcome(verdict, ours, '; '.join([*reasons, *([claim.note] if claim.note else [])]))


def decide_test(test: Test, known: Mapping[str, Figures]) -> Outcome:
    """What becomes of one test."""
    found = _figure(test, known)
    if isinstance(found, str):
        return Outcome(UNTESTED, '', found)
    verdict, why = _judged(test, found)
    shown = figure_text(found)
    told = f'{test.says}: {shown}' + (f' ({found.stands_on})' if found.stands_on else '')
    return Outcome(verdict, told, why)


def figure_text(figure: Figure) -> str:
    """A figure with its unit and interval."""
    places = _DECIMALS.get(figure.unit, 2)
    if not figure.unit and math.isnan(figure.value.low) and figure.value.mean.is_integer():
        return f'{int(figure.value.mean):,}'
    if figure.unit == 'times' and figure.value.mean < 1:
        places = 2
    ends = interval(figure.value, places, figure.signed)
    unit = f' {figure.unit}' if figure.unit else ''
    text = f'{number(figure.value.mean, places, figure.signed)}{unit}{f" {ends}" if ends else ""}'
    if figure.seeds is not None:
        text += f', over runs {interval(figure.seeds, places, True)}'
    return text


def _figure(test: Test, known: Mapping[str, Figures]) -> Figure | str:
    """The figure of a test; why there is none, otherwise."""
    if test.recorded is not None:
        return _recorded(test.recorded)
    if test.counted is not None:
        return Figure(Interval(_count(test.counted), math.nan, math.nan, 1))
    if test.speed is not None:
        return _times(test.speed, known)
    assert test.compared is not None
    found = _compared(test.compared, known)
    return found if isinstance(found, str) else found._replace(stands_on=_label(test.compared, known))


def _recorded(one: Recorded) -> Figure:
    low, high = (math.nan if end is None else end for end in (one.low, one.high))
    return Figure(Interval(one.value, low, high, 1), one.unit, stands_on=f'{one.protocol}; {one.page}')


def _count(one: Counted) -> float:
    """Parameters of a network, which is built without memory for its weights."""
    with torch.device('meta'), redirect_stdout(io.StringIO()):  # BasicSR tells which of its own parts it takes
        net = build_network(dict(one.network))
    count = sum(weight.numel() for weight in net.parameters())
    if one.buffers:
        count += sum(buffer.numel() for buffer in net.buffers() if buffer.is_floating_point())
    return float(count)


def _times(one: Speed, known: Mapping[str, Figures]) -> Figure | str:
    problem = _lacks(one.comparison, one.set, (one.method, one.than), known)
    if problem:
        return problem
    seconds = known[one.comparison].seconds.get(one.set, {})
    if not {one.method, one.than} <= set(seconds):
        return f'no times of {one.method} and {one.than} in `{one.comparison}`'
    return Figure(Interval(seconds[one.method][1] / seconds[one.than][1], math.nan, math.nan, 1), 'times')


def _label(one: Compared, known: Mapping[str, Figures]) -> str:
    """What is to be said of the trainings of the methods of a figure: 'short GPU training', or nothing."""
    trainings = known[one.comparison].trainings
    runs = [run for name in (one.method, one.than) if name for run in trainings.get(name, [])]
    return next((run.label for run in runs if run.label), '')


def _compared(one: Compared, known: Mapping[str, Figures]) -> Figure | str:
    problem = _lacks(one.comparison, one.set, (one.method, *([one.than] if one.than else [])), known)
    if not problem and one.train:
        problem = _lacks(one.comparison, one.train, (one.method,), known)
    if problem:
        return problem
    figures = known[one.comparison]
    missing = [name for name in (one.metric, one.less) if name and name not in figures.means[one.set][one.method]]
    if missing:
        return f'`{one.comparison}` has no {" and no ".join(missing)} of {one.method}'
    metric = figures.metrics[one.metric]
    mean = figures.means[one.set][one.method][one.metric]
    if one.than:
        return _difference(one, figures)
    if one.less:
        other = figures.means[one.set][one.method][one.less]
        return Figure(Interval(mean.mean - other.mean, math.nan, math.nan, mean.num), metric.unit, True)
    if one.train:
        gap = figures.gaps.get(f'{one.train} - {one.set}', {}).get(one.method, {}).get(one.metric)
        if gap is None:
            return f'`{one.comparison}` has no gap of {one.train} and {one.set}'
        return Figure(gap, metric.unit, True, metric.higher_is_better)
    return Figure(mean, metric.unit, higher_is_better=metric.higher_is_better)


def _difference(one: Compared, figures: Figures) -> Figure | str:
    assert one.than is not None
    metric, of_set = figures.metrics[one.metric], figures.means[one.set]
    apart = figures.difference(one.set, one.metric, one.method, one.than)
    if apart is None:
        first, second = of_set[one.method].get(one.metric), of_set[one.than].get(one.metric)
        if first is None or second is None:
            return f'`{one.comparison}` has no {one.metric} of both'
        value = Interval(first.mean - second.mean, math.nan, math.nan, first.num)
        away = first.low > second.high or first.high < second.low
        return Figure(value, metric.unit, True, metric.higher_is_better, apart=away)
    return Figure(apart, metric.unit, True, metric.higher_is_better, seeds_interval(one, figures))


def seeds_interval(one: Compared, figures: Figures) -> Interval | None:
    """The interval of a difference over runs, by Student's t (Welch's where both were trained several times).

    Returns:
        Interval | None: None where a network with weights was trained once: then nothing is known of its spread.
    """
    assert one.than is not None
    runs = [figures.seeds.get(one.set, {}).get(name, {}).get(one.metric, []) for name in (one.method, one.than)]
    several = [len(run) > 1 for run in runs]
    if all(several):
        known = stats.ttest_ind(*runs, equal_var=False)
        ends = known.confidence_interval(0.95)
    elif any(several):
        name = (one.method, one.than)[several.index(False)]
        if figures.methods[name].parameters != 0:
            return None
        fixed = figures.means[one.set][name][one.metric].mean
        sign, varied = (1, runs[0]) if several[0] else (-1, runs[1])
        ends = stats.ttest_1samp([sign * (value - fixed) for value in varied], 0).confidence_interval(0.95)
    else:
        return None
    if not math.isfinite(ends.low):  # runs that are all alike
        return None
    return Interval((ends.low + ends.high) / 2, float(ends.low), float(ends.high), min(map(len, runs)))


def _lacks(key: str, set_name: str, methods: tuple[str, ...], known: Mapping[str, Figures]) -> str:
    """Why a comparison has no figures of methods on a set; '' where it has."""
    if key not in known:
        return f'no run yet (`{key}`)'
    figures = known[key]
    if set_name not in figures.means:
        return f'`{key}` has no figures of the set {set_name}'
    missing = [name for name in methods if name not in figures.means[set_name]]
    return f'no run yet of {" and ".join(missing)} (`{key}`)' if missing else ''


def _judged(test: Test, figure: Figure) -> tuple[Verdict, str]:
    """Whether a figure is what it must be; where it is not, how far it is off."""
    value, unit = figure.value, f' {figure.unit}' if figure.unit else ''
    places = _DECIMALS.get(figure.unit, 2)
    if test.better:
        if figure.higher_is_better is None:
            return UNTESTED, 'neither direction of the metric is better'
        return _better(figure)
    ends = [end for one in (value, figure.seeds) if one is not None for end in (one.low, one.high)]
    known = [end for end in ends if not math.isnan(end)] or [value.mean]
    if test.within is not None:
        if max(map(abs, known)) < test.within:
            return HOLDS, ''
        return FAILS, f'{"its interval" if len(known) > 1 else "it"} is not within {test.within:g}{unit} of zero'
    if test.between is not None:
        low, high = test.between
        if low <= value.mean <= high:
            return HOLDS, ''
        off = value.mean - high if value.mean > high else value.mean - low
        return FAILS, f'{number(abs(off), places)}{unit} {"above" if off > 0 else "below"} it'
    bound, side = (test.above, 1) if test.above is not None else (test.below, -1)
    assert bound is not None
    if (min(known) > bound) if side == 1 else (max(known) < bound):
        return HOLDS, ''
    off = value.mean - bound
    inside = min(known) <= bound <= max(known) and len(known) > 1
    told = f'{"short" if off < 0 else "above it"} by {number(abs(off), places)}{unit}' if off else 'no difference'
    return FAILS, told + (', within its interval' if inside else '')


def _better(figure: Figure) -> tuple[Verdict, str]:
    """Whether a difference lies on the better side of zero, over images and, where known, over runs."""
    sign = 1 if figure.higher_is_better else -1
    mean, intervals = sign * figure.value.mean, [figure.value]
    if figure.apart is not None:
        if figure.apart and mean > 0:
            return HOLDS, ''
        return FAILS, 'the other way round' if figure.apart else 'the two cannot be told apart (their spreads overlap)'
    if figure.seeds is not None:
        intervals.append(figure.seeds)
    if all(min(sign * one.low, sign * one.high) > 0 for one in intervals):
        return HOLDS, ''
    if all(max(sign * one.low, sign * one.high) < 0 for one in intervals):
        return FAILS, 'the other way round'
    if any(math.isnan(one.low) for one in intervals):
        return UNTESTED, 'a difference of a single image has no interval'
    return FAILS, 'the two cannot be told apart'
