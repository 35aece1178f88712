"""Which name counts where a caller names no model?"""

from __future__ import annotations

from core.models import Key
from core.routing.book import book

# The ready-made route, for programs that leave the choice to this installation.
AUTO = "auto"
# Where no alias is marked as the usual one.
STANDARD = "standard"


def usual() -> str:
    """The name (alias or id) used where a caller names no model."""
    return book().usual or STANDARD


def for_key(key: Key | None, named: str = "") -> str:
    """What a program's choice of a model stands for: none, or «auto», is its key's own route where it has one."""
    if key is not None and key.route is not None and named in {"", AUTO}:
        return key.route.slug
    return named or usual()
