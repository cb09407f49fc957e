"""What is said of a machine that others use, too."""

from __future__ import annotations

import os

import pytest
import torch

from facesr_ext.models.device import busy_note


def test_a_busy_machine_is_told_where_threads_would_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, 'cpu_count', lambda: 2)
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 2)
    monkeypatch.setattr(os, 'getloadavg', lambda: (1.4, 0.0, 0.0))
    assert busy_note() is None
    monkeypatch.setattr(os, 'getloadavg', lambda: (3.96, 0.0, 0.0))
    note = busy_note()
    assert note is not None and note.startswith('4.0 processes want the 2 cores') and 'OMP_NUM_THREADS=1' in note
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 1)
    assert busy_note() is None


def test_a_system_without_a_load_average_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 2)
    monkeypatch.delattr(os, 'getloadavg', raising=False)
    assert busy_note() is None
