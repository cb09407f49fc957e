"""Benchmarks ask for quiet; what runs after their tests is to be heard again."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def level_of_the_log() -> Iterator[None]:
    """BasicSR's logger as it was."""
    logger = logging.getLogger('basicsr')
    level = logger.level
    yield
    logger.setLevel(level)
