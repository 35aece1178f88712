"""What is this file, may it go along with a message, and how is it kept?

Sources of the limits: the API's pages on vision and PDF support. They count base64, which is a third longer than the
file, and the whole request, which holds all files of the chat.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import charset_normalizer
from django.utils import timezone

from core.chat import images, pdf
from core.chat.errors import FileError
from core.models import Attachment, StoredFile, Turn
from core.prompts.variables import LONGEST_TEXT

MB = 1024 * 1024
# Bytes of one file, by what it is; a file is a row, so none is larger than this whatever the API would take.
LARGEST_IMAGE = 15 * MB // 4
LARGEST_PDF = 10 * MB
# Of one message, and of all that a chat sends again with each.
MOST_FILES, LARGEST_MESSAGE = 10, 20 * MB
MOST_IMAGES, LARGEST_REQUEST = 20, 22 * MB
# Pixels of an image's longer side.
LONGEST_SIDE = 8000
# Source: the API's page on vision; an image is made smaller than what has more tokens.
PIXELS_PER_TOKEN, MOST_IMAGE_TOKENS = 750, 4800
# Source: the API's page on PDF support, 1,500 to 3,000 tokens a page and a picture of it; 100 pages at most.
TOKENS_PER_PAGE, MOST_PAGES = 2500, 100
# Bytes that stand for a page in a PDF that does not say how many it has, and pages that are thought of it at most: a
# scan has few and large ones, and no guess is to keep a file from being sent.
BYTES_PER_PAGE, MOST_GUESSED_PAGES = 60_000, 20
# Of UTF-8, so a letter of English is one and a sign of Chinese three: it takes about as many tokens more.
BYTES_PER_TOKEN = 3.5
PDF, TEXT = "application/pdf", "text/plain"
KINDS = "PNG, JPEG, GIF and WebP images, PDF, and text of any kind"


@dataclass(frozen=True)
class Incoming:
    """A file that may go along. A text's data is UTF-8, whatever it was before."""

    name: str
    media_type: str
    data: bytes
    tokens: int


def read(name: str, data: bytes) -> Incoming:
    """The file as it will be sent. Raises `FileError` with a sentence for whoever chose it."""
    name = _clean_name(name)
    if not data:
        raise FileError(f"«{name}» is empty.")
    kind = images.kind_of(data)
    if kind:
        return _image(name, kind, data)
    return _pdf(name, data) if data.startswith(b"%PDF-") else _text(name, data)


def tokens_of_text(text: str) -> int:
    """About how many tokens a text is, counted here without asking anybody."""
    return math.ceil(len(text.encode(errors="replace")) / BYTES_PER_TOKEN)


def check_together(files: Sequence[Incoming], kept: Sequence[Attachment] = ()) -> None:
    """Raise `FileError` where they are too many, or too much, for one message, with those that go along again."""
    if len(files) + len(kept) > MOST_FILES:
        raise FileError(f"A message can have {MOST_FILES} files at most.")
    if sum(len(file.data) for file in files) + sum(file.size for file in kept) > LARGEST_MESSAGE:
        raise FileError(f"The files of a message can have {LARGEST_MESSAGE // MB} MB together.")


def store(files: Iterable[Incoming]) -> list[Attachment]:
    """Keep their bytes, each once, and answer their attachments, still to be saved with a turn."""
    kept = []
    for file in files:
        digest = hashlib.sha256(file.data).hexdigest()
        # To use it anew keeps it from being tidied away at this very moment.
        if not StoredFile.objects.filter(pk=digest).update(used_at=timezone.now()):
            StoredFile.objects.bulk_create([StoredFile(pk=digest, data=file.data)], ignore_conflicts=True)
        kept.append(
            Attachment(
                file_id=digest, name=file.name, media_type=file.media_type, size=len(file.data), tokens=file.tokens
            )
        )
    return kept


def again(attachments: Iterable[Attachment]) -> list[Attachment]:
    """The same files for another turn."""
    copies = [
        Attachment(file_id=each.file_id, name=each.name, media_type=each.media_type, size=each.size, tokens=each.tokens)
        for each in attachments
    ]
    StoredFile.objects.filter(pk__in=[copy.file_id for copy in copies]).update(used_at=timezone.now())
    return copies


def attach(turn: Turn, attachments: Sequence[Attachment]) -> None:
    """Save what `store` and `again` made."""
    for position, attachment in enumerate(attachments):
        attachment.turn, attachment.position = turn, position
    Attachment.objects.bulk_create(attachments)


def _image(name: str, kind: str, data: bytes) -> Incoming:
    _check_size(name, data, LARGEST_IMAGE, "an image")
    size = images.size_of(data, kind)
    if size is None or min(size) < 1:
        raise FileError(f"«{name}» is broken: it begins like an image, and is none.")
    if max(size) > LONGEST_SIDE:
        raise FileError(f"«{name}» is {size[0]:,} × {size[1]:,} pixels; {LONGEST_SIDE:,} a side is the most.")
    tokens = min(MOST_IMAGE_TOKENS, math.ceil(size[0] * size[1] / PIXELS_PER_TOKEN))
    return Incoming(name, kind, data, tokens)


def _pdf(name: str, data: bytes) -> Incoming:
    _check_size(name, data, LARGEST_PDF, "a PDF")
    if pdf.is_encrypted(data):
        raise FileError(f"«{name}» is protected by a password or against copying. Claude cannot read it.")
    pages = pdf.pages_of(data) or min(MOST_GUESSED_PAGES, math.ceil(len(data) / BYTES_PER_PAGE))
    if pages > MOST_PAGES:
        raise FileError(f"«{name}» has about {pages} pages; {MOST_PAGES} are the most.")
    return Incoming(name, PDF, data, pages * TOKENS_PER_PAGE)


def _text(name: str, data: bytes) -> Incoming:
    _check_size(name, data, 4 * LONGEST_TEXT, "a text")
    text = _decoded(data)
    if text is None or "\x00" in text:
        raise FileError(f"«{name}» cannot be sent. Possible are {KINDS}.")
    if len(text) > LONGEST_TEXT:
        raise FileError(f"«{name}» has {len(text):,} characters; {LONGEST_TEXT:,} are the most.")
    if not text.strip():
        raise FileError(f"«{name}» is empty.")
    return Incoming(name, TEXT, text.encode(), tokens_of_text(text))


def _decoded(data: bytes) -> str | None:
    """UTF-8 where it is that; otherwise the likeliest, unless too much of it would be no text at all."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Most of what is not UTF-8 and has a NUL is no text; UTF-16 has them and says so first.
        if b"\x00" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return None
        best = charset_normalizer.from_bytes(data).best()
        return None if best is None else str(best)


def _check_size(name: str, data: bytes, most: int, what: str) -> None:
    if len(data) > most:
        raise FileError(f"«{name}» has {len(data) / MB:.1f} MB; {what} can have {most / MB:.1f} MB.")


def _clean_name(name: str) -> str:
    """The last part of a path, without what could end a header or turn the line around."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(character for character in last if unicodedata.category(character)[0] != "C").strip()
    return kept[-150:] or "file"
