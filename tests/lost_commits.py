"""What if a database has committed, and its answer gets lost?"""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper


class LostCommits:
    """The next `number` commits take place, and the connection breaks before anybody hears of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int = 1) -> None:
        self.left = number
        really = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]

        def commit(database: BaseDatabaseWrapper) -> None:
            really(database)
            if self.left:
                self.left -= 1
                raise OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(BaseDatabaseWrapper, "_commit", commit)
