"""Which faults did the client ask for? The table of directives is in the package's docstring."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from core.simulator.errors import MESSAGE_OF_TYPE, STATUS_OF_TYPE, ApiError, error_type, invalid

HEADER = "x-simulator-fault"
DIRECTIVE = re.compile(r"\[\[\s*simulate:\s*(.*?)\s*\]\]", re.DOTALL)
WORD = re.compile(r"""([A-Za-z][\w-]*)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+)))?""")

NAMES = (
    "status",
    "spend-limit",
    "error-event",
    "cut",
    "drop",
    "hang",
    "slow",
    "refusal",
    "long",
    "answer",
    "tool",
    "web-search",
    "batch",
)
NUMBERS = ("after", "seconds", "tokens", "uses", "times")
SPEND_LIMIT = (
    "You have reached your specified workspace API usage limits. You will regain access on {day} at 00:00 UTC."
)


@dataclass(frozen=True)
class Fault:
    """One directive: `[[simulate: NAME=value option=value …]]`."""

    name: str
    value: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def number(self, option: str, default: float) -> float:
        """A numeric option."""
        return float(self.options.get(option, default))

    @property
    def after(self) -> int | None:
        """After how many deltas it strikes; None if it does not wait for any."""
        return int(float(self.options["after"])) if "after" in self.options else None

    def applies_to(self, model_id: str) -> bool:
        """Whether its `model=` option, if any, names this model."""
        return self.options.get("model", "") in model_id


class Faults:
    """The faults of one request, by name."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._by_name = {fault.name: fault for fault in faults}

    def get(self, name: str) -> Fault | None:
        """The fault of that name, if it was asked for."""
        return self._by_name.get(name)

    def raise_status(self) -> None:
        """Fail with the status that was asked for, if one was."""
        limit = self.get("spend-limit")
        if limit:
            raise ApiError(400, SPEND_LIMIT.format(day=limit.value or "the first day of next month"))
        fault = self.get("status")
        if fault:
            raise status_error(fault)


class FaultCounter:
    """Counts requests per directive and text, for `times=N`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: Counter[object] = Counter()

    def clear(self) -> None:
        """Start to count again."""
        with self._lock:
            self._seen.clear()

    def still_due(self, fault: Fault, text: str) -> bool:
        """Whether this fault strikes this request; counts it."""
        if "times" not in fault.options:
            return True
        key = (fault.name, fault.value, tuple(sorted(fault.options.items())), text)
        with self._lock:
            self._seen[key] += 1
            return self._seen[key] <= int(fault.number("times", 1))


def find_faults(header: str | None, text: str, model_id: str, counter: FaultCounter) -> Faults:
    """The faults that strike a request with this header and this user text; 400 for a directive that is none."""
    asked = [parse(header)] if header else []
    asked += [parse(match) for match in DIRECTIVE.findall(text)]
    return Faults(fault for fault in asked if fault.applies_to(model_id) and counter.still_due(fault, text))


def parse(directive: str) -> Fault:
    """`status=529 retry-after=2` → Fault("status", "529", {"retry-after": "2"})."""
    words = list(_words(directive))
    if not words or words[0][0] not in NAMES:
        raise invalid(f"simulator: unknown directive '{directive}'. Known: {', '.join(NAMES)}")
    (name, value), options = words[0], dict(words[1:])
    for option in NUMBERS:
        if option in options and not re.fullmatch(r"\d+(\.\d+)?", options[option]):
            raise invalid(f"simulator: {option} should be a number, not '{options[option]}'")
    if name == "status" and not re.fullmatch(r"[45]\d\d", value):
        raise invalid(f"simulator: status should be 400 to 599, not '{value}'")
    return Fault(name, value, options)


def _words(directive: str) -> Iterator[tuple[str, str]]:
    for name, quoted, plain in WORD.findall(directive):
        yield name, plain or quoted.replace(r"\n", "\n").replace(r"\"", '"').replace(r"\\", "\\")


def without_directives(text: str) -> str:
    """What is left for the model to read."""
    return DIRECTIVE.sub("", text).strip()


def status_error(fault: Fault) -> ApiError:
    """The error that `status=…` asks for."""
    status, options = int(fault.value), fault.options
    kind = options.get("type") or error_type(status)
    code = options.get("error_code")
    headers = {name: options[name] for name in ("retry-after", "retry-after-ms") if name in options}
    if status == 429 and not code:
        headers.setdefault("retry-after", "1")
    if headers.get("retry-after") == "none":
        del headers["retry-after"]
    if "should-retry" in options:
        headers["x-should-retry"] = options["should-retry"]
    message = options.get("message") or MESSAGE_OF_TYPE.get(kind, f"Simulated status {status}")
    return ApiError(status, message, type=kind, headers=headers, error_code=code)


def event_error(fault: Fault) -> ApiError:
    """The error that `error-event=…` asks for."""
    kind = fault.value or "overloaded_error"
    message = fault.options.get("message") or MESSAGE_OF_TYPE.get(kind, "Simulated error event")
    return ApiError(STATUS_OF_TYPE.get(kind, 500), message, type=kind)
