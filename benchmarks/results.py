"""RESULTS.md: the reports' tables and claims beside what was measured here, from trained runs and comparisons.

    python -m benchmarks.results [--results DIR] [--train] [--only KEY...] [--force_yml KEY:SET:... ...] -o RESULTS.md

benchmarks/results.yml says what stands on the page. Each comparison that it lists is measured by ``facesr compare``'s
own code where runs of it are there, into DIR; with --train what is missing is trained first, one run after the other.
What was trained or measured is kept, so that the same command goes on where it was stopped. The figures, without
images, go into benchmarks/figures/, from which the page is written: also in a clone that has no runs. Stored figures
are replaced by those of later runs, unless these are of other images or of fewer methods: then --replace KEY says that
it is meant. --force_yml is that of ``facesr compare`` with the comparison's key before it:
x8:datasets:test:dataroot_gt=HR.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import argument_parser, told
from benchmarks.results_page.page import write_page
from benchmarks.results_page.settings import ROOT, PageFile, read_page
from benchmarks.results_page.stored import Figures, figures_of
from facesr_ext.comparison.examine import of_degradations, read_comparison, read_degradations
from facesr_ext.comparison.methods import Training, trainings
from facesr_ext.comparison.open_degradations import network_trainings
from facesr_ext.comparison.report import Shown, write_all
from facesr_ext.comparison.results import FILE, Comparison, ResultFolder
from facesr_ext.comparison.run import run_comparison
from facesr_ext.comparison.run_degradations import run_degradations
from facesr_ext.comparison.train import train_missing
from facesr_ext.errors import FaceSRError, OptionError
from facesr_ext.host.source import OptionFile
from facesr_ext.runs.atomic import write_text
from facesr_ext.runs.child import TrainingStopped
from facesr_ext.runs.folder import is_run

PAGE = Path(__file__).with_name('results.yml')
FIGURES = Path(__file__).with_name('figures')
Tell = Callable[[str], None]


class Gathering:
    """Brings the stored figures of all comparisons up to date.

    Args:
        page (PageFile): What is to stand on the page.
        results (Path): Where comparisons are written, a folder each.
        figures (Path): Where figures are stored, a file a comparison.
        train (bool): Train what is missing.
        forced (Mapping): Key of a comparison -> its overrides.
        replace (Sequence[str]): Keys whose stored figures may be replaced by those of other images or fewer methods.
        remarks (Mapping): Key of a comparison -> what is to be said of its runs.
        tell (Callable): Is told a line about each step.
    """

    def __init__(
        self,
        page: PageFile,
        results: Path,
        figures: Path,
        train: bool = False,
        forced: Mapping[str, Sequence[str]] | None = None,
        replace: Sequence[str] = (),
        remarks: Mapping[str, str] | None = None,
        tell: Tell = print,
    ) -> None:
        self.page, self.results, self.figures, self.train = page, results, figures, train
        self.forced, self.replace, self.remarks, self.tell = forced or {}, replace, remarks or {}, tell

    def known(self, only: Sequence[str] = ()) -> dict[str, Figures]:
        """The figures of all comparisons that have any; those of ``only`` (default: all) are brought up to date first.

        A comparison that cannot be measured is told of, and keeps its stored figures.

        Raises:
            DatasetError: for stored figures that cannot be read.
            TrainingStopped: A signal has ended a training; the same call goes on.
        """
        found = {}
        for key in self.page.comparisons:
            stored = self._stored(key)
            if not only or key in only:
                stored = self._updated(key, stored)
            if stored is not None:
                found[key] = stored
        return found

    def _stored(self, key: str) -> Figures | None:
        path = self.figures / f'{key}.json'
        return Figures.read(path) if path.is_file() else None

    def _updated(self, key: str, stored: Figures | None) -> Figures | None:
        try:
            measured = self._measured(key)
        except FaceSRError as err:  # the page tells of the others all the same
            self.tell(f'{key}: {err}')
            return stored
        if measured is None:
            return stored
        remark = self.remarks.get(key)
        fresh = figures_of(measured, [remark] if remark else stored.remarks if stored else [])
        if not fresh.measured:
            return stored
        if stored is not None and key not in self.replace:
            lost = sorted(method for _, method in stored.measured - fresh.measured)
            if lost or not stored.same_images(fresh):
                why = f'they lack {", ".join(dict.fromkeys(lost))}' if lost else 'they are of other images'
                self.tell(f'{key}: the stored figures stay, the new ones do not replace them: {why} (--replace {key})')
                return stored
        fresh.write(self.figures / f'{key}.json')
        return Figures.read(self.figures / f'{key}.json')

    def _measured(self, key: str) -> Comparison | None:
        """What facesr compare finds; None where nothing has been trained, and nothing was measured earlier."""
        source = OptionFile.read(str(ROOT / self.page.comparisons[key].file), self.forced.get(key, ()))
        if of_degradations(source):
            degradations = read_degradations(source)
            folder = ResultFolder(self.results / degradations.name)
            if not self._ready(key, network_trainings(degradations), folder):
                return _read(folder)
            found, pictures = run_degradations(degradations, folder)
            return _written(found, folder, Shown(num=0, page_images=0), more=pictures)
        file = read_comparison(source)
        folder = ResultFolder(self.results / file.name)
        if not self._ready(key, trainings(file), folder):
            return _read(folder)
        found, runs = run_comparison(file, folder)
        return _written(found, folder, Shown.of(file.pictures), runs)

    def _ready(self, key: str, needed: Sequence[Training], folder: ResultFolder) -> bool:
        """Whether there are runs to measure, after a training where that is wanted."""
        if self.train:
            for problem in train_missing(needed, folder, self.tell):
                self.tell(f'{key}: {problem}')
        there = [one.run.name for one in needed if is_run(one.run)]
        if there:
            self.tell(f'{key}: measuring, {len(there)} of {len(needed)} runs are there')
        return bool(there)


def _written(found: Comparison, folder: ResultFolder, *shown: Any, **more: Any) -> Comparison:
    """The comparison, after its figures and its report are in its folder."""
    found.write(folder.root)
    write_all(found, folder, *shown, **more)
    return found


def _read(folder: ResultFolder) -> Comparison | None:
    path = folder.root / FILE
    return Comparison.read(path) if path.is_file() else None


def by_key(entries: Sequence[str], page: PageFile, flag: str, mark: str) -> dict[str, list[str]]:
    """``KEY<mark>REST`` -> KEY -> RESTs.

    Raises:
        OptionError: for a key that the page does not list.
    """
    found: dict[str, list[str]] = {}
    for entry in entries:
        key, separator, rest = entry.partition(mark)
        if not separator or key not in page.comparisons:
            raise OptionError(f'{flag} {entry}: begin with one of {", ".join(page.comparisons)}, and {mark!r}')
        found.setdefault(key, []).append(rest)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argument_parser(__doc__)
    parser.add_argument('-o', '--output', type=Path, default=Path('RESULTS.md'), help='the page')
    parser.add_argument('--results', type=Path, default=Path('results'), help='folder of comparisons')
    parser.add_argument('--figures', type=Path, default=FIGURES, help='folder of stored figures')
    parser.add_argument('--page', type=Path, default=PAGE, help='what stands on the page')
    parser.add_argument('--train', action='store_true', help='train what is missing')
    parser.add_argument('--only', nargs='+', default=[], metavar='KEY', help='bring these comparisons up to date alone')
    parser.add_argument('--replace', nargs='+', default=[], metavar='KEY', help='replace stored figures in any case')
    parser.add_argument('--force_yml', nargs='+', default=[], metavar='KEY:...', help='what is to differ in a file')
    parser.add_argument('--remark', nargs='+', default=[], metavar='KEY=TEXT', help='what is to be said of its runs')
    return parser


def main() -> None:
    """Measures what there is to measure and writes the page."""
    parser = _parser()
    args = parser.parse_args()
    with told(parser):
        page = read_page(args.page)
        by_key([f'{key}:' for key in (*args.only, *args.replace)], page, '--only, --replace', ':')
        forced = by_key(args.force_yml, page, '--force_yml', ':')
        remarks = {key: texts[-1] for key, texts in by_key(args.remark, page, '--remark', '=').items()}
        gathering = Gathering(page, args.results, args.figures, args.train, forced, args.replace, remarks)
        try:
            known = gathering.known(args.only)
        except TrainingStopped as err:
            parser.exit(130, f'{err}\n')
        write_text(args.output, write_page(page, known))
        print(args.output)


if __name__ == '__main__':
    main()
