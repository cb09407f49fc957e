"""What a log says of a training, also where the machine's clock was set while it ran."""

from __future__ import annotations

from pathlib import Path

import pytest

from facesr_ext.runs.run_log import read_run

LINE = (
    '{} INFO: [a..][epoch:  0, iter: {:7d}, lr:(2.000e-04,)] [eta: 0:00:01, time (data): 0.5 (0.0)] l_pix: 1.0e-02 \n'
)


@pytest.mark.parametrize(
    ('times', 'seconds'),
    [
        (('10:00:00', '10:00:10', '10:00:30'), 30),
        (('10:00:00', '09:00:00', '09:00:20'), 20),  # set back by an hour
        (('10:00:00', '10:00:10', '99:99:99', '10:00:20'), 20),  # no time of any day
        (('10:00:00',), 0),
        ((), 0),
    ],
)
def test_clocks_that_jump(times: tuple[str, ...], seconds: float, tmp_path: Path) -> None:
    lines = [LINE.format(f'2026-11-01 {time},000', number) for number, time in enumerate(times, 1)]
    (tmp_path / 'train_a_20261101_100000.log').write_text(''.join(lines) or 'nothing\n')
    log = read_run(tmp_path)
    assert log.seconds == seconds and [step.iteration for step in log.steps] == list(range(1, len(times) + 1))


def test_a_clock_that_was_set_forward_by_years(tmp_path: Path) -> None:
    lines = [LINE.format(f'{year}-11-01 10:00:{second:02d},000', second) for year, second in ((1970, 1), (2026, 2))]
    lines.append(LINE.format('2026-11-01 10:00:07,000', 7))
    (tmp_path / 'train_a_20261101_100000.log').write_text(''.join(lines))
    assert read_run(tmp_path).seconds == 5
