"""Can people read what their programs asked?"""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from core.intake.keys import make_key
from core.models import Call, User
from core.prompts.conversation import turns_of

PICTURE = {"type": "base64", "media_type": "image/png", "data": {"omitted": 34_000, "sha256": "0" * 64}}
ASKED: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "You are a <b>clerk</b>."}],
    "messages": [
        {"role": "user", "content": [{"type": "image", "source": PICTURE}, {"type": "text", "text": "What is due?"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look_up", "input": {"year": 2026}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "Nothing."}]},
    ],
}


@pytest.fixture
def asked(member: User) -> Call:
    key, _ = make_key("Invoices", member, by=None)
    return Call.objects.create(
        user=member,
        key=key,
        door=Call.Door.GATEWAY,
        lane=Call.Lane.SYNC,
        request=ASKED,
        status=Call.Status.SUCCEEDED,
        model="claude-haiku-5-5",
        content=[{"type": "tool_use", "id": "u", "name": "pay", "input": {"sum": 12}}],
    )


def test_the_owner_of_the_key_reads_what_was_asked(client: Client, asked: Call, member: User) -> None:
    client.force_login(member)

    page = client.get(asked.get_absolute_url()).content.decode()

    for words in ("[image, image/png, 33 KB]", "What is due?", "uses the tool «look_up»", "Nothing.", "key Invoices"):
        assert words in page
    assert "You are a &lt;b&gt;clerk&lt;/b&gt;." in page
    assert "uses the tool «pay»" in page


def test_nobody_else_does(client: Client, asked: Call, outsider: User) -> None:
    client.force_login(outsider)
    assert client.get(asked.get_absolute_url()).status_code == 404


def test_the_admin_shows_it_too(client: Client, asked: Call, administrator: User) -> None:
    client.force_login(administrator)

    page = client.get(f"/admin/core/call/{asked.pk}/change/").content.decode()

    assert "[image, image/png, 33 KB]" in page
    assert "key «Invoices»" in page
    assert "What was filled in" not in page


def test_a_kept_answer_says_so(client: Client, asked: Call, member: User) -> None:
    given = Call.objects.create(
        user=member, request=ASKED, status=Call.Status.SUCCEEDED, kept_from=asked, text="Nothing is due."
    )
    client.force_login(member)

    page = client.get(given.get_absolute_url()).content.decode()

    assert asked.get_absolute_url() in page
    assert "It cost nothing." in page


@pytest.mark.parametrize(
    "request_", [{}, {"messages": "text"}, {"messages": [7, {"role": 3}, {"content": [None, {"type": None}, 5]}]}]
)
def test_whatever_was_sent_can_be_shown(request_: dict[str, Any]) -> None:
    assert isinstance(turns_of(request_), list)


def test_a_program_is_told_whose_length_cut_the_answer_off(client: Client, member: User, asked: Call) -> None:
    asked.stop_reason = "max_tokens"
    asked.save()
    client.force_login(member)

    page = client.get(f"/calls/{asked.pk}/").content.decode()

    assert "the longest answer that the request allows" in page
    assert "prompt allows" not in page
