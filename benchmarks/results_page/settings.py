"""What ``benchmarks/results.yml`` may say: comparisons, each report's tables and claims, and the headlines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from facesr_ext.check.examine import refuse_faults
from facesr_ext.errors import Finding, KeyPath, hint
from facesr_ext.host.source import OptionFile
from facesr_ext.settings.kinds import option
from facesr_ext.settings.reading import Section, faults

ROOT = Path(__file__).resolve().parents[2]
"""The repository: files that the page names lie below it."""
_CONDITIONS = ('better', 'above', 'below', 'between', 'within')


class ComparisonEntry(Section):
    """A file of ``facesr compare``, and what its figures stand on."""

    file: str = option('the file: options/compare/NAME.yml', ...)
    data: list[str] = option(
        'overrides that name the real photographs, as a reader writes them, folders in capitals', []
    )
    training: list[str] = option('further overrides of a training: the photographs to train on', [])
    about: str = option('what it compares, in a line', ...)


class Compared(Section):
    """A figure of a comparison: of a method, or of a method less something."""

    comparison: str = option('key of the comparison', ...)
    set: str = option('name of the set', ...)
    metric: str = option('name of the metric', ...)
    method: str = option('name of the method', ...)
    than: str | None = option('less this method, image by image')
    less: str | None = option('less this metric of the same method')
    train: str | None = option('name of the training set: its mean less that of `set`')

    @model_validator(mode='after')
    def _one_difference(self) -> Compared:
        if sum(value is not None for value in (self.than, self.less, self.train)) > 1:
            raise ValueError('may have one of than, less and train')
        return self


class Recorded(Section):
    """A figure that a page of the documentation tells, with its command there."""

    page: str = option('file below the repository', ...)
    quote: str = option('words or cells of the page that have the figure, as they stand there', ...)
    value: float = option('the figure', ...)
    low: float | None = option('lower end of its interval')
    high: float | None = option('upper end of its interval')
    unit: str = option('its unit', '')
    protocol: str = option('what it stands on, in a few words: training, images', ...)

    @model_validator(mode='after')
    def _both_ends(self) -> Recorded:
        if (self.low is None) != (self.high is None):
            raise ValueError('must have both low and high, or neither')
        return self


class Speed(Section):
    """How many times as long a method takes as another, by the medians of single images."""

    comparison: str = option('key of the comparison', ...)
    set: str = option('name of the set', ...)
    method: str = option('the slower one', ...)
    than: str = option('the faster one', ...)


class Counted(Section):
    """The parameters of a network, counted when the page is written."""

    network: dict[str, object] = option('as network_g or network_d of an option file', ...)
    buffers: bool = option("with BatchNorm's means and variances, as Keras counts", False)


class Test(Section):
    """One figure and what it must be."""

    says: str = option('what the figure is of, in a few words', ...)
    compared: Compared | None = option('of a comparison')
    recorded: Recorded | None = option('of a page')
    speed: Speed | None = option('a ratio of times')
    counted: Counted | None = option('a number of parameters')
    better: Literal[True] | None = option("of a difference: the method is the better one by the metric's direction")
    above: float | None = option('its interval lies above this; without one, the figure does')
    below: float | None = option('its interval lies below this; without one, the figure does')
    between: list[float] | None = option('the figure, its mean, lies between these two', min_length=2, max_length=2)
    within: float | None = option('its interval lies within this of zero, on both sides: a tie', gt=0)

    @model_validator(mode='after')
    def _one_of_each(self) -> Test:
        figures = [key for key in ('compared', 'recorded', 'speed', 'counted') if getattr(self, key) is not None]
        conditions = [key for key in _CONDITIONS if getattr(self, key) is not None]
        if len(figures) != 1:
            raise ValueError(
                f'must have one of compared, recorded, speed and counted, not {" and ".join(figures) or "none"}'
            )
        if len(conditions) != 1:
            raise ValueError(f'must have one of {", ".join(_CONDITIONS)}, not {" and ".join(conditions) or "none"}')
        if self.better and not (self.compared and self.compared.than):
            raise ValueError('has better, which is for a compared figure with than')
        return self


class Claim(Section):
    """Something that a report says, and what decides whether it holds here."""

    claim: str = option('what it says', ...)
    source: str = option('who says it, and where that was read', ...)
    figure: str = option('its figure, as it stands there', '')
    tests: list[Test] = option('what decides: it holds where all do', [])
    because: str = option('why nothing decides it, where there are no tests', '')
    note: str = option('what a reader has to know besides', '')

    @model_validator(mode='after')
    def _tests_or_reason(self) -> Claim:
        if bool(self.tests) == bool(self.because):
            raise ValueError('must have either tests or because')
        return self


class TableRow(Section):
    """A row of a report's table, and which method of ours stands beside it."""

    name: str = option('what the report calls it', ...)
    theirs: dict[str, float] = option('metric -> its figure', {})
    ours: str | None = option('name of our method; default: none')


class ReportTable(Section):
    """A table of a report, and the set of a comparison that stands beside it."""

    title: str = option('above it', ...)
    source: str = option('where its figures were read', ...)
    comparison: str | None = option('key of the comparison; default: none, the command says what makes its figures')
    set: str | None = option('name of the set')
    metrics: dict[str, str] = option('metric -> head of its columns', ..., min_length=1)
    rows: list[TableRow] = option('in the order of the report', ..., min_length=1)
    differs: list[str] = option('what differs in data and protocol', ..., min_length=1)
    command: str = option('without a comparison: what makes our figures', '')

    @model_validator(mode='after')
    def _has_a_source(self) -> ReportTable:
        if (self.comparison is None) != (self.set is None) or (self.comparison is None) != bool(self.command):
            raise ValueError('must have comparison and set, or command')
        return self


class Quoted(Section):
    """A table that a page of the documentation has, shown as it stands there."""

    page: str = option('file below the repository', ...)
    head: str = option('how the line of its head begins', ...)
    about: str = option('what it shows, and on what it stands', ...)
    command: str = option('what makes it', ...)


class Sheet(Section):
    """Faces that may be shown, as the methods of a comparison make them."""

    picture: str = option('file below the repository', ...)
    about: str = option('what it shows, and what is to be seen in it', ...)
    command: str = option('what draws it', ...)


class Report(Section):
    """A report."""

    title: str = option('what it is about', ...)
    tables: list[ReportTable] = option('its tables', [])
    quoted: list[Quoted] = option('tables of the documentation that stand beside one of its own', [])
    sheets: list[Sheet] = option('faces', [])
    claims: list[Claim] = option('its claims', ..., min_length=1)


class PublishedGroup(Section):
    """Rows of others that stand on one protocol."""

    protocol: str = option('data, training and metric', ...)
    source: str = option('where they were read', ...)
    bicubic: dict[str, float] = option("bicubic's figures in the same table", {})
    rows: dict[str, dict[str, float]] = option('method -> metric -> figure', ..., min_length=1)
    parameters: dict[str, str] = option('method -> its parameters, as read', {})


class Beside(Section):
    """Methods of a comparison beside published rows: what each gains over the bicubic of its own table."""

    comparison: str = option('key of the comparison', ...)
    set: str = option('name of the set', ...)
    metrics: dict[str, str] = option(
        'metric -> head of its column; the first is the one whose gain is told', ..., min_length=1
    )
    bicubic: str = option('name of our bicubic', 'bicubic')
    methods: list[str] = option('our methods', ..., min_length=1)
    published: list[PublishedGroup] = option('others', [])


class Headline(Section):
    """What a reader looks for first."""

    title: str = option('above it', ...)
    says: list[str] = option('paragraphs: what differs in data and protocol', [])
    beside: list[Beside] = option('our figures beside published ones', [])
    quoted: list[Quoted] = option('tables of the documentation', [])
    goals: list[Claim] = option('what was to be reached', [])


class PageFile(Section):
    """The whole file."""

    comparisons: dict[str, ComparisonEntry] = option('key -> comparison', ..., min_length=1)
    headlines: list[Headline] = option('in their order', [])
    reports: dict[str, Report] = option('name -> report', ..., min_length=1)


def read_page(path: Path) -> PageFile:
    """The file as a typed object.

    Args:
        path (Path): ``benchmarks/results.yml``, or another of its kind.

    Raises:
        OptionError: naming everything that is wrong, with its line: unknown keys, comparisons that are not listed,
            quotes that do not stand on their page.
    """
    source = OptionFile.read(str(path))
    found = list(source.problems)
    found += [_finding(source, fault.key, fault.message) for fault in faults(PageFile, dict(source.options))]
    if not found:
        page = PageFile.model_validate(dict(source.options))
        found = [_finding(source, key, message) for key, message in (*_unknown(page), *_misquoted(page))]
    refuse_faults(str(path), found)
    return page


def all_claims(page: PageFile) -> Iterator[tuple[KeyPath, Claim]]:
    """Every claim and goal, with its key."""
    for name, report in page.reports.items():
        for number, claim in enumerate(report.claims):
            yield ('reports', name, 'claims', str(number)), claim
    for place, headline in enumerate(page.headlines):
        for number, claim in enumerate(headline.goals):
            yield ('headlines', str(place), 'goals', str(number)), claim


def quoted_table(quoted: Quoted) -> list[str]:
    """The lines of a table of a page; empty where the page has none of that head."""
    lines = (ROOT / quoted.page).read_text(encoding='utf-8').splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith(quoted.head)), None)
    if start is None:
        return []
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith('|')), len(lines))
    return lines[start:end]


def _finding(source: OptionFile, key: KeyPath, message: str) -> Finding:
    return Finding('error', message, key, source.where(key), source.line(key))


def _unknown(page: PageFile) -> Iterator[tuple[KeyPath, str]]:
    """Comparisons that are named and not listed, and files that are not there."""
    for name, entry in page.comparisons.items():
        if not (ROOT / entry.file).is_file():
            yield ('comparisons', name, 'file'), f'there is no file {entry.file}'
    named: list[tuple[KeyPath, str | None]] = []
    for name, report in page.reports.items():
        named += [(('reports', name, 'tables', str(i)), table.comparison) for i, table in enumerate(report.tables)]
    for i, headline in enumerate(page.headlines):
        named += [(('headlines', str(i), 'beside', str(j)), one.comparison) for j, one in enumerate(headline.beside)]
    for key, claim in all_claims(page):
        for i, test in enumerate(claim.tests):
            figure = test.compared or test.speed
            named.append(((*key, 'tests', str(i)), figure.comparison if figure else None))
    for name, report in page.reports.items():
        for i, sheet in enumerate(report.sheets):
            if not (ROOT / sheet.picture).is_file():
                yield ('reports', name, 'sheets', str(i), 'picture'), f'there is no file {sheet.picture}'
    for key, comparison in named:
        if comparison is not None and comparison not in page.comparisons:
            yield key, f'there is no comparison {comparison!r}; {hint(comparison, page.comparisons)}'


def _misquoted(page: PageFile) -> Iterator[tuple[KeyPath, str]]:
    """Quotes that do not stand on their page: the page has other figures by now."""
    for key, claim in all_claims(page):
        for i, test in enumerate(claim.tests):
            if test.recorded is not None and not _stands(test.recorded):
                where = (*key, 'tests', str(i), 'recorded')
                yield (
                    where,
                    f'{test.recorded.page} does not have the words {test.recorded.quote!r}; see what it says now',
                )
    shown = [(('headlines', str(i)), headline.quoted) for i, headline in enumerate(page.headlines)]
    shown += [(('reports', name), report.quoted) for name, report in page.reports.items()]
    for place, several in shown:
        for j, quoted in enumerate(several):
            if not (ROOT / quoted.page).is_file() or not quoted_table(quoted):
                yield (*place, 'quoted', str(j)), f'{quoted.page} has no table whose head begins with {quoted.head!r}'


def _stands(recorded: Recorded) -> bool:
    path = ROOT / recorded.page
    return path.is_file() and _plain(recorded.quote) in _plain(path.read_text(encoding='utf-8'))


def _plain(text: str) -> str:
    return re.sub(r'\s+', ' ', text)
