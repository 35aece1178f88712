"""An offline stand-in for the Claude API over HTTP: what would the real one answer, and what would it bill?

It imports nothing of the rest of the project, so its answers and its bill are somebody else's. Start it with
`serve(port=8001)` (blocks), or in tests with `Simulator()` (`start()`, `stop()`, `.url`).

Faults are asked for by a header, `x-simulator-fault: status=529; retry-after=2`, or by a directive anywhere in the
text of a user message, `[[simulate: status=529 retry-after=2]]`. Several may stand in one text. Directives:

| directive | what happens | billed |
|---|---|---|
| `status=529` | an error of that status, with the error type that belongs to it | no |
| … `retry-after=2`, `retry-after-ms=500`, `should-retry=false` | sets the header | |
| … `retry-after=none` | no header, where a 429 would have `retry-after: 1` | |
| … `error_code=enforced_spend_limit_reached` | `error.details.error_code`; then no `retry-after` | |
| … `type=api_error`, `message="…"` | another error type, another text | |
| `spend-limit` | 400 whose text begins «You have reached your specified» (the workspace's own limit) | no |
| `error-event=overloaded_error after=20` | an `error` event after that many deltas | what was generated |
| … without a stream | the status of that error type | no |
| `cut after=20` | stream: ends without `message_stop` after that many deltas; JSON: half a body | what was generated |
| `drop` | the connection is dropped before anything is generated | no |
| `drop after=5` | dropped after that many deltas; JSON: dropped after the answer was generated | what was generated |
| `hang seconds=30` | nothing for so long, then the normal answer (600 if not given) | only if the client still waits |
| `hang seconds=30 after=5` | stream: falls silent after that many deltas, then goes on | what was generated |
| `slow seconds=3` | the first byte comes so much later | as usual |
| `refusal` | `stop_reason: refusal` | as usual |
| `long tokens=2000` | an answer of about that many tokens (still cut by `max_tokens`) | as usual |
| `answer="…"` | exactly this text, also where a JSON schema was asked for (`\\n` is a new line) | as usual |
| `tool=NAME` | calls this tool | as usual |
| `web-search uses=2` | searches that often, if a web search tool was given | per search |
| `batch=errored`, `batch=expired`, `batch=canceled` | the result of this request in a batch | no |

Every directive takes `times=N` (only the first N requests with this text, then all is well; the counters are cleared
by `DELETE /_simulator/bill`) and `model=opus` (only for models whose id contains that: a fallback then succeeds).
`after` counts content deltas; an answer shorter than that fails at its end. An unknown directive is refused with 400,
so that a typing mistake is not a silent success.

The simulator's own pages, without a key: `GET /_simulator` (status), `GET /_simulator/bill` (entries, total_usd,
unseen_usd), `DELETE /_simulator/bill` (clears the bill, the prompt cache and the counters).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.simulator.server import Simulator, serve

__all__ = ["Simulator", "serve"]


def __getattr__(name: str) -> Any:
    """Load the server on first use: the SDK's types take a second to import."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from core.simulator import server

    return getattr(server, name)
