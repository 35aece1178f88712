"""What does the provider's cost report say? The bill, per time bucket and group, in fractional cents.

`GET /v1/organizations/analytics/cost` as the SDK's `beta.organization.analytics.cost.list` asks for it: with an admin
key and the beta header. Only what the bill knows can be grouped or filtered by; what else the real endpoint takes is
refused by name, so that nobody takes an unfiltered report for a filtered one.
"""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from core.simulator.bill import Entry, plain
from core.simulator.errors import ApiError, invalid
from core.simulator.requests import Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.simulator.state import State

ADMIN_KEY = "sk-ant-admin"
BETA = "analytics-usage-cost-2026-08-24"
CENTS = Decimal(100)
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
LONGEST = timedelta(days=31)
LONGEST_BY_MINUTE = timedelta(hours=24)
WIDTHS = {"1d": timedelta(days=1), "1h": timedelta(hours=1), "1m": timedelta(minutes=1)}
HOUR = WIDTHS["1h"]
MOST_ROWS = 1000

GROUPS: Mapping[str, Callable[[Entry], str | None]] = {
    "model": lambda entry: entry.model,
    "product": lambda entry: "message_batches_api" if entry.batch else "messages_api",
    "service_tier": lambda entry: "batch" if entry.batch else entry.usage.get("service_tier"),
    "speed": lambda entry: entry.usage.get("speed") or "standard",
    "inference_geo": lambda entry: geo if (geo := entry.usage.get("inference_geo")) in ("global", "us") else None,
}
# Every dimension that a row of the real report has.
DIMENSIONS = (
    "actor", "actor_type", "agent_id", "api_key_id", "claude_tag_category", "claude_tag_user_id", "context_window",
    "cost_type", "deployment_id", "environment_id", "inference_geo", "model", "organization_id", "product",
    "rbac_group_id", "service_tier", "session_id", "slack_channel_id", "speed", "token_type", "user_profile_id",
    "workspace_id",
)  # fmt: skip
FILTERS = {"models": "model", "products": "product", "service_tiers": "service_tier", "speeds": "speed"}
SINGLE = ("starting_at", "ending_at", "time_bucket_width", "limit", "page", "order", "order_by", "beta")


@dataclass(frozen=True)
class Query:
    """A checked question. `width` is None for one row over the whole range."""

    start: datetime
    end: datetime
    width: timedelta | None
    group_by: Sequence[str]
    filters: Mapping[str, Sequence[str]]
    limit: int
    offset: int
    order_by: str
    descending: bool


@dataclass
class Row:
    """One line of the report. Its amounts are in USD."""

    start: datetime
    end: datetime
    group: Mapping[str, str | None]
    amount: Decimal = Decimal(0)
    requests: int = 0

    def as_json(self) -> dict[str, Any]:
        """The shape of the SDK's `BetaAnalyticsCostItem`."""
        cents = plain(self.amount * CENTS)
        return {
            "cost": {"amount": cents, "currency": "USD", "list_amount": cents, "requests": self.requests},
            "starting_at": _text(self.start),
            "ending_at": _text(self.end),
            "group": {name: self.group.get(name) for name in DIMENSIONS},
        }


def cost(state: State, request: Request) -> Reply:
    """`GET /v1/organizations/analytics/cost`."""
    check_admin_key(request)
    if BETA not in request.headers.get("anthropic-beta", ""):
        raise invalid(f"anthropic-beta: this endpoint is in beta; send {BETA}")
    query = read_query(request.query, datetime.now(UTC))
    state.batches.settle_all(state)
    rows = make_rows(query, state.differences.applied_to(state.bill.entries()))
    page = rows[query.offset : query.offset + query.limit]
    end = query.offset + len(page)
    more = end < len(rows)
    return Reply(
        {
            "data": [row.as_json() for row in page],
            "has_more": more,
            "next_page": _cursor(end) if more else None,
            "data_refreshed_at": _text(datetime.now(UTC)),
        }
    )


def check_admin_key(request: Request) -> None:
    """403 for a key that may send messages and nothing else."""
    if not request.key.startswith(ADMIN_KEY):
        raise ApiError(403, "This endpoint requires an Admin API key or a key with the `read:analytics` scope.")


def make_rows(query: Query, entries: Iterable[Entry]) -> list[Row]:
    """The report, whole and in order."""
    found: dict[tuple[Any, ...], Row] = {}
    for entry in entries:
        if not (query.start <= entry.at < query.end and _passes(query, entry)):
            continue
        start, end = _bucket(query, entry.at)
        group = {name: GROUPS[name](entry) for name in query.group_by}
        row = found.setdefault((start, *group.values()), Row(start, end, group))
        row.amount += entry.amount_usd
        row.requests += 1
    rows = sorted(found.values(), key=lambda row: row.amount, reverse=query.descending or query.order_by == "time")
    if query.order_by == "time":
        rows.sort(key=lambda row: row.start, reverse=query.descending)
    return rows


def _passes(query: Query, entry: Entry) -> bool:
    return all(GROUPS[name](entry) in values for name, values in query.filters.items())


def _bucket(query: Query, at: datetime) -> tuple[datetime, datetime]:
    if query.width is None:
        return query.start, query.end
    start = _floor(at, query.width)
    return start, start + query.width


def read_query(given: Mapping[str, Sequence[str]], now: datetime) -> Query:
    """The question behind the parameters; 400 with the parameter's name for what is wrong with one."""
    one, many = _parameters(given)
    width = WIDTHS[_choice(one, "time_bucket_width", (*WIDTHS,), "")] if one.get("time_bucket_width") else None
    start, end = _range(one, width, now)
    return Query(
        start=start,
        end=end,
        width=width,
        group_by=_groups(many.get("group_by", ())),
        filters={FILTERS[name]: values for name, values in many.items() if name in FILTERS},
        limit=_limit(one.get("limit", "20")),
        offset=_offset(one.get("page", "")),
        order_by=_choice(one, "order_by", ("amount", "list_amount", "time"), "amount"),
        descending=_choice(one, "order", ("asc", "desc"), "desc") == "desc",
    )


def _parameters(given: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], dict[str, Sequence[str]]]:
    """Single values and lists, the latter spelt `name[]`."""
    one: dict[str, str] = {}
    many: dict[str, Sequence[str]] = defaultdict(list)
    for name, values in given.items():
        if name in SINGLE:
            one[name] = values[-1]
        elif name.endswith("[]") and name[:-2] in {"group_by", *FILTERS}:
            many[name[:-2]] = values
        else:
            raise invalid(f"{name}: the simulator's cost report has no such parameter")
    return one, many


def _range(one: Mapping[str, str], width: timedelta | None, now: datetime) -> tuple[datetime, datetime]:
    if "starting_at" not in one:
        raise invalid("starting_at: Field required")
    if width and not one.get("ending_at"):
        raise invalid("ending_at: required when time_bucket_width is set")
    start = _moment("starting_at", one["starting_at"])
    end = _moment("ending_at", one["ending_at"]) if one.get("ending_at") else min(now, start + LONGEST)
    if start < max(EARLIEST, now - timedelta(days=365)):
        raise invalid("starting_at: must be within the last 365 days and no earlier than 2026-01-01T00:00:00Z")
    if end <= start:
        raise invalid("ending_at: must be after starting_at")
    longest = LONGEST_BY_MINUTE if width == WIDTHS["1m"] else LONGEST
    if end - start > longest:
        raise invalid(f"ending_at: the range may span at most {longest}")
    return (_floor(start, width), end) if width else (_floor(start, HOUR), _floor(end, HOUR))


def _groups(names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if name not in DIMENSIONS:
            raise invalid(f"group_by: Input should be one of {', '.join(DIMENSIONS)}")
        if name not in GROUPS:
            raise invalid(f"group_by: the simulator's bill knows no {name}")
    return list(dict.fromkeys(names))


def _choice(one: Mapping[str, str], name: str, allowed: Sequence[str], default: str) -> str:
    value = one.get(name) or default
    if value not in allowed:
        raise invalid(f"{name}: Input should be one of {', '.join(allowed)}")
    return value


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST_ROWS):
        raise invalid(f"limit: Input should be a whole number from 1 to {MOST_ROWS}")
    return int(text)


def _cursor(offset: int) -> str:
    return "page_" + base64.urlsafe_b64encode(str(offset).encode()).decode()


def _offset(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor.removeprefix("page_")))
    except (ValueError, binascii.Error):
        raise invalid("page: no such page") from None


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"{name}: Input should be a valid RFC 3339 timestamp") from None
    if moment.tzinfo is None:
        raise invalid(f"{name}: Input should have timezone info")
    return moment.astimezone(UTC)


def _floor(moment: datetime, width: timedelta) -> datetime:
    return moment - (moment - EARLIEST) % width


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
