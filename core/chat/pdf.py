"""How many pages has this PDF, and can anybody read it, said by its own bytes?

Source: ISO 32000, 7.5: objects may be packed into streams (from PDF 1.5 on), what was changed is added at the end while
the earlier version of it stays, and the key to an encrypted file stands in its trailer, or in the dictionary of the
stream that has taken the trailer's place. 7.7.3.2: each node of the tree of pages says how many are below it.
"""

from __future__ import annotations

import contextlib
import re
import sys
import zlib
from collections.abc import Iterator
from itertools import chain, islice

# Bytes that all packed objects together may have, for a small stream can claim to hold gigabytes.
MOST_UNPACKED = 32 * 1024 * 1024
# Bytes before and behind its type in which a dictionary is looked for.
_NEAR = 2000
# Trailers that are looked at: each version of a file adds one, and all say whether it is encrypted. And nodes of the
# tree of pages; each has several below it.
_TRAILERS, _NODES = 50, 500
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_PAGES = re.compile(rb"/Type\s*/Pages(?![a-zA-Z])")
_COUNT = re.compile(rb"/Count\s+(\d{1,9})")
_PACKED = re.compile(rb"/Type\s*/ObjStm(?![a-zA-Z])")
_BEGINS = re.compile(rb"stream\r?\n")
_TRAILER = re.compile(rb"(?:^|[\r\n ])trailer\s*<<|/Type\s*/XRef(?![a-zA-Z])")
_ENCRYPTED = re.compile(rb"/Encrypt\s*(?:\d+\s+\d+\s+R|<<)")


def pages_of(data: bytes) -> int:
    """About how many pages there are; 0 where the file does not say.

    Pages are counted in all versions that the file holds of them, and are no more than its own tree says.
    """
    found = said = 0
    for part in chain([data], _unpacked(data)):
        found += sum(1 for _ in _PAGE.finditer(part))
        said = max(said, _said(part))
    return min(found, said) if said else found


def is_encrypted(data: bytes) -> bool:
    """Whether it takes a password to read or to copy it."""
    return any(_ENCRYPTED.search(_dictionary(data, found)) for found in islice(_TRAILER.finditer(data), _TRAILERS))


def _said(part: bytes) -> int:
    """The most pages that stand below one node; 0 where none tells, and any number where they are too many."""
    nodes = list(islice(_PAGES.finditer(part), _NODES + 1))
    if len(nodes) > _NODES:
        # The root, which knows, is often the last one.
        return sys.maxsize
    return max((int(count) for node in nodes for count in _COUNT.findall(_dictionary(part, node))), default=0)


def _unpacked(data: bytes) -> Iterator[bytes]:
    """What the packed streams hold, each byte of the file read once."""
    left, at = MOST_UNPACKED, 0
    while left > 0 and (found := _PACKED.search(data, at)):
        at = found.end()
        begins = _BEGINS.search(data, at, at + _NEAR)
        if begins is None:
            continue
        at = data.find(b"endstream", begins.end())
        if at < 0:
            return
        with contextlib.suppress(zlib.error):
            part = zlib.decompressobj().decompress(data[begins.end() : at], left)
            left -= len(part)
            yield part


def _dictionary(data: bytes, found: re.Match[bytes]) -> bytes:
    """What stands around its type, from where the object begins to where its stream or the next thing does."""
    begin, end = max(0, found.start() - _NEAR), found.end() + _NEAR
    before, after = data[begin : found.start()], data[found.start() : end]
    return before[before.rfind(b"obj") + 1 :] + re.split(rb"stream|startxref", after, maxsplit=1)[0]
