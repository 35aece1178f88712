"""Is the form made from the variables, keeps it what was typed, and does it run?"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from core.models import Call, Prompt, User, Variable
from tests.books import forget_prices

URL = "/p/summarise/"
ESTIMATE = "/p/summarise/estimate/"
GOOD = {"document": "A long text about trees.", "length": "short"}
HOSTILE = "{{ x|safe }} {% include 'base.html' %} {0.__class__} <script>alert(1)</script>"


@pytest.fixture
def page(client: Client, member: User, prompt: Prompt) -> Client:
    client.force_login(member)
    return client


def test_the_form_has_a_field_for_each_variable_and_a_price_before_it_runs(page: Client) -> None:
    html = page.get(URL).content.decode()
    assert '<textarea name="document"' in html
    assert re.search(r'<option value="short"\s+selected', html)
    assert re.search(r"about <strong>\$0\.0\d+</strong>, mostly \$0\.0\d+ to \$0\.0\d+", html)
    assert re.search(r"Never more than \$0\.0\d+", html)


@pytest.mark.parametrize(
    ("kind", "default", "mark"),
    [
        ("text", "Ann", '<input type="text" name="blank" value="Ann"'),
        ("long_text", "Dear Ann", "Dear Ann</textarea>"),
        ("number", "12.5", 'inputmode="decimal"'),
        ("date", "2026-11-21", '<input type="date" name="blank" value="2026-11-21"'),
        ("yes_no", "yes", "checked"),
    ],
)
def test_each_kind_has_its_field_and_its_default(
    page: Client, prompt: Prompt, kind: str, default: str, mark: str
) -> None:
    Variable.objects.create(prompt=prompt, name="blank", label="The blank", kind=kind, default=default, help="A hint")
    prompt.template += "{{blank}}"
    prompt.save()
    prompt.publish(None)
    html = page.get(URL).content.decode()
    assert mark in html
    assert "The blank" in html
    assert 'id="id_blank_helptext">A hint' in html
    assert 'aria-describedby="id_blank_helptext"' in html


def test_running_makes_a_call_and_leads_to_it(page: Client, member: User, prompt: Prompt) -> None:
    response = page.post(URL, GOOD)
    call = Call.objects.get()
    assert response.status_code == 302
    assert response["Location"] == f"/calls/{call.pk}/"
    assert (call.user, call.prompt, call.inputs, call.status) == (member, prompt, GOOD, Call.Status.QUEUED)


def test_a_wrong_field_is_named_beside_it_and_what_was_typed_is_kept(page: Client) -> None:
    html = page.post(URL, {"document": "", "length": "<b>huge</b>"}).content.decode()
    assert not Call.objects.exists()
    assert 'id="id_document_error">Please fill this in.' in html
    assert 'id="id_length_error">Please choose one of the options.' in html
    assert 'aria-invalid="true"' in html
    assert '<a href="#id_document">Document</a>: Please fill this in.' in html

    html = page.post(URL, {"document": "Kept words", "length": ""}).content.decode()
    assert "Kept words</textarea>" in html


def test_hostile_text_stays_text_in_the_form_and_in_the_request(page: Client) -> None:
    html = page.post(URL, {"document": HOSTILE, "length": ""}).content.decode()
    assert "<script>alert" not in html
    assert "{{ x|safe }} {% include &#x27;base.html&#x27; %} {0.__class__} &lt;script&gt;" in html

    page.post(URL, {**GOOD, "document": HOSTILE})
    assert HOSTILE in Call.objects.get().request["messages"][0]["content"]


def test_a_checkbox_that_is_cleared_stays_cleared(page: Client, prompt: Prompt) -> None:
    Variable.objects.create(prompt=prompt, name="polite", label="Polite", kind="yes_no", default="yes")
    prompt.template += "{{polite}}"
    prompt.save()
    prompt.publish(None)
    assert "checked" not in page.post(URL, {"document": ""}).content.decode()
    page.post(URL, GOOD)
    call = Call.objects.get()
    assert call.inputs["polite"] == "no"
    assert "checked" not in page.get(URL, {"again": str(call.pk)}).content.decode()


def test_an_unknown_prompt_or_one_not_for_me_is_404(client: Client, member: User, prompt: Prompt) -> None:
    assert client.get(URL).status_code == 404
    assert client.post(URL, GOOD).status_code == 404
    assert client.post(ESTIMATE, GOOD).status_code == 404
    client.force_login(member)
    assert client.get("/p/nothing/").status_code == 404
    Prompt.objects.update(access=Prompt.Access.GROUPS)
    for response in (client.get(URL), client.post(URL, GOOD), client.post(ESTIMATE, GOOD)):
        assert response.status_code == 404
    prompt.groups.set(Group.objects.filter(name="Member"))
    assert client.get(URL).status_code == 200
    prompt.withdraw()
    assert client.get(URL).status_code == 404
    assert not Call.objects.exists()


def test_the_404_page_helps_and_keeps_the_navigation(page: Client) -> None:
    response = page.get("/p/nothing/")
    assert "There is nothing here for you" in response.content.decode()
    assert 'href="/calls/"' in response.content.decode()


def test_a_visitor_may_run_what_is_open_to_everyone_and_read_it(client: Client, prompt: Prompt) -> None:
    Prompt.objects.update(access=Prompt.Access.EVERYONE)
    address = client.post(URL, GOOD)["Location"]
    assert Call.objects.get().user is None
    assert client.get(address).status_code == 200
    assert client.get("/calls/").content.decode().count(address) == 1
    assert Client().get(address).status_code == 404


def test_the_session_remembers_only_the_latest_calls(client: Client, prompt: Prompt) -> None:
    Prompt.objects.update(access=Prompt.Access.EVERYONE)
    session = client.session
    session["calls"] = [f"00000000-0000-4000-8000-0000000000{number:02}" for number in range(50)]
    session.save()
    client.post(URL, GOOD)
    assert len(client.session["calls"]) == 50
    assert client.session["calls"][-1] == str(Call.objects.get().pk)


def test_a_form_without_its_token_is_refused_with_words(member: User, prompt: Prompt) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(member)
    response = strict.post(URL, GOOD)
    assert response.status_code == 403
    assert "Nothing was run and nothing was billed" in response.content.decode()


def test_a_form_that_is_too_large_is_refused_with_words(page: Client, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2_000
    response = page.post(URL, {**GOOD, "document": "x" * 3_000})
    assert response.status_code == 413
    assert "too much at once" in response.content.decode()


def test_the_estimate_follows_what_is_typed(page: Client) -> None:
    def likely(document: str) -> float:
        html = page.post(ESTIMATE, {**GOOD, "document": document}).content.decode()
        found = re.search(r"about <strong>\$([\d.]+)", html)
        assert found
        return float(found[1])

    assert likely("word " * 20_000) > likely("word") > 0


def test_the_estimate_needs_no_usable_inputs_and_shows_none_of_them(page: Client) -> None:
    html = page.post(ESTIMATE, {"document": HOSTILE, "length": "\x00"}).content.decode()
    assert "Never more than $" in html
    assert "alert" not in html


def test_an_unknown_price_is_said_to_be_unknown(page: Client, prompt: Prompt) -> None:
    forget_prices(prompt.model.prices.all())
    html = page.get(URL).content.decode()
    assert "Price unknown" in html
    assert "$0" not in html


def test_a_retired_model_is_told_before_anybody_runs_it(page: Client, prompt: Prompt) -> None:
    type(prompt.model).objects.filter(pk=prompt.model_id).update(lifecycle="retired")
    assert "is retired" in page.get(URL).content.decode()


def test_edit_and_run_again_starts_with_what_was_entered(
    page: Client, member: User, answered: Callable[..., Call]
) -> None:
    earlier = answered(member, inputs={"document": "From before", "length": "long"})
    html = page.get(URL, {"again": str(earlier.pk)}).content.decode()
    assert "From before</textarea>" in html
    assert re.search(r'<option value="long"\s+selected', html)

    page.post(URL, {**GOOD, "again-of": earlier.pk})
    assert Call.objects.exclude(pk=earlier.pk).get().again_of == earlier


def test_nobody_fills_a_form_from_somebody_elses_call(
    page: Client, outsider: User, answered: Callable[..., Call]
) -> None:
    theirs = answered(outsider, inputs={"document": "A secret", "length": "long"})
    for named in (str(theirs.pk), "nonsense", "00000000-0000-4000-8000-000000000000"):
        response = page.get(URL, {"again": named})
        assert response.status_code == 404
        assert "A secret" not in response.content.decode()


def test_the_form_takes_few_queries(page: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_max_num_queries(14):
        page.get(URL)


def test_the_page_runs_no_inline_script_or_style(page: Client) -> None:
    response = page.get(URL)
    html = response.content.decode()
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", html)
    assert not re.search(r"\sstyle=|<style|\son\w+=", html)
