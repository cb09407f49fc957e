"""What the benchmarks share: turns, ratios, tables."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from benchmarks.common import Interval, Table, in_turns, machine, machine_text, ratio, spent


def test_turns_begin_with_the_other_one_every_round_and_the_first_round_does_not_count() -> None:
    order: list[str] = []

    def run(name: str) -> int:
        order.append(name)
        return len(order)

    values = in_turns({'a': lambda: run('a'), 'b': lambda: run('b')}, 3)
    assert ''.join(order) == 'baabbaab'
    assert values == {'a': [3, 6, 7], 'b': [4, 5, 8]}


def test_turns_end_with_the_time_but_not_before_the_second_round() -> None:
    assert in_turns({'a': lambda: time.sleep(0.02)}, 50, seconds=0.0) == {'a': [None, None]}


def test_the_ratio_of_medians_lies_in_its_interval() -> None:
    found = ratio([4.0, 2.0, 2.0, 2.2, 1.8], [1.0, 1.0, 1.0, 1.0, 1.0])
    assert found.value == 2.0
    assert found.low == pytest.approx(1.8, abs=0.21) and 2.2 <= found.high <= 4.0
    assert str(Interval(2.0, 1.8, 2.2)) == '2.00 (1.80-2.20)'
    assert ratio([3.0, 3.0], [1.0, 1.0]) == Interval(3.0, 3.0, 3.0)


def test_what_sleeps_takes_no_processor() -> None:
    idle, busy = spent(lambda: time.sleep(0.05)), spent(lambda: sum(range(10**6)))
    assert idle.wall >= 0.05 and idle.cpu < 0.04
    assert 0 < busy.cpu <= busy.wall + 0.01


def test_a_table_is_printed_row_by_row_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table('Of two', {'name': '', 's': '.2f', 'ratio': '', 'gone': '.1f'})
    table.add({'name': 'one', 's': 0.123, 'ratio': Interval(2, 1, 3), 'more': {'x': 1}})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == 'Of two' and said[2] == machine_text(table.machine)
    assert said[-3:] == ['| name | s | ratio | gone |', '|---|---|---|---|', '| one | 0.12 | 2.00 (1.00-3.00) |  |']
    table.write(tmp_path / 'new' / 'of.json')
    stored = json.loads((tmp_path / 'new' / 'of.json').read_text(encoding='utf-8'))
    assert stored['rows'] == [{'name': 'one', 's': 0.123, 'ratio': [2, 1, 3], 'more': {'x': 1}}]
    assert stored['machine'] == table.machine
    table.write(None)


def test_a_busy_machine_is_said() -> None:
    found = machine()
    assert found['cores'] >= 1 and found['instructions'] in machine_text(found)
    assert 'busy machine' in machine_text({**found, 'load': 3.0})
    assert 'busy machine' not in machine_text({**found, 'load': 0.2})
