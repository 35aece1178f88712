"""Why can a message not be sent? Sentences for whoever wrote it."""

from __future__ import annotations


class ChatError(ValueError):
    """Nothing was sent and nothing is billed; the message says what to do."""


class FileError(ChatError):
    """A file that cannot go along."""


class StillAnsweringError(ChatError):
    """One answer at a time, so that it is always clear what a message is about."""

    def __init__(self) -> None:
        super().__init__("Claude is still answering in this chat. Wait for the end, or stop the answer.")


class FullError(ChatError):
    """More than the model can hold; what is left out is a person's decision."""
