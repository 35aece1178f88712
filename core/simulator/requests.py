"""What came in, and what goes out?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from core.simulator.errors import ApiError, invalid
from core.simulator.state import ORGANIZATION_ID


@dataclass
class Request:
    """One HTTP request. Header names are in lower case."""

    id: str
    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: bytes
    limits: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The credential, from either header; empty if there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        return bearer or self.headers.get("x-api-key", "").strip()

    @property
    def beta(self) -> bool:
        """Whether the beta parameter types apply."""
        return bool(self.headers.get("anthropic-beta")) or self.query.get("beta", [""])[-1] == "true"

    @property
    def base_url(self) -> str:
        """The URL under which the client found us."""
        return f"http://{self.headers.get('host', 'localhost')}"

    def json(self) -> Any:
        """The body as JSON; 400 if it is none."""
        try:
            parsed = json.loads(self.body, parse_constant=_refuse_constant)
            if b"\\ud" in self.body.lower():  # half a character by itself passes Python's parser, but is no text
                json.dumps(parsed, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise invalid(f"The request body is not valid JSON: {error}") from None
        return parsed

    def check_credentials(self) -> None:
        """401 without a key or with one that begins with `sk-invalid`; 400 without a version."""
        if not self.key:
            raise ApiError(401, "x-api-key header is required")
        if self.key.startswith("sk-invalid"):
            raise ApiError(401, "invalid x-api-key")
        if not self.headers.get("anthropic-version"):
            raise invalid("anthropic-version: header is required")

    def reply_headers(self, content_type: str) -> dict[str, str]:
        """The headers that every answer carries."""
        return {
            "Date": formatdate(usegmt=True),
            "Content-Type": content_type,
            "request-id": self.id,
            "anthropic-organization-id": ORGANIZATION_ID,
            **self.limits,
        }


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


@dataclass(frozen=True)
class Reply:
    """A whole answer: JSON, or lines of JSON."""

    content: Any
    status: int = 200
    content_type: str = "application/json"

    def encode(self) -> bytes:
        """The body on the wire."""
        if isinstance(self.content, bytes):
            return self.content
        return json.dumps(self.content, ensure_ascii=False).encode("utf-8", "surrogatepass")
