"""Which events of a try may the caller see already?

Before the first piece of an answer, another try or another model could still give it. Until then the events are held
back, in their order; that the connection lives is told apart.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils import timezone

from core.claude.client import Event
from core.execution.watching import Watch
from core.models import Call


class Showing:
    """What a watch is shown of a call that may need several tries."""

    def __init__(self, call: Call, watch: Watch) -> None:
        self.watch = watch
        # Whether anything was shown, and whether that was a piece of an answer.
        self.begun = False
        self.visible = False
        self._call = call
        self._hold = call.lane == Call.Lane.STREAM
        self._held: list[Event] = []
        self._headers: Mapping[str, str] = {}

    def start(self) -> None:
        """A new try; what was held of the one before is forgotten."""
        self._held = []
        self._headers = {}
        self.watch.started(self._call.attempt)

    def take(self, event: Event, headers: Mapping[str, str]) -> None:
        self._headers = headers
        if event.name == "content_block_delta" and _is_seen(event):
            self.release()
            self.visible = self._hold
        if not self._hold or self.visible:
            self._show(event)
            return
        self._held.append(event)
        if event.name == "ping":
            self.watch.alive(headers)

    def release(self) -> None:
        """Nothing more can change what is held."""
        held, self._held = self._held, []
        for event in held:
            self._show(event)

    def _show(self, event: Event) -> None:
        if not self.begun:
            self.watch.opened(self._headers)
            self.begun = True
        self.watch.event(event.name, event.data)
        if event.text:
            self._call.first_text_at = self._call.first_text_at or timezone.now()
            self.watch.text(event.text)


def _is_seen(event: Event) -> bool:
    """Whether somebody sees a piece of an answer; the signature below thoughts that are not shown is none."""
    # In a text it would stand with a backslash before its quotation marks.
    return bool(event.text) or '"signature_delta"' not in event.data
