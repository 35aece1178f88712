"""How is a batch written down for Claude, and how much of it fits into one?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any

# Source: the API's limits on one batch, 100,000 requests and 256 MB; a little below, whatever a MB is.
MOST_REQUESTS = 100_000
MOST_BYTES = 250_000_000
# What a row's own request may have at most: the API's limit on one Messages request.
MOST_ROW_BYTES = 32_000_000
# Around a row's request: its name, and what a route may yet write into it.
AROUND = 500


def encoded(request: Mapping[str, Any]) -> str:
    return json.dumps(request, ensure_ascii=False, separators=(",", ":"))


def write(file: IO[bytes], rows: Iterable[tuple[str, str]]) -> int:
    """Write a batch of (name, request as JSON) into `file`, one row at a time; answers how many there were."""
    count = 0
    file.write(b'{"requests":[')
    for name, request in rows:
        separator = "," if count else ""
        file.write(f'{separator}{{"custom_id":"{name}","params":{request}}}'.encode())
        count += 1
    file.write(b"]}")
    return count


@dataclass
class Filling:
    """How full a batch is: a row that `fits` not any more begins the next one."""

    requests: int = 0
    size: int = 0

    def fits(self, size: int) -> bool:
        return self.requests < MOST_REQUESTS and self.size + size + AROUND <= MOST_BYTES

    def add(self, size: int) -> None:
        self.requests += 1
        self.size += size + AROUND
