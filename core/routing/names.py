"""Which name counts where a caller names no model?"""

from __future__ import annotations

from core.models import Key
from core.routing.book import Book, book
from core.routing.choose import Plan, plan

# The ready-made route, for programs that leave the choice to this installation.
AUTO = "auto"
# Where no alias is marked as the usual one.
STANDARD = "standard"


def usual() -> str:
    """The name (alias or id) used where a caller names no model."""
    return _usual(book())


def for_key(key: Key | None, named: str = "") -> str:
    """What a program names stands for; nothing, or «auto», is its key's own route or model, where it has one."""
    return _for_key(key, named, book())


def plan_for(key: Key | None, named: str = "", stamp: str = "") -> Plan:
    """What that can lead to, by one look at what is in force. Raises `UnknownModelError`.

    `stamp` is that of what is in force, where the caller has just read it.
    """
    now = book(stamp)
    return plan(_for_key(key, named, now), now)


def _usual(now: Book) -> str:
    return now.usual or STANDARD


def _for_key(key: Key | None, named: str, now: Book) -> str:
    own = _own(key, now) if key is not None and named in {"", AUTO} else ""
    return own or named or _usual(now)


def _own(key: Key, now: Book) -> str:
    if key.route_id is None:
        return key.model
    # One that nobody published is asked for all the same: it is refused by its name.
    return now.slugs.get(key.route_id) or str(key.route and key.route.slug)
