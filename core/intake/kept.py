"""Was this very request answered a short while ago, and may that answer be given again?

Off unless a key or a prompt says for how long. An answer is kept for the key and its owner, or for the prompt and the
person; a prompt may say that all who use it share.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from core.models import Call, Key, Prompt, User


@dataclass(frozen=True)
class Keeping:
    """For whom and for what an answer is kept, as a digest, and for how many minutes it may be given again."""

    digest: str = ""
    minutes: int = 0

    def find(self) -> Call | None:
        """The newest answer that Claude gave within that time; one that was itself kept, or written here, is none."""
        if not self.digest:
            return None
        since = timezone.now() - dt.timedelta(minutes=self.minutes)
        answered = Call.objects.filter(
            keep_digest=self.digest,
            status=Call.Status.SUCCEEDED,
            finished_at__gte=since,
            kept_from=None,
            written=False,
        )
        return answered.order_by("-created_at").first()


def for_key(key: Key, body: Mapping[str, Any], headers: Mapping[str, str], query: str = "") -> Keeping:
    """What a key's own setting says of this request; a stream with tools is part of a conversation that goes on."""
    if not key.cache_minutes or (body.get("stream") and body.get("tools")):
        return Keeping()
    asked = {name: value for name, value in body.items() if name != "stream"}
    return Keeping(_digest("key", key.pk, key.user_id, asked, dict(headers), query), key.cache_minutes)


def for_prompt(prompt: Prompt, user: User | None, request: Mapping[str, Any]) -> Keeping:
    """What a prompt's setting says; somebody who is not signed in gets only what all share."""
    if not prompt.cache_minutes or (user is None and not prompt.cache_shared):
        return Keeping()
    whose = None if prompt.cache_shared or user is None else user.pk
    return Keeping(_digest("prompt", prompt.pk, whose, request), prompt.cache_minutes)


def give_again(kept: Call, **fields: Any) -> Call:
    """A call of its own that has the kept answer: nothing was sent, so it costs and reserves nothing."""
    now = timezone.now()
    return Call.objects.create(
        **fields,
        status=Call.Status.SUCCEEDED,
        kept_from=kept,
        started_at=now,
        finished_at=now,
        model=kept.model,
        reason="The same request was answered a short while ago, and that answer is given again.",
        text=kept.text,
        content=kept.content,
        envelope=kept.envelope,
        stop_reason=kept.stop_reason,
        request_id=kept.request_id,
    )


def _digest(*parts: Any) -> str:
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
