"""What can go wrong between us and Claude, does trying again help, and may it have been billed?"""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import anthropic

# The API's own types for the faults that pass; they also come as an event in a stream whose status was 200.
PASSING_TYPES = frozenset({"rate_limit_error", "overloaded_error", "api_error", "timeout_error"})
# No person and no wait inside a call's life lifts these; the API sends them as 429 without a `retry-after`.
SPEND_LIMIT_CODES = frozenset({"enforced_spend_limit_reached", "contract_spend_limit_reached"})
# A workspace's own limit comes as 400 and has no code, only these words, and then a day.
SPEND_LIMIT_WORDS = "You have reached your specified"
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?: at (\d{2}:\d{2}))?")

# Characters of an error's type that are kept with a call.
LONGEST_TYPE = 60
# Seconds. Longer than any call may be tried, so that what is cut to it lets nothing begin early: the call ends instead.
LONGEST_RETRY_AFTER = 31 * 86_400.0
SOONEST_END = dt.timedelta(minutes=5)


# About this connection and the bytes on it, which are read and unpacked here; and what one server tells another.
_STAY_HERE = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "set-cookie",
        "strict-transport-security",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass
class ClaudeError(Exception):
    """A request that brought no whole answer."""

    type: str
    message: str
    status: int | None = None
    request_id: str = ""
    retryable: bool = False
    may_be_billed: bool = False
    # Seconds that the API asks to wait, or None.
    retry_after: float | None = None
    # When a spend limit ends that no retry lifts; None for all other errors.
    limited_until: dt.datetime | None = None
    # The API's own error body, and its headers that may be handed on; None and empty where no answer came.
    body: dict[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what the SDK raises inside the block into `ClaudeError`."""
    import anthropic
    import httpx2

    try:
        yield
    except anthropic.APIStatusError as error:
        raise from_status(error) from error
    except anthropic.APIConnectionError as error:
        raise _lost(error.__cause__ or error) from error
    except httpx2.TransportError as error:
        raise _lost(error) from error
    except anthropic.AnthropicError as error:
        raise ClaudeError("configuration_error", str(error)) from error


def from_status(error: anthropic.APIStatusError) -> ClaudeError:
    """An answer with an error status. None of these is billed."""
    status = error.status_code
    kind = str(error.type or "api_error")[:LONGEST_TYPE]
    passing = status in {408, 409, 429} or status >= 500
    message = error.api_message or error.message
    of_workspace = status == 400 and is_spend_limit(message)
    limited = of_workspace or error.error_code in SPEND_LIMIT_CODES
    return ClaudeError(
        type=kind,
        message=message,
        status=status,
        request_id=error.request_id or "",
        retryable=passing and not limited,
        limited_until=end_of_limit(message, dt.datetime.now(dt.UTC)) if limited else None,
        retry_after=_retry_after(error.response.headers),
        body=error.body if isinstance(error.body, dict) else None,
        headers=handed_on(error.response.headers),
    )


def is_spend_limit(message: str) -> bool:
    """Whether these are the API's words for a workspace's own spend limit, which has no code."""
    return message.startswith(SPEND_LIMIT_WORDS)


def end_of_limit(message: str, now: dt.datetime) -> dt.datetime:
    """When a spend limit ends: the day that the message names, or the first of the next month, in UTC.

    Not at once: where it holds beyond that day, or the clock is ahead, it would be asked for again and again.
    """
    with contextlib.suppress(ValueError):
        if found := _DAY.search(message):
            day, time = found.group(1), found.group(2) or "00:00"
            return max(now + SOONEST_END, dt.datetime.fromisoformat(f"{day}T{time}:00+00:00"))
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + dt.timedelta(days=32)).replace(day=1)


def from_event(event: dict[str, Any], request_id: str) -> ClaudeError:
    """An `error` event in a stream that had begun well: what was written until then is billed."""
    error = event.get("error") or {}
    kind = str(error.get("type") or "api_error")[:LONGEST_TYPE]
    return ClaudeError(
        type=kind,
        message=str(error.get("message") or "The answer broke off."),
        status=200,
        request_id=request_id,
        retryable=kind in PASSING_TYPES,
        may_be_billed=True,
        body=event,
    )


def cut_off(request_id: str) -> ClaudeError:
    """A stream that ended without `message_stop`, about which the SDK says nothing."""
    message = "The connection to Claude ended before the answer did."
    return ClaudeError("incomplete_stream", message, request_id=request_id, retryable=True, may_be_billed=True)


def timed_out() -> ClaudeError:
    message = "Claude did not answer in time."
    return ClaudeError("timeout_error", message, retryable=True, may_be_billed=True)


def _lost(cause: BaseException) -> ClaudeError:
    import httpx2

    # Without a connection nothing was sent; with one that broke, the request may have been worked on.
    if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return ClaudeError("connection_error", "Claude cannot be reached: no connection.", retryable=True)
    # The SDK names only the silence before an answer begins; one within a stream reaches us as it is.
    if isinstance(cause, httpx2.TimeoutException):
        return timed_out()
    return ClaudeError("connection_error", "The connection to Claude broke.", retryable=True, may_be_billed=True)


def handed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer that mean something to whoever gets it next: neither cookies nor what ends here."""
    return {name: value for name, value in headers.items() if name.lower() not in _STAY_HERE}


def _retry_after(headers: Any) -> float | None:
    """Seconds from `retry-after-ms` or `retry-after`, a number or a date; nonsense counts as not given."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        raw = headers.get(name)
        if raw is None:
            continue
        with contextlib.suppress(ValueError):
            seconds = float(raw) / scale
            return min(max(0.0, seconds), LONGEST_RETRY_AFTER) if math.isfinite(seconds) else None
        with contextlib.suppress(ValueError):
            at = parsedate_to_datetime(raw)
            # A date of HTTP is in UTC, also in the form that does not say so.
            at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
            return min(max(0.0, (at - dt.datetime.now(dt.UTC)).total_seconds()), LONGEST_RETRY_AFTER)
    return None
