"""Which files may go along with a message, whatever they are called, and how do they come back?"""

from __future__ import annotations

import base64
import datetime as dt
import tracemalloc
import zlib

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from core.chat import ending, files, pdf, say
from core.chat.errors import FileError
from core.chat.files import Incoming, read
from core.chat.images import size_of
from core.chat.say import Message
from core.execution.files import with_files
from core.models import Attachment, Conversation, StoredFile, Turn, User
from tests.chat.conftest import PDF, Say, png

# Real pictures of the smallest kind, made by common tools.
GIF = base64.b64decode("R0lGODlhAgADAIAAAAAAAP///yH5BAAAAAAALAAAAAACAAMAAAICjF8AOw==")
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xc0\x00\x11\x08\x00\x05\x00\x07\x03"
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f" + (8 | 3 << 14).to_bytes(4, "little") + b"\x00" * 12


def packed(objects: bytes) -> bytes:
    """A PDF as scanners write it: its pages stand in a compressed stream."""
    stream = zlib.compress(objects)
    return b"%%PDF-1.5\n1 0 obj<</Type/ObjStm/DecodeParms<<>>/Length %d>>stream\n%s\nendstream endobj\n" % (
        len(stream),
        stream,
    )


@pytest.mark.parametrize(
    ("data", "kind", "size"),
    [
        (png(40, 30), "image/png", (40, 30)),
        (GIF, "image/gif", (2, 3)),
        (JPEG, "image/jpeg", (7, 5)),
        (WEBP, "image/webp", (9, 4)),
    ],
)
def test_an_image_is_known_by_its_bytes(data: bytes, kind: str, size: tuple[int, int]) -> None:
    assert read("no-matter.exe", data).media_type == kind
    assert size_of(data, kind) == size


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.html", b"<script>alert(1)</script>", "text/plain"),
        ("a.csv", "Größe;1".encode("cp1252"), "text/plain"),
        ("a.txt", "Größe".encode("utf-16"), "text/plain"),
        ("a.png", PDF, "application/pdf"),
    ],
)
def test_what_a_file_is_called_says_nothing(name: str, data: bytes, kind: str) -> None:
    assert read(name, data).media_type == kind


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"MZ\x90\x00\x03\x00\x00\x00binary", "cannot be sent"),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00zip", "cannot be sent"),
        (png()[:18], "broken"),
        (png(8001, 1), "8,001 × 1 pixels"),
        (png() + b"\x00" * files.LARGEST_IMAGE, "MB"),
        (PDF + b" " * files.LARGEST_PDF, "MB"),
        (PDF + b"trailer <</Size 6 /Encrypt 5 0 R>>\nstartxref", "protected"),
        (PDF + b"9 0 obj<</Encrypt 5 0 R/Type/XRef/Length 0>>stream", "protected"),
        (packed(b"<</Type/Page>>" * 101), "101 pages"),
        (b"%PDF-1.4" + b"<</Type /Page>>" * 101, "101 pages"),
        (b"x" * 400_001, "400,001 characters"),
    ],
)
def test_what_cannot_go_along_is_refused_with_the_reason(data: bytes, problem: str) -> None:
    with pytest.raises(FileError, match=problem):
        read("thing", data)


@pytest.mark.parametrize(
    ("data", "pages"),
    [
        (PDF, 1),
        (packed(b"<</Type/Page>>" * 3) + bytes(7_000_000), 3),
        (b"%PDF-1.5\n" + bytes(7_000_000), files.MOST_GUESSED_PAGES),
        (b"%PDF-1.5\n<</Type/ObjStm>>stream\nbroken", 1),
        # Somebody wrote something on each page: what it was before stays in the file.
        (
            packed(b"<</Count 60/Type/Pages>>" + b"<</Type/Page>>" * 60) + b"2 0 obj<</Type/Page/Annots[]>>endobj" * 60,
            60,
        ),
        # It is about encryption, and not encrypted.
        (PDF + b"4 0 obj<<>>stream\n(The trailer has an entry /Encrypt 5 0 R) Tj\nendstream endobj trailer <<>>", 1),
    ],
)
def test_a_pdf_goes_along_as_what_its_pages_weigh(data: bytes, pages: int) -> None:
    assert read("a.pdf", data).tokens == pages * files.TOKENS_PER_PAGE


def test_a_small_stream_that_claims_gigabytes_is_read_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MOST_UNPACKED", 1_000_000)
    bomb = packed(b"<</Type/Page>>" + b" " * 50_000_000)
    assert pdf.pages_of(bomb * 3) == 1


def test_a_small_file_that_claims_millions_of_pages_takes_little_memory() -> None:
    claim = packed(b"/Type/Page" * 500_000)
    tracemalloc.start()
    assert pdf.pages_of(claim) == 500_000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20_000_000


def test_a_pdf_whose_tree_is_not_read_to_its_root_has_all_its_pages() -> None:
    """Writers make the root last, and some hang up two pages or so at each node below it."""
    pages = [b"<</Type/Page>>\nendobj\n"] * 1200
    nodes = [b"1 0 obj<</Type/Pages/Count 2>>\nendobj\n"] * 600
    assert pdf.pages_of(b"".join([*pages, *nodes, b"2 0 obj<</Type/Pages/Count 1200>>\nendobj\n"])) == 1200


@pytest.mark.parametrize(
    ("name", "kept"),
    [("../../etc/passwd", "passwd"), ("C:\\a\\b.txt", "b.txt"), ('x"\r\nSet-Cookie: a', 'x"Set-Cookie: a'),
     ("\u202egnp.exe", "gnp.exe"), ("", "file")],
)  # fmt: skip
def test_a_name_is_the_last_part_and_harmless(name: str, kept: str) -> None:
    assert read(name, b"text").name == kept


def test_a_message_has_a_few_files_at_most() -> None:
    file = Incoming("a", "text/plain", b"a", 1)
    with pytest.raises(FileError, match="10 files"):
        files.check_together([file] * 11)
    with pytest.raises(FileError, match="20 MB"):
        files.check_together([Incoming("a", "application/pdf", b"x" * 11_000_000, 1)] * 2)


def test_what_goes_along_again_with_other_words_counts_too(chatting: Say) -> None:
    turn = chatting("What is this?", files=[read(f"{number}.txt", b"%d" % number) for number in range(6)])
    with pytest.raises(FileError, match="10 files"):
        say.edit(turn, Message("And these?", [read(f"{number}.txt", b"x%d" % number) for number in range(5)], "t"))
    kept = [str(each.pk) for each in turn.attachments.all()[:5]]
    again = say.edit(turn, Message("And these?", [read(f"{n}.txt", b"x%d" % n) for n in range(5)], "t"), kept)
    assert again.attachments.count() == 10


@pytest.fixture
def attached(chatting: Say) -> Turn:
    return chatting("What is this?", files=[read("a.png", png()), read("b.txt", b"<script>x</script>")])


def test_a_file_comes_back_to_be_saved_and_can_do_nothing(client: Client, attached: Turn, member: User) -> None:
    client.force_login(member)
    for attachment in attached.attachments.all():
        answer = client.get(attachment.get_absolute_url())
        assert answer.content == bytes(attachment.file.data)
        assert answer["Content-Disposition"] == f'attachment; filename="{attachment.name}"'
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"].startswith("default-src 'none'; sandbox")
        assert answer["Content-Type"] == ("image/png" if attachment.is_image else "text/plain; charset=utf-8")


def test_nobody_else_gets_it(client: Client, attached: Turn, administrator: User, outsider: User) -> None:
    address = attached.attachments.all()[0].get_absolute_url()
    assert client.get(address).status_code == 302
    for other, status in ((administrator, 404), (outsider, 403)):
        client.force_login(other)
        assert client.get(address).status_code == status


def test_the_request_is_sent_with_the_bytes_and_kept_without(attached: Turn) -> None:
    kept = attached.call.request
    sent = with_files(kept)
    image, text, _ = sent["messages"][0]["content"]
    assert base64.b64decode(image["source"]["data"]) == png()
    assert text["source"] == {"type": "text", "media_type": "text/plain", "data": "<script>x</script>"}
    file = attached.attachments.get(name="a.png").file_id
    assert kept["messages"][0]["content"][0]["source"]["data"] == {"omitted": len(png()), "file": file}


def test_a_form_sends_files_and_says_which_cannot_go(client: Client, ready_made: None, member: User) -> None:
    client.force_login(member)
    good = SimpleUploadedFile("a.png", png(), "text/html")
    client.post(reverse("chat"), {"text": "What?", "files": [good], "token": "t"})
    assert Attachment.objects.get().media_type == "image/png"

    bad = SimpleUploadedFile("a.zip", b"PK\x03\x04\x00\x00", "image/png")
    answer = client.post(reverse("chat"), {"text": "What?", "files": [bad], "token": "u"})
    assert answer.status_code == 422
    assert "«a.zip» cannot be sent" in answer.content.decode()
    assert ">What?</textarea>" in answer.content.decode()
    assert Conversation.objects.count() == 1


def test_files_that_no_chat_holds_go_after_a_day_and_others_stay(attached: Turn, chatting: Say) -> None:
    other = chatting("And this?", files=[read("c.png", png(shade=7))])
    ending.delete(attached.conversation)
    assert Attachment.objects.count() == 1
    assert ending.forget_files() == 0
    StoredFile.objects.update(used_at=timezone.now() - dt.timedelta(days=2))
    with CaptureQueriesContext(connection) as queries:
        assert ending.forget_files() == 2
    assert not [query["sql"] for query in queries if '"data"' in query["sql"]], "they may be gigabytes together"
    assert list(StoredFile.objects.all()) == [other.attachments.get().file]
