"""Who is told, while a call runs?"""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Hears what happens to a running call; must not raise, or a watcher could break what it watches."""

    def started(self, attempt: int) -> None: ...

    def text(self, piece: str) -> None: ...

    def ended(self, status: str) -> None: ...


class NobodyWatches:
    def started(self, attempt: int) -> None:
        pass

    def text(self, piece: str) -> None:
        pass

    def ended(self, status: str) -> None:
        pass
