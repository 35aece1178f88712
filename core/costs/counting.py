"""How many tokens does Claude itself count, where it says so quickly?"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from core.claude.client import count_tokens
from core.claude.errors import ClaudeError

# Seconds; a page that waits longer shows its own estimate instead.
TIMEOUT = 1.5
# Answers that this process remembers: the same text is asked for once.
REMEMBERED = 500
# Questions of this process under way at once; whoever comes on top gets no answer and asks nobody.
AT_ONCE = 4

_counts: OrderedDict[str, int] = OrderedDict()
_lock = threading.Lock()
_asking = threading.BoundedSemaphore(AT_ONCE)


def counted_by_claude(request: Mapping[str, Any]) -> int | None:
    """The input tokens of a Messages request, or None where Claude does not say within `TIMEOUT`."""
    key = hashlib.sha256(json.dumps([settings.ANTHROPIC_BASE_URL, request], sort_keys=True).encode()).hexdigest()
    with _lock:
        if key in _counts:
            _counts.move_to_end(key)
            return _counts[key]
    if not _asking.acquire(blocking=False):
        return None
    try:
        count = count_tokens(dict(request), timeout=TIMEOUT)
    except ClaudeError:
        return None
    finally:
        _asking.release()
    _remember(key, count)
    return count


def _remember(key: str, count: int) -> None:
    with _lock:
        _counts[key] = count
        if len(_counts) > REMEMBERED:
            _counts.popitem(last=False)
