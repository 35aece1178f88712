"""What becomes of a message batch, and when?

Nothing runs in the background: what is due is done when somebody looks. A batch ends `seconds` after it was created;
cancelled earlier, it ends at once when looked at again, and the share of its requests that had had the time is done.
On the bill a result counts as seen once the results have been fetched.
As in the real API, only the envelope is checked at once; wrong parameters make an errored result.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from core.simulator.bill import Entry
from core.simulator.errors import ApiError, invalid, not_found
from core.simulator.faults import HEADER, Faults, find_faults
from core.simulator.messages import make_message
from core.simulator.paging import page
from core.simulator.reading import user_text
from core.simulator.state import new_id
from core.simulator.validation import check_request

if TYPE_CHECKING:
    from core.simulator.requests import Request
    from core.simulator.state import State

CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MAX_REQUESTS = 100_000
KINDS = ("succeeded", "errored", "canceled", "expired")


@dataclass
class Batch:
    """One batch. `lines` are its results as JSON, in no order, once it has ended."""

    id: str
    owner: str
    beta: bool
    requests: Sequence[Mapping[str, Any]]
    created: datetime
    due: datetime
    canceled: datetime | None = None
    ended: datetime | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def as_json(self, base_url: str) -> dict[str, Any]:
        """The shape of the SDK's `MessageBatch`."""
        counts = Counter(line["result"]["type"] for line in self.lines)
        status = "ended" if self.ended else "canceling" if self.canceled else "in_progress"
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": {
                "processing": 0 if self.ended else len(self.requests),
                **{kind: counts[kind] for kind in KINDS},
            },
            "created_at": _text(self.created),
            "expires_at": _text(self.created + timedelta(hours=24)),
            "ended_at": _text(self.ended),
            "cancel_initiated_at": _text(self.canceled),
            "archived_at": None,
            "results_url": f"{base_url}/v1/messages/batches/{self.id}/results" if self.ended else None,
        }

    def done_share(self) -> float:
        """Which share of the requests was done when the batch was cancelled."""
        if not self.canceled:
            return 1.0
        whole = (self.due - self.created).total_seconds()
        return (self.canceled - self.created).total_seconds() / whole if whole else 1.0


class Batches:
    """All batches, newest last."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.RLock()
        self._batches: dict[str, Batch] = {}

    def create(self, state: State, request: Request) -> dict[str, Any]:
        """`POST /v1/messages/batches`."""
        find_faults(request.headers.get(HEADER), "", "", state.counter).raise_status()
        requests = check_envelope(request.json())
        now = datetime.now(UTC)
        due = now + timedelta(seconds=self.seconds)
        batch = Batch(new_id("msgbatch"), request.key, request.beta, requests, now, due)
        with self._lock:
            self._batches[batch.id] = batch
        return self._shown(state, batch, request)

    def retrieve(self, state: State, request: Request, batch_id: str) -> dict[str, Any]:
        """`GET /v1/messages/batches/{id}`."""
        return self._shown(state, self._find(request, batch_id), request)

    def list(self, state: State, request: Request) -> dict[str, Any]:
        """`GET /v1/messages/batches`, newest first."""
        with self._lock:
            mine = [batch for batch in self._batches.values() if batch.owner == request.key]
        return page([self._shown(state, batch, request) for batch in reversed(mine)], request.query)

    def cancel(self, state: State, request: Request, batch_id: str) -> dict[str, Any]:
        """`POST /v1/messages/batches/{id}/cancel`: answers «canceling»; the next look finds it ended."""
        batch = self._find(request, batch_id)
        with self._lock:
            self._settle(state, batch)
            if not batch.ended and not batch.canceled:
                batch.canceled = datetime.now(UTC)
            return batch.as_json(request.base_url)

    def delete(self, state: State, request: Request, batch_id: str) -> dict[str, Any]:
        """`DELETE /v1/messages/batches/{id}`: only after it has ended."""
        batch = self._find(request, batch_id)
        with self._lock:
            self._settle(state, batch)
            if not batch.ended:
                raise invalid(f"Cannot delete Message Batch '{batch_id}': it is still processing. Cancel it first.")
            del self._batches[batch_id]
        return {"id": batch_id, "type": "message_batch_deleted"}

    def results(self, state: State, request: Request, batch_id: str) -> bytes:
        """`GET /v1/messages/batches/{id}/results`: one JSON object a line, in no order."""
        batch = self._find(request, batch_id)
        with self._lock:
            self._settle(state, batch)
        if not batch.ended:
            raise not_found(f"Message Batch '{batch_id}' has no available results: it is still processing.")
        for entry in batch.entries:
            entry.seen = True
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in batch.lines).encode(
            "utf-8", "surrogatepass"
        )

    def settle_all(self, state: State) -> None:
        """End every batch that is due, so that the bill is complete."""
        with self._lock:
            for batch in self._batches.values():
                self._settle(state, batch)

    def _find(self, request: Request, batch_id: str) -> Batch:
        with self._lock:
            batch = self._batches.get(batch_id)
        if batch is None or batch.owner != request.key:
            raise not_found(f"Message Batch '{batch_id}' not found.")
        return batch

    def _shown(self, state: State, batch: Batch, request: Request) -> dict[str, Any]:
        with self._lock:
            self._settle(state, batch)
            return batch.as_json(request.base_url)

    def _settle(self, state: State, batch: Batch) -> None:
        now = datetime.now(UTC)
        if batch.ended or not (batch.canceled or now >= batch.due):
            return
        done = int(len(batch.requests) * batch.done_share())
        results = [
            run(state, batch, item) if index < done else {"type": "canceled"}
            for index, item in enumerate(batch.requests)
        ]
        batch.lines = [
            {"custom_id": item["custom_id"], "result": result}
            for item, result in zip(batch.requests, results, strict=True)
        ]
        random.Random(batch.id).shuffle(batch.lines)
        batch.ended = now if batch.canceled else batch.due


def check_envelope(body: Any) -> list[Mapping[str, Any]]:
    """The requests of a new batch; 400 for what is refused at once."""
    if not isinstance(body, dict) or not isinstance(body.get("requests"), list):
        raise invalid("requests: Field required" if isinstance(body, dict) else "Input should be a valid dictionary")
    for name in body.keys() - {"requests"}:
        raise invalid(f"{name}: Extra inputs are not permitted")
    requests: list[Mapping[str, Any]] = body["requests"]
    if not requests:
        raise invalid("requests: List should have at least 1 item after validation, not 0")
    if len(requests) > MAX_REQUESTS:
        raise invalid(f"requests: List should have at most {MAX_REQUESTS} items after validation, not {len(requests)}")
    seen: set[str] = set()
    for index, item in enumerate(requests):
        custom_id = _check_item(index, item)
        if custom_id in seen:
            raise invalid(f"requests: `custom_id` must be unique: '{custom_id}' is used more than once")
        seen.add(custom_id)
    return requests


def _check_item(index: int, item: Any) -> str:
    where = f"requests.{index}"
    if not isinstance(item, dict):
        raise invalid(f"{where}: Input should be a valid dictionary")
    for name in ("custom_id", "params"):
        if name not in item:
            raise invalid(f"{where}.{name}: Field required")
    for name in item.keys() - {"custom_id", "params"}:
        raise invalid(f"{where}.{name}: Extra inputs are not permitted")
    if not isinstance(item["custom_id"], str) or not CUSTOM_ID.fullmatch(item["custom_id"]):
        raise invalid(f"{where}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
    if not isinstance(item["params"], dict):
        raise invalid(f"{where}.params: Input should be a valid dictionary")
    return str(item["custom_id"])


def run(state: State, batch: Batch, item: Mapping[str, Any]) -> dict[str, Any]:
    """The result of one request; only a succeeded one is billed."""
    try:
        return _succeed(state, batch, item)
    except ApiError as error:
        return {"type": "errored", "error": error.body(None)}


def _succeed(state: State, batch: Batch, item: Mapping[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = dict(item["params"])
    if params.get("stream"):
        raise invalid("stream: streaming is not supported in batches")
    if params.get("speed") == "fast":
        raise invalid("speed: fast mode is not supported in batches")
    params, model = check_request(params, "create", batch.beta)
    faults = find_faults(None, user_text(params), model.id, state.counter)
    faults.raise_status()
    forced = _forced(faults)
    if forced:
        return forced
    message, _ = make_message(state, batch.owner, params, model, faults, batch=True)
    billed_as = f"{batch.id}/{item['custom_id']}"
    batch.entries.append(state.bill.add(billed_as, model.id, message["usage"], batch=True, seen=False))
    return {"type": "succeeded", "message": message}


def _forced(faults: Faults) -> dict[str, Any] | None:
    fault = faults.get("batch")
    if fault and fault.value == "errored":
        raise ApiError(500, "Internal server error")
    return {"type": fault.value} if fault and fault.value in ("expired", "canceled") else None


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
