"""Who is told, while a call runs?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Watch(Protocol):
    """Hears what happens to a running call; must not raise, or a watcher could break what it watches."""

    def started(self, attempt: int) -> None: ...

    def opened(self, headers: Mapping[str, str]) -> None:
        """The headers of the answer that the following events belong to; told before the first of them."""

    def event(self, name: str, data: str) -> None:
        """One server-sent event as it came, or as Claude would have written it."""

    def alive(self, headers: Mapping[str, str]) -> None:
        """Claude says that it is at work, while what it says of its answer is held back; with the answer's headers."""

    def text(self, piece: str) -> None: ...

    def ended(self, status: str) -> None: ...

    def left(self) -> bool:
        """Whether nobody waits for the answer any more, and it need not be written to its end."""


class NobodyWatches:
    """And whoever wants to hear only some of it begins here."""

    def started(self, attempt: int) -> None:
        pass

    def opened(self, headers: Mapping[str, str]) -> None:
        pass

    def event(self, name: str, data: str) -> None:
        pass

    def alive(self, headers: Mapping[str, str]) -> None:
        pass

    def text(self, piece: str) -> None:
        pass

    def ended(self, status: str) -> None:
        pass

    def left(self) -> bool:
        return False
