"""What do the rate-limit headers say? They count, they do not refuse: ask for a 429 with a directive."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

WINDOW = 60  # seconds
LIMITS = {"requests": 4_000, "input-tokens": 2_000_000, "output-tokens": 400_000}


@dataclass
class _Window:
    started: float
    used: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LIMITS, 0))


class RateLimits:
    """Use per key in the current minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}

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
        reset = datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers = {}
        for name, limit in LIMITS.items():
            headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(max(0, limit - used[name]))
            headers[f"anthropic-ratelimit-{name}-reset"] = reset
        return headers

    def _window(self, key: str) -> _Window:
        now = time.time()
        window = self._windows.get(key)
        if window is None or now >= window.started + WINDOW:
            window = self._windows[key] = _Window(now)
        return window
