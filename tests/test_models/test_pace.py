"""How long a training takes is said once, early, and with what to do where it is long."""

from __future__ import annotations

import pytest

from facesr_ext.models.pace import LONG, Pace, duration_text


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [(45, '45 s'), (720, '12 min'), (19200, '5 h 20 min'), (LONG - 1, '2 days'), (37.2 * 86400, '37 days')],
)
def test_durations_as_people_say_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_the_first_iteration_does_not_count() -> None:
    """The first takes 60 s, the others 2 s each; after five seconds the rest is known, and said once."""
    now = [0.0]
    pace = Pace(1000, lambda: now[0])
    told: list[str | None] = []
    for iteration in range(1, 9):
        told.append(pace.estimate(iteration))
        now[0] += 60 if iteration == 1 else 2
    assert told[:4] == [None] * 4 and told[5:] == [None] * 3
    assert told[4] == 'About 33 min to go: 996 iterations of 2.00 s, validation left out'
    assert pace.left == pytest.approx(996 * 2)


def test_a_resumed_run_counts_what_is_left() -> None:
    now = [0.0]
    pace = Pace(100, lambda: now[0])
    for iteration in (91, 92):
        assert pace.estimate(iteration) is None
    now[0] += 6
    assert 'About 48 s to go: 8 iterations of 6.00 s' in str(pace.estimate(93))
