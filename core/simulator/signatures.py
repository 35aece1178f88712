"""Which model wrote this thinking block?"""

from __future__ import annotations

import base64
import binascii
import hashlib

PREFIX = "simulator/"


def sign(model_id: str, thinking: str) -> str:
    """The signature of a thinking block: it names the model, so that no other model takes the block."""
    digest = hashlib.sha256(thinking.encode()).hexdigest()[:32]
    return base64.b64encode(f"{PREFIX}{model_id}/{digest}".encode()).decode()


def signed_by(signature: str) -> str | None:
    """The model that signed, or None for a signature that is not ours."""
    try:
        text = base64.b64decode(signature, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    if not text.startswith(PREFIX):
        return None
    return text.removeprefix(PREFIX).rpartition("/")[0]
