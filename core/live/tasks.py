"""How does work of an event loop begin that is done for all watchers, and how does any end?"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

# Seconds until an end is asked for again.
AGAIN = 0.05


def of_nobody(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task for all watchers: of the request in which it happens to begin it knows nothing, and outlives it."""
    return asyncio.get_running_loop().create_task(work, context=contextvars.Context())


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancel a task until it has ended; how it did is no news any more.

    Once may not do: until Python 3.12 `asyncio.wait_for`, by which redis-py reads and writes, loses a cancellation that
    comes together with what it waits for. A response that streams may wait by it, too.
    """
    while task and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN)
    if task and not task.cancelled():
        task.exception()
