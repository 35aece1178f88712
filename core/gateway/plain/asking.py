"""How does what a script sent become a call, and the same that it sends again the same call?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse

from core.gateway.entry import take
from core.gateway.messages import CHARACTERS_PER_TOKEN, name_of
from core.gateway.plain.shapes import Options
from core.intake import kept, limits, same
from core.intake.accept import accept
from core.intake.by_name import named_inputs, version_for
from core.intake.requests import Asking, accept_request
from core.models import Call, Key

# Tokens of an answer whose length nobody named.
USUAL_MAX_TOKENS = 4096


@dataclass(frozen=True)
class Asked:
    """A call, whether an earlier request made it, and where its key stands with its limits."""

    call: Call
    earlier: bool
    standing: limits.Standing

    @property
    def to_run(self) -> bool:
        """Whether it is this request's to run; a kept answer is there already."""
        return not self.earlier and self.call.kept_from_id is None

    def tell(self, response: HttpResponse) -> None:
        """Say in the headers what all of the gateway says."""
        response["x-claudeapp-call"] = str(self.call.pk)
        if self.earlier:
            response["x-claudeapp-replayed"] = "true"
        if self.call.kept_from_id:
            response["x-claudeapp-kept"] = str(self.call.kept_from_id)
        for name, value in self.standing.headers().items():
            response[name] = value


def asked(request: HttpRequest, make: Callable[[], Call]) -> Asked:
    """The call that `make` makes, or the one that an earlier request of the same name made; counted by the limits."""
    key, body, token = sender(request), request.body, name_of(request)
    standing = take(key, round(len(body) / CHARACTERS_PER_TOKEN))
    try:
        # The address too: one body can mean something at two of them.
        digest = hashlib.sha256(request.path.encode() + b"\n" + body).hexdigest()
        call, earlier = same.named(key, token, digest, make) if token else (make(), False)
    except Exception:
        limits.give(standing, 0)
        raise
    if earlier or call.kept_from_id:
        limits.give(standing, 0)
    return Asked(call, earlier, standing)


def sender(request: HttpRequest) -> Key:
    """The key that ninja let in."""
    key: Key = request.auth  # type: ignore[attr-defined]
    return key


def ask_text(key: Key, text: str, options: Options, lane: str) -> Call:
    """A call for a text of the script's own. Raises what `accept_request` does."""
    request = request_of(text, options)
    keeping = kept.for_key(key, request, {})
    asking = Asking(key.user, key, Call.Door.API, lane, keeping=keeping, in_force=key.in_force)
    return accept_request(request, asking)


def ask_prompt(key: Key, slug: str, inputs: dict[str, Any], lane: str) -> Call:
    """A call for a prompt of this installation. Raises what `accept` and `version_for` do."""
    version = version_for(key, slug)
    return accept(version, named_inputs(version, inputs), user=key.user, key=key, door=Call.Door.API, lane=lane)


def request_of(text: str, options: Options) -> dict[str, Any]:
    """The Messages request for a text; without a model's name where the script gave none."""
    request: dict[str, Any] = {
        "model": options.model or "",
        "max_tokens": options.max_tokens or USUAL_MAX_TOKENS,
        "messages": [{"role": "user", "content": text}],
    }
    return {**request, "system": options.system} if options.system else request
