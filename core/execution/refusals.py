"""What is a caller told of a call that was not sent?"""

from __future__ import annotations

import math

from core.claude.errors import ClaudeError
from core.execution.trying import left

# Seconds after which a program may ask again where this server had no room for it.
COME_BACK = 1.0


def left_alone(model: str, seconds: float) -> ClaudeError:
    """Its model's breaker is open."""
    return _refusal("overloaded_error", f"{model} failed often lately and is left alone for a while.", seconds)


def out_of_pace(model: str, seconds: float) -> ClaudeError:
    """Claude would refuse it for its rate limits."""
    return _refusal("rate_limit_error", f"The rate limits of {model} are used up for a while.", seconds)


def no_room() -> ClaudeError:
    """This process has no thread for it."""
    return _refusal("overloaded_error", "This server has no room for another request at the moment.", COME_BACK)


def left_before_sending() -> ClaudeError:
    error = left()
    error.may_be_billed = False
    return error


def _refusal(kind: str, message: str, seconds: float) -> ClaudeError:
    status = {"overloaded_error": 529, "rate_limit_error": 429}[kind]
    headers = {"retry-after": str(math.ceil(seconds))}
    return ClaudeError(kind, message, status, retryable=True, retry_after=seconds, headers=headers)
