"""The main job as people do it: from a prompt in the admin to an answer on a page and its cost in the books."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Installation

pytestmark = pytest.mark.browser

DOCUMENT = (
    "The council met on Monday. It decided to plant ninety trees. The cost is met by a donation. Work begins in May."
)

# Milliseconds without a network, as between two rooms.
OFFLINE = 10_000
# Just long enough that an event stream has to be opened anew.
BRIEFLY_OFFLINE = 1_500
# Just longer than a worker goes on taking calls from a queue that was paused.
PAUSES_WITHIN = 1_200


def sign_in(page: Page, where: Installation, username: str, path: str = "/") -> None:
    page.goto(f"{where.url}/login/?next={path}")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{where.url}{path}")


def sign_out(page: Page) -> None:
    page.context.clear_cookies()


def run_summary(page: Page, where: Installation, document: str = DOCUMENT) -> None:
    page.goto(f"{where.url}/p/summarise/")
    page.get_by_label(re.compile("document|text", re.IGNORECASE)).first.fill(document)
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile(r"/calls/[0-9a-f-]{36}/$"))


def summary_slug(where: Installation) -> str:
    return where.shell(
        "from core.models import Prompt; print(Prompt.objects.get(name__istartswith='summarise', demo=True).slug)"
    )


def test_from_a_prompt_in_the_admin_to_an_answer_and_its_cost(page: Page, installation: Installation) -> None:
    # A publisher writes a prompt of their own, tries it and publishes it.
    sign_in(page, installation, "publisher", "/admin/core/prompt/add/")
    page.locator("#id_name").fill("Shorten a note")
    page.locator("#id_slug").fill("shorten-a-note")
    page.locator("#id_template").fill("Summarise this note for {{audience}}:\n\n{{note}}")
    page.locator("#id_model").select_option("claude-haiku-5-5")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(re.compile("audience.*note|note.*audience", re.DOTALL)).first).to_be_visible()
    assert (
        installation.shell(
            "from core.models import Prompt; print(Prompt.objects.filter(slug='shorten-a-note').count())"
        )
        == "0"
    )

    for index, (name, label, kind) in enumerate([("note", "Note", "long_text"), ("audience", "For whom", "text")]):
        if not page.locator(f"#id_variables-{index}-name").is_visible():
            page.get_by_role("link", name=re.compile("Add another variable", re.IGNORECASE)).click()
        page.locator(f"#id_variables-{index}-name").fill(name)
        page.locator(f"#id_variables-{index}-label").fill(label)
        page.locator(f"#id_variables-{index}-kind").select_option(kind)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name="Try it").click()
    page.get_by_label("Note").fill(DOCUMENT)
    page.get_by_label("For whom").fill("children")
    page.get_by_role("button", name="Run it").click()
    answer = page.get_by_label("Answer", exact=True)
    expect(answer).to_contain_text("council")
    expect(answer).to_contain_text(re.compile(r"\$0\.0+\d"))

    page.get_by_role("link", name="Back to the draft").first.click()
    page.get_by_role("link", name="Publish…").click()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_label("Where this prompt stands")).to_contain_text("Version 1 by")

    # A member fills in its form and watches the answer being written.
    sign_out(page)
    sign_in(page, installation, "member")
    page.get_by_role("link", name="Shorten a note").click()
    expect(page.locator("#estimate")).to_contain_text("$")
    page.get_by_label("Note").fill(DOCUMENT)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("For whom")
    expect(page.get_by_label("Note")).to_have_value(DOCUMENT)
    page.get_by_label("For whom").fill("children {{ x|safe }} <script>alert(1)</script>")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile(r"/calls/[0-9a-f-]{36}/$"))
    expect(page.locator("[data-state-word]")).to_have_text("Done")
    expect(page.locator(".answer")).to_contain_text("council")
    cost = page.locator(".facts data").first.get_attribute("value")
    assert cost is not None
    call_url = page.url

    # The manager finds its cost on the spend page.
    sign_out(page)
    sign_in(page, installation, "finance", "/spend/")
    expect(page.get_by_role("row", name=re.compile("Shorten a note")).first).to_contain_text("$")

    # An outsider to the call does not see it, and the books agree to the last digit.
    sign_out(page)
    sign_in(page, installation, "mei")
    assert page.goto(call_url).status == 404  # type: ignore[union-attr]
    installation.assert_books_agree()


def test_the_text_goes_on_after_a_reload_in_a_second_tab_and_after_a_lost_connection(
    page: Page, browser: Browser, installation: Installation
) -> None:
    slug = summary_slug(installation)
    sign_in(page, installation, "member", f"/p/{slug}/")
    page.locator("textarea:visible").first.fill(f"[[simulate: long tokens=600]] {DOCUMENT}")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile(r"/calls/[0-9a-f-]{36}/$"))
    growing = page.locator("[data-text]")
    expect(growing).to_have_text(re.compile(r"\S.{40,}", re.DOTALL))
    before = growing.inner_text()

    second = page.context.new_page()
    second.goto(page.url)
    expect(second.locator("[data-text]")).to_contain_text(before[:30])
    page.reload()
    expect(page.locator("[data-text]")).to_contain_text(before[:30])
    page.context.set_offline(True)
    expect(page.locator("[data-lost]")).to_be_visible()
    page.wait_for_timeout(OFFLINE)
    page.context.set_offline(False)
    expect(page.locator("[data-lost]:visible")).to_have_count(0)

    for tab in (page, second):
        expect(tab.locator("[data-state-word]")).to_have_text("Done", timeout=60_000)
    assert page.locator("#answer-source").input_value() == second.locator("#answer-source").input_value()
    installation.assert_books_agree()


def test_without_javascript_the_page_refreshes_itself(browser: Browser, installation: Installation) -> None:
    slug = summary_slug(installation)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, installation, "member", f"/p/{slug}/")
    page.locator("textarea:visible").first.fill(DOCUMENT)
    page.get_by_role("button", name="Run", exact=True).click()

    expect(page.locator("[data-state-word]")).to_have_text("Done", timeout=30_000)
    expect(page.locator(".answer")).to_contain_text("council")
    context.close()


def test_a_killed_workers_call_is_finished_by_another_and_its_unknown_cost_is_told(
    page: Page, installation: Installation
) -> None:
    slug = summary_slug(installation)
    sign_in(page, installation, "member", f"/p/{slug}/")
    page.locator("textarea:visible").first.fill(f"[[simulate: long tokens=400]] {DOCUMENT}")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile(r"/calls/[0-9a-f-]{36}/$"))
    expect(page.locator("[data-text]")).to_have_text(re.compile(r"\S.{20,}", re.DOTALL))
    call_id = page.url.rstrip("/").rsplit("/", 1)[1]

    workers = installation.workers()
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)

    expect(page.locator("[data-state-word]")).to_have_text("Done", timeout=90_000)
    count = (
        f"from core.models import CostRecord; print(CostRecord.objects.filter(call='{call_id}', amount=None).count())"
    )
    assert installation.shell(count) == "1"
    expect(page.locator(".facts")).to_contain_text("unknown")
    installation.assert_books_agree()


def say(page: Page, text: str) -> None:
    page.locator("#text").fill(text)
    page.keyboard.press("Enter")


def test_a_chat_survives_what_happens_to_browsers_and_workers(page: Page, installation: Installation) -> None:
    sign_in(page, installation, "member", "/chat/")
    page.locator("[name=asked]").select_option("claude-haiku-5-5")
    say(page, "[[simulate: long tokens=160]] Tell me of the sea.")
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
    page.wait_for_timeout(BRIEFLY_OFFLINE)
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
    expect(page.locator("#facts")).to_contain_text("2 requests to Claude in this chat")

    # Stopped in the middle, what was written stays.
    say(page, "[[simulate: long tokens=900]] And of the clouds?")
    third = page.locator(".turn").nth(2)
    expect(third.locator("[data-text]")).to_have_text(re.compile(r"\S.{20,}", re.DOTALL))
    third.get_by_role("button", name="Stop").click()
    expect(third).to_contain_text("Stopped here")

    # A worker is killed in the middle; another one answers.
    say(page, "[[simulate: long tokens=120]] And of the rain?")
    fourth = page.locator(".turn").nth(3)
    expect(fourth.locator("[data-text]")).to_have_text(re.compile(r"\S.{20,}", re.DOTALL))
    for pid in installation.workers():
        os.kill(pid, signal.SIGKILL)
    expect(fourth.locator(".answer")).to_be_visible(timeout=90_000)
    expect(page.locator("#facts")).to_contain_text("2 of unknown cost")
    expect(fourth.locator(".cost")).to_contain_text(re.compile(r"at least \$0\.\d+, for one try's cost is unknown"))
    expect(third.locator(".cost")).to_contain_text("cost unknown")

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


def test_who_is_signed_out_meanwhile_loses_nothing_they_wrote(page: Page, installation: Installation) -> None:
    sign_in(page, installation, "mei", "/chat/")
    page.context.clear_cookies(name="sessionid")
    say(page, "[[simulate: long tokens=90]] Tell me of the ice.")
    expect(page.locator("#problem")).to_contain_text("You are not signed in any more")
    second = page.context.new_page()
    sign_in(second, installation, "mei")
    second.close()
    page.locator("#text").press("Enter")
    expect(page.locator(".turn [data-text]")).to_have_text(re.compile(r"\S.{20,}", re.DOTALL))

    # An answer that nobody may see any more gives way to the page on which one signs in, but not with what is written.
    page.locator("#text").fill("And of the snow?")
    page.context.clear_cookies(name="sessionid")
    expect(page.locator(".turn [data-lost]")).to_be_visible()
    expect(page.locator("#text")).to_have_value("And of the snow?")
    page.locator("#text").fill("")
    page.wait_for_url(re.compile(r"/login/\?next=/chat/[0-9a-f-]{36}/"), timeout=60_000)


def test_a_table_goes_in_and_comes_back_with_an_answer_in_each_row(page: Page, installation: Installation) -> None:
    sign_in(page, installation, "member", "/bulk/")
    page.get_by_role("link", name="Upload a table").first.click()
    page.get_by_label("Prompt").select_option(summary_slug(installation))
    table = f"Note;Text\n1;{DOCUMENT}\n2;\n3;=1+1 {DOCUMENT}\n".encode()
    page.get_by_label("Table").set_input_files({"name": "notes.csv", "mimeType": "text/csv", "buffer": table})
    page.get_by_role("button", name="Upload").click()

    # The column has another name than the variable.
    page.get_by_label("Document", exact=True).select_option(label="Text")
    page.get_by_role("button", name="Use these columns").click()
    expect(page.get_by_text("Line 3: Document: Please fill this in.")).to_be_visible()
    expect(page.get_by_label("Price and start")).to_contain_text("$")
    page.get_by_text("I want the answers now").click()
    page.get_by_label("Skip the 1 row").check()
    page.get_by_role("button", name="Start 2 rows").click()

    expect(page.locator("#state")).to_have_text("Done", timeout=60_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "Note,Text,answer,status,error,model,cost USD"
    assert [line[:2] for line in lines if line[:2] in {"1,", "2,", "3,"}] == ["1,", "2,", "3,"]
    assert any(line.startswith("2,,,Skipped,Document: Please fill this in.") for line in lines)
    installation.assert_books_agree()


def test_an_operator_pauses_a_queue_sees_what_waits_in_it_and_lets_it_go_on(
    page: Page, browser: Browser, installation: Installation
) -> None:
    sign_in(page, installation, "operator", "/admin/core/regulartask/")
    queue = page.get_by_role("row", name=re.compile("^calls"))
    queue.get_by_role("link", name="Pause").press("Enter")
    page.get_by_label("Why").fill("A look at the prices first")
    page.get_by_label("Why").press("Enter")
    expect(queue).to_contain_text("A look at the prices first")
    page.wait_for_timeout(PAUSES_WITHIN)

    context = browser.new_context()
    members = context.new_page()
    sign_in(members, installation, "member", f"/p/{summary_slug(installation)}/")
    members.locator("textarea:visible").first.fill(DOCUMENT)
    members.get_by_role("button", name="Run", exact=True).click()
    expect(members.locator("main")).to_contain_text(re.compile("paused", re.IGNORECASE))

    # The page draws itself anew, and keeps the place of whoever uses a keyboard.
    go_on = queue.get_by_role("button", name="Let it go on")
    go_on.focus()
    expect(queue.get_by_role("cell", name="1", exact=True).first).to_be_visible()
    expect(go_on).to_be_focused()
    go_on.press("Enter")
    expect(queue).to_contain_text("Open")
    expect(members.locator("[data-state-word]")).to_have_text("Done")
    context.close()
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
