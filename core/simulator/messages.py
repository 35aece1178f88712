"""How is a message created, streamed, broken on request, and billed?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from core.simulator.bill import Entry
from core.simulator.catalogue import Model
from core.simulator.connection import ClientGoneError, Connection
from core.simulator.faults import HEADER, Fault, Faults, event_error, find_faults
from core.simulator.generation import Generation, generate
from core.simulator.reading import user_text
from core.simulator.requests import Reply, Request
from core.simulator.state import State, new_id
from core.simulator.stream import Event, error_event, stream_events
from core.simulator.tokens import count_prompt, prompt_blocks
from core.simulator.usage import full_usage, with_output
from core.simulator.validation import check_request

JSON_SPEED_UP = 4  # a whole answer takes a quarter of the time that its stream would
LONGEST_JSON_WAIT = 8.0  # seconds
FOREVER = 600.0  # seconds: the SDK's own timeout


@dataclass
class Exchange:
    """One accepted request: its answer, and who waits for it."""

    state: State
    request: Request
    connection: Connection
    params: Mapping[str, Any]
    model: Model
    faults: Faults

    @cached_property
    def answer(self) -> tuple[dict[str, Any], Generation]:
        """The message as JSON, made on first use: what fails before costs nothing."""
        return make_message(self.state, self.request.key, self.params, self.model, self.faults)

    def bill(self, usage: Mapping[str, Any], *, seen: bool) -> Entry:
        """Charge what was generated."""
        tokens = usage["input_tokens"] + usage["cache_creation_input_tokens"]
        self.state.limits.charge(self.request.key, input_tokens=tokens, output_tokens=usage["output_tokens"])
        return self.state.bill.add(self.request.id, self.model.id, usage, batch=False, seen=seen)


def create_message(state: State, request: Request, connection: Connection) -> None:
    """`POST /v1/messages`."""
    params, model = check_request(request.json(), "create", request.beta)
    text = user_text(params)
    state.limits.admit(text)
    request.limits = state.limits.headers(request.key)
    faults = find_faults(request.headers.get(HEADER), text, model.id, state.counter)
    faults.raise_status()
    exchange = Exchange(state, request, connection, params, model, faults)
    if _fails_before_answer(exchange):
        return
    if params.get("stream"):
        _Player(exchange).play()
    else:
        _answer_json(exchange)


def count_tokens(_state: State, request: Request) -> Reply:
    """`POST /v1/messages/count_tokens`."""
    params, model = check_request(request.json(), "count", request.beta)
    faults = find_faults(request.headers.get(HEADER), user_text(params), model.id, _state.counter)
    faults.raise_status()
    return Reply({"input_tokens": count_prompt(params)})


def make_message(
    state: State, owner: str, params: Mapping[str, Any], model: Model, faults: Faults, *, batch: bool = False
) -> tuple[dict[str, Any], Generation]:
    """A whole message in the shape of the SDK's `Message`; reads and writes the prompt cache."""
    split = state.cache.split(owner, model, prompt_blocks(params))
    generation = generate(params, model, faults)
    usage = full_usage(params, model, split, batch=batch)
    message = {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": model.id,
        "content": [part.block for part in generation.parts],
        "stop_reason": generation.stop_reason,
        "stop_sequence": generation.stop_sequence,
        "stop_details": generation.stop_details,
        "usage": with_output(usage, generation.output_tokens, generation.thinking_tokens, generation.searches),
    }
    return message, generation


def _fails_before_answer(exchange: Exchange) -> bool:
    """Play what strikes before anything is generated; true if there will be no answer."""
    drop = exchange.faults.get("drop")
    if drop and drop.after is None:
        exchange.connection.drop()
        return True
    for name, default in (("hang", FOREVER), ("slow", 3.0)):
        fault = exchange.faults.get(name)
        if fault and fault.after is None:
            exchange.connection.wait(fault.number("seconds", default))
    return False


def _answer_json(exchange: Exchange) -> None:
    connection, faults = exchange.connection, exchange.faults
    broken = faults.get("error-event")
    if broken:
        raise event_error(broken)
    message, generation = exchange.answer
    entry = exchange.bill(message["usage"], seen=False)
    hang = faults.get("hang")
    if hang and hang.after is not None:
        connection.wait(hang.number("seconds", FOREVER))
    pace = exchange.state.pace
    connection.wait(min(LONGEST_JSON_WAIT, generation.output_tokens / pace / JSON_SPEED_UP) if pace else 0)
    if faults.get("drop"):
        connection.drop()
        return
    cut = faults.get("cut") is not None
    entry.seen = not cut
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        connection.send(200, exchange.request.reply_headers("application/json"), body, cut=cut)
    except ClientGoneError:
        entry.seen = False


class _Player:
    """Plays one stream: paced, broken where a fault strikes, billed for what was generated by then."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.connection = exchange.connection
        self.message, self.generation = exchange.answer
        self.entry: Entry | None = None
        self.last = Event("", {}, 0, 0, 0)
        self.deltas = 0

    def play(self) -> None:
        """Send all events, or as many as the client and the faults allow."""
        try:
            self.connection.start_stream(self.exchange.request.reply_headers("text/event-stream; charset=utf-8"))
            for event in stream_events(self.message, self.generation):
                if self._struck(event):
                    return
                self._send(event)
            self.connection.end_stream()
        except ClientGoneError:
            if self.entry:
                self.entry.seen = False
        finally:
            if not self.entry:
                self._charge(seen=False)

    def _send(self, event: Event) -> None:
        pace = self.exchange.state.pace
        self.connection.wait((event.output - self.last.output) / pace if pace else 0)
        self.last = event
        self.deltas += event.is_delta
        if event.name == "message_delta":
            self._charge(seen=True)
        self.connection.send_chunk(event.encode())

    def _charge(self, *, seen: bool) -> None:
        """On the bill before the client can look at it."""
        last = self.last
        usage = with_output(self.message["usage"], last.output, last.thinking, last.searches)
        if not last.searches:
            usage.pop("server_tool_use", None)
        self.entry = self.exchange.bill(usage, seen=seen)

    def _struck(self, event: Event) -> bool:
        """Play the fault that is due before this event; true if the stream ends with it."""
        faults = self.exchange.faults
        hang = faults.get("hang")
        if hang and self._due(hang, event):
            self.connection.wait(hang.number("seconds", FOREVER))
        for name, end in (("error-event", self._fail), ("cut", self._cut), ("drop", self._drop)):
            fault = faults.get(name)
            if fault and self._due(fault, event):
                self._charge(seen=False)
                end(fault)
                return True
        return False

    def _due(self, fault: Fault, event: Event) -> bool:
        if event.name == "message_delta":
            return fault.after is None or fault.after >= self.deltas
        return event.is_delta and (fault.after or 0) == self.deltas

    def _fail(self, fault: Fault) -> None:
        self.connection.send_chunk(error_event(event_error(fault), self.exchange.request.id))
        self.connection.end_stream()

    def _cut(self, _fault: Fault) -> None:
        self.connection.end_stream()

    def _drop(self, _fault: Fault) -> None:
        self.connection.drop()
