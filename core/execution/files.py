"""Where do the files come from that a stored request only names?

A call of a chat keeps of each file what it is and its digest, so that a long chat does not keep its pictures once for
each message. They are put in when the request is sent.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from core.models import StoredFile

# What stands in place of a file's data, as with `core.intake.requests.kept_form`, and beside it the file's digest.
OMITTED, FILE = "omitted", "file"
GONE = {"type": "text", "text": "[This file is not kept any more.]"}


def named(sha256: str, media_type: str, size: int) -> dict[str, Any]:
    """The source of an image or document block whose data is in `StoredFile`."""
    return {"type": "base64", "media_type": media_type, "data": {OMITTED: size, FILE: sha256}}


def with_files(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request as it is sent. One query where it names files, and none otherwise."""
    return _filled_in(request, {"base64", "text"})


def with_texts(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request with its text files only: what it takes to say how long it is."""
    return _filled_in(request, {"text"})


def _filled_in(request: Mapping[str, Any], kinds: Collection[str]) -> Mapping[str, Any]:
    wanted = set(_digests(request.get("messages"), kinds))
    if not wanted:
        return request
    data = {file.pk: bytes(file.data) for file in StoredFile.objects.filter(pk__in=wanted)}
    messages = [{**message, "content": _content(message["content"], data, kinds)} for message in request["messages"]]
    return {**request, "messages": messages}


def _digests(messages: Any, kinds: Collection[str]) -> Iterator[str]:
    for message in messages if isinstance(messages, list) else ():
        for block in _blocks(message):
            if (digest := _digest(block)) and block["source"]["type"] in kinds:
                yield digest


def _blocks(message: Any) -> list[Any]:
    content = message.get("content") if isinstance(message, Mapping) else None
    return content if isinstance(content, list) else []


def _digest(block: Any) -> str:
    source = block.get("source") if isinstance(block, Mapping) else None
    data = source.get("data") if isinstance(source, Mapping) else None
    return str(data.get(FILE, "")) if isinstance(data, Mapping) else ""


def _content(content: Any, data: Mapping[str, bytes], kinds: Collection[str]) -> Any:
    return [_filled(block, data, kinds) for block in content] if isinstance(content, list) else content


def _filled(block: dict[str, Any], data: Mapping[str, bytes], kinds: Collection[str]) -> dict[str, Any]:
    digest = _digest(block)
    if not digest or block["source"]["type"] not in kinds:
        return block
    if digest not in data:
        marks = {name: value for name, value in block.items() if name == "cache_control"}
        return {**GONE, **marks}
    written = data[digest].decode() if block["source"]["type"] == "text" else base64.b64encode(data[digest]).decode()
    return {**block, "source": {**block["source"], "data": written}}
