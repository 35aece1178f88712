"""What does the database raise where it is away, or takes no changes for a while, so that trying again is worth it?"""

from __future__ import annotations

from typing import Final

from django.db import InterfaceError, InternalError, OperationalError

# The last: of a PostgreSQL that may only be read, as one is that another has taken over from, or whose disk is full.
AWAY: Final = (OperationalError, InterfaceError, InternalError)
