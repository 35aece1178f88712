"""What is sent to Claude?"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Sending:
    """One Messages request as it goes out, fields and headers that this server has never heard of included.

    `body` is without `stream`, which `streamed` stands for; `headers` are those of the caller's that may go on, such as
    `anthropic-beta`.
    """

    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    streamed: bool = True
    # What stands behind the question mark of the caller's address, such as `beta=true`.
    query: str = ""

    @cached_property
    def encoded(self) -> bytes:
        """The body's bytes. A half of a surrogate pair, which JSON can name, travels as its escape."""
        body = {**self.body, "stream": True} if self.streamed else self.body
        return json.dumps(body, separators=(",", ":")).encode()

    def with_body(self, body: Mapping[str, Any]) -> Sending:
        return dataclasses.replace(self, body=body)
