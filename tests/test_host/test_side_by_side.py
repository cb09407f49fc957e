"""Work that threads do side by side: order, errors, torch's threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from facesr_ext.host.side_by_side import side_by_side


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_order_stays_and_each_thread_has_its_share(threads: int) -> None:
    shares = set()

    def double(number: int) -> int:
        shares.add(torch.get_num_threads())
        return 2 * number

    assert list(side_by_side(double, range(20), 9)) == [2 * number for number in range(20)]
    assert shares == {1} and torch.get_num_threads() == threads
    shares.clear()
    assert list(side_by_side(double, [3, 4], 9)) == [6, 8] and shares == {max(1, threads // 2)}
    assert list(side_by_side(double, [], 9)) == []


def test_no_more_than_asked_for_are_done_at_once(threads: int) -> None:
    working, most = threading.Semaphore(2), []

    def work(number: int) -> int:
        most.append(working.acquire(blocking=False))
        time.sleep(0.002)
        working.release()
        return number

    assert list(side_by_side(work, range(20), 2)) == list(range(20)) and all(most)


def test_they_are_done_at_once() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    both = threading.Barrier(2, timeout=30)
    try:
        assert sorted(side_by_side(lambda number: both.wait() * 0 + number, [1, 2], 9)) == [1, 2]
    finally:
        torch.set_num_threads(before)


def test_new_threads_begin_with_what_the_process_has(threads: int) -> None:
    list(side_by_side(abs, range(9), 9))
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert found == [threads]


def test_what_goes_wrong_comes_in_its_place(threads: int) -> None:
    done: list[int] = []

    def fail(number: int) -> int:
        done.append(number)
        if number == 1:
            raise ValueError('one')
        return number

    results = side_by_side(fail, range(100), 9)
    assert next(results) == 0
    with pytest.raises(ValueError, match='one'):
        next(results)
    assert len(done) <= 2 * threads + 4 and torch.get_num_threads() == threads


def test_who_stops_taking_ends_the_work(threads: int) -> None:
    done: list[int] = []
    results = side_by_side(lambda number: done.append(number), range(100), 9)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(done) <= 2 * threads + 4 and torch.get_num_threads() == threads
