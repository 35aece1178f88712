"""A chat as people have it: through reloads, a second tab, a lost connection, a stop, and a worker that is killed."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Installation
from tests.e2e.test_main_story import sign_in

pytestmark = pytest.mark.browser

# Milliseconds without a network; long enough that an event stream has to be opened anew.
OFFLINE = 2_500


def say(page: Page, text: str) -> None:
    page.locator("#text").fill(text)
    page.keyboard.press("Enter")


def test_a_chat_survives_what_happens_to_browsers_and_workers(page: Page, installation: Installation) -> None:
    sign_in(page, installation, "member", "/chat/")
    page.locator("[name=asked]").select_option("claude-haiku-5-5")
    say(page, "[[simulate: long tokens=300]] Tell me of the sea.")
    page.wait_for_url(re.compile(r"/chat/[0-9a-f-]{36}/"))
    first = page.locator(".turn").first
    expect(first.locator("[data-text]")).to_have_text(re.compile(r"\S.{20,}", re.DOTALL))
    before = first.locator("[data-text]").inner_text()

    # A reload and a second tab show the same words, and a lost connection loses none.
    second = page.context.new_page()
    second.goto(page.url)
    page.reload()
    for tab in (page, second):
        expect(tab.locator(".turn").first).to_contain_text(before[:20])
    page.context.set_offline(True)
    page.wait_for_timeout(OFFLINE)
    # What is sent without a connection stays in the form, and is sent once.
    say(page, "And of the wind?")
    expect(page.locator("[data-unsent]")).to_be_visible()
    expect(page.locator("#text")).to_have_value("And of the wind?")
    page.context.set_offline(False)
    for tab in (page, second):
        expect(tab.locator(".turn").first.locator(".answer")).to_be_visible(timeout=60_000)
    said = first.locator(".answer").inner_text()
    assert said == second.locator(".turn").first.locator(".answer").inner_text()
    page.locator("#text").press("Enter")
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.locator(".turn").nth(1).locator(".answer")).to_be_visible(timeout=60_000)
    expect(page.locator("#facts")).to_contain_text("2 answers in this chat")

    # Stopped in the middle, what was written stays.
    say(page, "[[simulate: long tokens=900]] And of the clouds?")
    third = page.locator(".turn").nth(2)
    expect(third.locator("[data-text]")).to_have_text(re.compile(r"\S.{20,}", re.DOTALL))
    third.get_by_role("button", name="Stop").click()
    expect(third).to_contain_text("Stopped here")

    # A worker is killed in the middle; another one answers.
    say(page, "[[simulate: long tokens=400]] And of the rain?")
    fourth = page.locator(".turn").nth(3)
    expect(fourth.locator("[data-text]")).to_have_text(re.compile(r"\S.{20,}", re.DOTALL))
    for pid in installation.workers():
        os.kill(pid, signal.SIGKILL)
    expect(fourth.locator(".answer")).to_be_visible(timeout=90_000)
    expect(page.locator("#facts")).to_contain_text("2 of unknown cost")

    # Other words make a branch, and the way back is there.
    fourth.get_by_role("link", name="Edit").click()
    page.locator("#edit-text").fill("And of the snow?")
    page.get_by_role("button", name="Send the change").click()
    expect(page.locator(".turn").nth(3)).to_contain_text("And of the snow?")
    expect(page.locator(".turn").nth(3).locator(".answer")).to_be_visible()
    page.get_by_role("link", name="The branch before").click()
    expect(page.locator(".turn").nth(3)).to_contain_text("And of the rain?")
    second.close()
    installation.assert_books_agree()
