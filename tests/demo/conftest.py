from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from core.demo.load import load_demo

# A Saturday evening in Berlin: the last of the thirty days is a quiet one.
NOW = dt.datetime(2026, 11, 21, 19, 0, tzinfo=dt.UTC)


@pytest.fixture
def trial(settings: Any) -> None:
    """pytest-django switches DEBUG off, and without it there is no demo."""
    settings.DEBUG = True


@pytest.fixture
def demo(catalogue: None, trial: None) -> dict[str, int]:
    return load_demo(NOW)
