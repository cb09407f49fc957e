"""The page itself, as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmarks.results_page.claims import FAILS, HOLDS, UNTESTED, Figure, Outcome, decide, figure_text
from benchmarks.results_page.settings import (
    ROOT,
    Beside,
    Claim,
    ComparisonEntry,
    Headline,
    PageFile,
    PublishedGroup,
    Quoted,
    Report,
    ReportTable,
    Sheet,
    quoted_table,
)
from benchmarks.results_page.stored import Figures
from benchmarks.results_page.trainings import Training
from facesr_ext.comparison.figures import NONE, large
from facesr_ext.comparison.statistics import Interval
from facesr_ext.host.source import OptionFile

NOT_TRAINED = 'not trained yet'
NOT_MEASURED = 'not measured yet'
_WIDTH = 120
_MARKS = {HOLDS: '**holds**', FAILS: '**does not hold**', UNTESTED: 'cannot be tested'}

HEAD = """\
What the reports and papers say, and what came out here, written by

```bash
python -m benchmarks.results -o RESULTS.md    # --train: also train what is missing, one run after the other
```

which can be stopped and begun again at any time: what is trained, measured or stored in `benchmarks/figures/` is kept.
Do not edit the page by hand; `benchmarks/results.yml` says what stands on it. **A figure without its run is not
shown**: where there is none, a row says so, and [Commands](#commands) tells what makes it.

Figures are means over images with their 95 % interval (bootstrap); differences are taken image by image. A claim
*holds* where the interval of every figure that decides it lies on its side (of one without an interval, the figure); a
tie does not. Where a method was trained several times, the interval over runs has to lie there, too. Of methods that
were trained once, the spread of training is not in any interval. Every figure of a comparison is of the last
checkpoint of a run: none is picked by the images that it is tested on. A training of less than six hours is labelled
short: its figures tell what such a training gives, not what the method can do.
"""


def write_page(page: PageFile, known: Mapping[str, Figures]) -> str:
    """The page.

    Args:
        page (PageFile): What is to stand on it.
        known (Mapping): Key of a comparison -> its figures, of those that there are.
    """
    outcomes = {name: [decide(claim, known) for claim in report.claims] for name, report in page.reports.items()}
    lines = ['# Results', '', *HEAD.splitlines(), '', *_summary(outcomes)]
    if page.headlines:
        lines += ['', '## Headlines']
    for headline in page.headlines:
        lines += _headline(headline, page, known)
    lines += ['', '## Claims']
    for name, report in page.reports.items():
        lines += ['', f'### Claims of {name}', '', *_claims(report.claims, outcomes[name], name)]
    for name, report in page.reports.items():
        lines += _report(name, report, page, known)
    lines += _commands(page, known)
    lines += _hardware(page, known)
    return '\n'.join(lines) + '\n'


def _summary(outcomes: Mapping[str, Sequence[Outcome]]) -> list[str]:
    rows = []
    for name, of_report in [*outcomes.items(), ('all', [one for several in outcomes.values() for one in several])]:
        counts = [sum(one.verdict == verdict for one in of_report) for verdict in (HOLDS, FAILS, UNTESTED)]
        rows.append([name, str(len(of_report)), *map(str, counts)])
    return _table(['report', 'claims', 'hold', 'do not hold', 'cannot be tested'], rows, right=True)


def _claims(claims: Sequence[Claim], outcomes: Sequence[Outcome], name: str = '') -> list[str]:
    rows = [
        [f'{name}.{number}', _inline(claim.claim), _inline(claim.source), _inline(claim.figure) or NONE]
        + [_inline(outcome.ours) or NONE, _MARKS[outcome.verdict], _inline(outcome.why) or NONE]
        for number, (claim, outcome) in enumerate(zip(claims, outcomes, strict=True), 1)
    ]
    return _table(['#', 'claim', 'source', 'its figure', 'ours', 'verdict', 'why'], rows)


def _headline(headline: Headline, page: PageFile, known: Mapping[str, Figures]) -> list[str]:
    lines = ['', f'### {headline.title}']
    for text in headline.says:
        lines += ['', *_wrapped(text)]
    for one in headline.beside:
        lines += ['', *_beside(one, page, known), *_made_by(one.comparison, one.set, one.methods, page, known)]
    lines += [line for quoted in headline.quoted for line in _quoted(quoted)]
    if headline.goals:
        lines += ['', *_goals(headline.goals, [decide(goal, known) for goal in headline.goals])]
    return lines


def _quoted(quoted: Quoted) -> list[str]:
    lines = ['', *_wrapped(quoted.about), '', *quoted_table(quoted)]
    return [*lines, '', *_wrapped(f'As {_link(quoted.page)} has it. Command:'), *_block(quoted.command)]


def _goals(goals: Sequence[Claim], outcomes: Sequence[Outcome]) -> list[str]:
    words = {HOLDS: '**reached**', FAILS: '**not reached**', UNTESTED: 'cannot be tested'}
    rows = [
        [_inline(goal.claim), _inline(goal.figure) or NONE, _inline(outcome.ours) or NONE, words[outcome.verdict]]
        + [_inline(outcome.why) or NONE]
        for goal, outcome in zip(goals, outcomes, strict=True)
    ]
    return _table(['to be reached', 'figure', 'ours', 'verdict', 'gap, or why'], rows)


def _beside(one: Beside, page: PageFile, known: Mapping[str, Figures]) -> list[str]:
    """Our methods, then others in the order of their protocols, each with what it gains over its own bicubic."""
    first = next(iter(one.metrics))
    figures, methods = known.get(one.comparison), methods_of(page.comparisons[one.comparison])
    rows = []
    for name in (one.bicubic, *one.methods):
        label, missing = methods.get(name, (name, NOT_TRAINED))
        parameters, cells, gain = NONE, [missing] * len(one.metrics), NONE
        if figures is not None and (one.set, name) in figures.measured:
            parameters = large(figures.methods[name].parameters) if figures.methods[name].parameters else NONE
            cells = [_mean(figures, one.set, name, metric) for metric in one.metrics]
            apart = figures.difference(one.set, first, name, one.bicubic) if name != one.bicubic else None
            gain = _bare(apart, figures.metrics[first].unit, True) if apart is not None else NONE
        rows.append([f'**{_inline(label)}**, here', parameters, *cells, gain, 'ours'])
    for number, group in enumerate(one.published, 1):
        rows += _published(group, number, first, one.metrics)
    lines = _table(['method', 'parameters', *one.metrics.values(), 'over bicubic, dB', 'protocol'], rows)
    for number, group in enumerate(one.published, 1):
        lines += ['', *_wrapped(f'Protocol {number}: {group.protocol}. Source: {group.source}.')]
    return lines


def _published(group: PublishedGroup, number: int, first: str, metrics: Mapping[str, str]) -> Iterator[list[str]]:
    base = group.bicubic.get(first)
    everyone = {**({'bicubic': group.bicubic} if group.bicubic else {}), **group.rows}
    for method, row in everyone.items():
        gain = f'{row[first] - base:+.2f}' if base is not None and first in row and method != 'bicubic' else NONE
        cells = [_theirs(row, metric, head) for metric, head in metrics.items()]
        yield [_inline(method), group.parameters.get(method, NONE), *cells, gain, str(number)]


def _report(name: str, report: Report, page: PageFile, known: Mapping[str, Figures]) -> list[str]:
    lines = ['', f'## {name}', '', *_wrapped(report.title)]
    for table in report.tables:
        lines += ['', f'### {name}: {table.title}', '', *_report_table(table, page, known)]
        lines += ['', *_wrapped(f'Source: {table.source}. What differs:'), '']
        lines += [line for text in table.differs for line in _item(text)]
        if table.comparison is None:
            lines += ['', 'Command:', *_block(table.command)]
        else:
            ours = [row.ours for row in table.rows if row.ours]
            assert table.set is not None
            lines += _made_by(table.comparison, table.set, ours, page, known)
    lines += [line for quoted in report.quoted for line in _quoted(quoted)]
    return [*lines, *(line for sheet in report.sheets for line in _sheet(name, sheet))]


def _sheet(name: str, sheet: Sheet) -> list[str]:
    picture = f'![{name}: faces by each method, a method a column]({sheet.picture})'
    return ['', picture, '', *_wrapped(f'{sheet.about} Command:'), *_block(sheet.command)]


def _report_table(table: ReportTable, page: PageFile, known: Mapping[str, Figures]) -> list[str]:
    figures = known.get(table.comparison or '')
    methods = methods_of(page.comparisons[table.comparison]) if table.comparison else {}
    published = {metric for row in table.rows for metric in row.theirs}
    heads, rows = [''], [[_inline(row.name)] for row in table.rows]
    for metric, head in table.metrics.items():
        heads += [f'{head}, theirs', f'{head}, ours'] if metric in published else [f'{head}, ours']
        for row, cells in zip(table.rows, rows, strict=True):
            cells += [_theirs(row.theirs, metric, head)] if metric in published else []
            cells.append(_ours(table, row.ours, metric, figures, methods))
    return _table(heads, rows)


def _ours(
    table: ReportTable, name: str | None, metric: str, figures: Figures | None, methods: Mapping[str, tuple[str, str]]
) -> str:
    if name is None:
        return NOT_TRAINED if table.comparison is None else NONE
    if figures is None or table.set is None or (table.set, name) not in figures.measured:
        return methods.get(name, (name, NOT_TRAINED))[1]
    return _mean(figures, table.set, name, metric)


def _mean(figures: Figures, set_name: str, method: str, metric: str) -> str:
    known = figures.means[set_name][method].get(metric)
    return NONE if known is None else _bare(known, figures.metrics[metric].unit)


def _bare(value: Interval, unit: str, signed: bool = False) -> str:
    """A figure under a head that has its unit."""
    text = figure_text(Figure(value, unit, signed))
    return text.replace(f' {unit}', '', 1) if unit else text


def _theirs(row: Mapping[str, float], metric: str, head: str) -> str:
    """A published figure: at least two decimals where it has a unit."""
    if metric not in row:
        return NONE
    text = str(row[metric])
    return f'{row[metric]:.2f}' if ', ' in head and len(text.partition('.')[2]) < 2 else text


def methods_of(entry: ComparisonEntry) -> dict[str, tuple[str, str]]:
    """Method -> what a comparison's file calls it, and what it lacks where it has no figures."""
    options = OptionFile.read(str(ROOT / entry.file)).options
    found = {}
    for name, section in (options.get('methods') or options.get('degradations') or {}).items():
        trained = str(section.get('opt', '')).startswith('options/') and '/test/' not in section['opt']
        found[str(name)] = (str(section.get('label') or name), NOT_TRAINED if trained else NOT_MEASURED)
    return found


def _made_by(key: str, set_name: str, names: Sequence[str], page: PageFile, known: Mapping[str, Figures]) -> list[str]:
    """What our figures of a table stand on, and what makes those that are missing."""
    entry, figures = page.comparisons[key], known.get(key)
    methods = methods_of(entry)
    there = [name for name in names if figures is not None and (set_name, name) in figures.measured]
    lines = []
    if figures is not None and there:
        one = figures.sets[set_name]
        text = f'Ours (`{key}`): {one.images} images, scale {one.scale}; LQ: {one.lq}. Measured on '
        text += f'{figures.machine.get("device", "a machine that is not known")}. Command:'
        lines += ['', *_wrapped(text), *_block(compare_command(entry))]
        if told := [line for name in there for line in _trained(figures, name)]:
            lines += ['', *told]
    if missing := [methods.get(name, (name, ''))[0] for name in names if name not in there]:
        lines += ['', *_wrapped(f'{NOT_TRAINED.capitalize()}, or not measured: {"; ".join(missing)}. Command:')]
        lines += _block(compare_command(entry, train=True))
    return lines


def _trained(figures: Figures, method: str) -> list[str]:
    runs = figures.trainings.get(method, [])
    if not runs:
        return []
    several = f'{len(runs)} runs; the first: ' if len(runs) > 1 else ''
    return list(_item(f'{figures.methods[method].label}: {several}{training_text(runs[0])}'))


def training_text(one: Training) -> str:
    """A training in a line."""
    parts = [f'{one.iterations:,} iterations' + (f' of {one.batch}' if one.batch else '')]
    if one.images:
        parts.append(f'{one.images:,} images')
    parts += [part for part in (duration(one.seconds), one.machine, one.precision) if part]
    text = ', '.join(parts)
    return f'{text} (**{one.label}**)' if one.label else text


def duration(seconds: float) -> str:
    """A time in words."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours} h {minutes} min'
    return f'{minutes} min {left} s' if minutes else f'{left} s'


def compare_command(entry: ComparisonEntry, train: bool = False) -> str:
    """What measures a comparison on photographs, or trains and measures it."""
    forced = [*(entry.training if train else ()), *entry.data]
    text = f'facesr compare -opt {entry.file}{" --train" if train else ""}'
    return f'{text} --force_yml {" ".join(forced)}' if forced else text


def _commands(page: PageFile, known: Mapping[str, Figures]) -> list[str]:
    """Every comparison: what it is, whether there are figures, and its command."""
    rows = []
    for key, entry in page.comparisons.items():
        figures = known.get(key)
        there = 'none'
        if figures is not None:
            there = f'{len({method for _, method in figures.measured})} of {len(methods_of(entry))} methods'
        rows.append([f'`{key}`', _inline(entry.about), there, f'`{compare_command(entry, train=True)}`'])
    text = 'Each trains what is missing (`--train`), measures and writes a page of its own into `results/`. Names in '
    text += 'capitals are folders of photographs; without them the drawn faces of the package are used, whose figures '
    text += (
        'say nothing about photographs. `python -m benchmarks.results` takes the same overrides, with the key before '
    )
    text += 'them: `--force_yml x8:datasets:test:dataroot_gt=HR`.'
    return ['', '## Commands', '', *_wrapped(text), '', *_table(['key', 'what', 'figures', 'command'], rows)]


def _hardware(page: PageFile, known: Mapping[str, Figures]) -> list[str]:
    """Every training, and remarks about them."""
    rows, remarks = [], []
    for key in page.comparisons:
        figures = known.get(key)
        if figures is None:
            continue
        remarks += [line for text in figures.remarks for line in _item(f'`{key}`: {text}')]
        for method, runs in figures.trainings.items():
            facts = figures.methods[method]
            for number, one in enumerate(runs):
                which = f'{facts.label}, run {number + 1}' if len(runs) > 1 else facts.label
                rows.append(
                    [f'`{key}`', _inline(which), large(facts.parameters), f'{one.iterations:,}', str(one.batch)]
                    + [f'{one.images:,}', _inline(one.machine), one.precision, duration(one.seconds), one.label or NONE]
                )
    text = 'From the logs of the runs; time is that of the whole training, loading and validations with it. What was '
    text += 'trained earlier, and is quoted from the documentation, has its time there.'
    head = ['key', 'method', 'parameters', 'iterations', 'batch', 'images', 'machine', 'precision', 'time', '']
    lines = ['', '## Hardware and time', '', *_wrapped(text)]
    if rows:
        lines += ['', *_table(head, rows)]
    return [*lines, '', *remarks] if remarks else lines


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], right: bool = False) -> list[str]:
    rule = '|---|' + ('---:|' if right else '---|') * (len(head) - 1)
    return [f'| {" | ".join(head)} |', rule, *(f'| {" | ".join(row)} |' for row in rows)]


def _inline(text: str) -> str:
    """A text in a cell of a table; Markdown in it stays."""
    return ' '.join(text.split()).replace('|', '\\|').replace('<', '&lt;')


def _link(page: str) -> str:
    return f'[{page}]({page})'


def _wrapped(text: str) -> list[str]:
    """A paragraph; commands in it are not broken."""
    words = ' '.join(text.split()).replace('` `', '`\n`')
    kept: list[str] = []
    for i, part in enumerate(words.split('`')):
        kept.append(part.replace(' ', '\0') if i % 2 else part)
    lines = textwrap.wrap('`'.join(kept), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return [line.replace('\0', ' ') for line in lines]


def _block(command: str) -> list[str]:
    """A command as a block of its own, in lines that are no longer than others; a flag and its value stay together."""
    kept = re.sub(r'(--[\w-]+) (?=[^-])', '\\1\0', command)
    lines = textwrap.wrap(kept, _WIDTH - 6, break_long_words=False, break_on_hyphens=False)
    shown = [f'{"    " if i else ""}{line}'.replace('\0', ' ') for i, line in enumerate(lines)]
    return ['', '```bash', *(f'{line} \\' for line in shown[:-1]), shown[-1], '```']


def _item(text: str) -> Iterator[str]:
    lines = _wrapped(text)
    yield f'- {lines[0]}'
    yield from (f'  {line}' for line in lines[1:])
