"""What do the rate-limit headers say, and who is refused?

By default they count and nobody is refused: ask for a 429 with a directive. `enforce` makes requests for messages as
scarce as the API does, by a bucket that fills evenly, and counts who came back before its `retry-after` was over.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from core.simulator.errors import MESSAGE_OF_TYPE, ApiError

WINDOW = 60  # seconds
LIMITS = {"requests": 4_000, "input-tokens": 2_000_000, "output-tokens": 400_000}


@dataclass
class _Window:
    started: float
    used: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LIMITS, 0))


@dataclass
class _Bucket:
    """Requests that may still come: at most `size`, `per_minute` more each minute."""

    per_minute: float
    size: float
    level: float
    at: float = field(default_factory=time.monotonic)

    def refill(self) -> None:
        now = time.monotonic()
        self.level = min(self.size, self.level + (now - self.at) * self.per_minute / WINDOW)
        self.at = now


class RateLimits:
    """Use per key in the current minute; where enforced, by all keys together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}
        self._bucket: _Bucket | None = None
        self._not_before: dict[str, float] = {}
        self.refused = self.early = 0

    def enforce(self, per_minute: int, burst: int | None = None) -> None:
        """Refuse more requests for messages than these, after at most `burst` at once (a minute's, if not given)."""
        with self._lock:
            size = float(burst or per_minute)
            self._bucket = _Bucket(float(per_minute), size, size)
            self._not_before.clear()
            self.refused = self.early = 0

    def lift(self) -> None:
        """Refuse nobody any more."""
        with self._lock:
            self._bucket = None

    def admit(self, text: str) -> None:
        """Let a request with this user text in, or raise 429 with the seconds after which there is room again."""
        with self._lock:
            bucket, now = self._bucket, time.monotonic()
            if bucket is None:
                return
            self.early += now < self._not_before.pop(text, now)
            bucket.refill()
            if bucket.level >= 1:
                bucket.level -= 1
                return
            self.refused += 1
            wait = max(1, math.ceil((1 - bucket.level) * WINDOW / bucket.per_minute))
            self._not_before[text] = now + wait
        raise ApiError(429, MESSAGE_OF_TYPE["rate_limit_error"], headers={"retry-after": str(wait)})

    def charge(self, key: str, *, requests: int = 0, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """Count a use; cache reads are not to be counted, as on most models."""
        with self._lock:
            used = self._window(key).used
            used["requests"] += requests
            used["input-tokens"] += input_tokens
            used["output-tokens"] += output_tokens

    def headers(self, key: str) -> dict[str, str]:
        """`anthropic-ratelimit-{requests,input-tokens,output-tokens}-{limit,remaining,reset}`."""
        with self._lock:
            window = self._window(key)
            used, ends = dict(window.used), window.started + WINDOW
            bucket = self._bucket
            if bucket:
                bucket.refill()
        reset = datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers = {}
        for name, limit in LIMITS.items():
            headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(max(0, limit - used[name]))
            headers[f"anthropic-ratelimit-{name}-reset"] = reset
        if bucket:
            headers["anthropic-ratelimit-requests-limit"] = str(int(bucket.per_minute))
            headers["anthropic-ratelimit-requests-remaining"] = str(max(0, int(bucket.level)))
        return headers

    def _window(self, key: str) -> _Window:
        now = time.time()
        window = self._windows.get(key)
        if window is None or now >= window.started + WINDOW:
            window = self._windows[key] = _Window(now)
        return window
