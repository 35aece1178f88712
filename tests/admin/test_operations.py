"""Queues, models, prices, system prompts, the demo and the content policy: who may do what there?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import URLPattern, reverse
from django_rq.models import Dashboard

from core.models import ClaudeModel, Prompt, SystemPrompt, User
from core.simulator.server import Simulator

SignIn = Callable[[User], Client]
FILLED = {
    "queue_index": "0", "job_id": "call-1", "result_id": "1", "key": "worker", "scheduler_index": "0",
    "connection_index": "0", "scheduler_name": "clock", "cron_job_name": "sweep", "token": "abc", "object_id": "1",
    "app_label": "django_rq", "content_type_id": "1",
}  # fmt: skip


def queue_views() -> list[URLPattern]:
    return [pattern for pattern in site._registry[Dashboard].get_urls() if pattern.name]


@pytest.mark.parametrize("pattern", queue_views(), ids=lambda pattern: str(pattern.name))
def test_each_address_of_the_queues_is_refused_without_the_permission(
    pattern: URLPattern, as_: SignIn, editor: User
) -> None:
    names = {*pattern.pattern.converters, *pattern.pattern.regex.groupindex}
    address = reverse(f"admin:{pattern.name}", kwargs={name: FILLED[name] for name in names if name != "token"})
    client = as_(editor)
    assert client.get(address).status_code == 403
    assert client.post(address).status_code == 403


def test_who_may_only_look_into_the_queues_empties_stops_and_repeats_nothing(
    as_: SignIn, person: Callable[..., User]
) -> None:
    looker = person("looker", staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename="view_queues"))
    client = as_(looker)
    address = reverse("admin:django_rq_clear", args=[0])

    assert client.get(reverse("admin:django_rq_home")).status_code == 200
    assert client.post(address).status_code == 403
    looker.user_permissions.add(Permission.objects.get(codename="pause_queue"))
    assert client.post(address).status_code == 302


@pytest.mark.parametrize(
    "gone", ["workers/0/rq:worker:gone/", "workers/9/", "queues/9/", "queues/0/gone/", "queues/0/gone/delete/"]
)
def test_a_worker_job_or_queue_that_is_gone_is_not_found(gone: str, as_: SignIn, operator: User) -> None:
    assert as_(operator).get(reverse("admin:django_rq_home") + gone).status_code == 404


def test_who_is_not_signed_in_reaches_no_address_of_the_queues(client: Client, db: None) -> None:
    for name in ("django_rq_home_json", "django_rq_home"):
        assert client.get(reverse(f"admin:{name}"), HTTP_AUTHORIZATION="Bearer x").status_code == 302


def test_an_operator_looks_into_the_queues(as_: SignIn, operator: User) -> None:
    client = as_(operator)
    assert client.get(reverse("admin:django_rq_home")).status_code == 200
    assert client.get(reverse("admin:django_rq_jobs", args=[0])).status_code == 200


def test_the_catalogue_is_brought_up_to_date_by_who_may(as_: SignIn, operator: User, simulator: Simulator) -> None:
    assert "Models added: " in as_(operator).post(reverse("admin:core_claudemodel_sync"), follow=True).content.decode()
    assert ClaudeModel.objects.exists()


def test_a_claude_that_does_not_answer_is_said_in_words(as_: SignIn, operator: User, settings: object) -> None:
    settings.ANTHROPIC_BASE_URL = "http://127.0.0.1:9"  # type: ignore[attr-defined]
    page = as_(operator).post(reverse("admin:core_claudemodel_sync"), follow=True).content.decode()
    assert "Claude did not list its models, so nothing has changed" in page


@pytest.mark.parametrize("role", ["editor", "publisher", "finance"])
def test_others_do_not_touch_the_catalogue(role: str, request: pytest.FixtureRequest, client: Client) -> None:
    client.force_login(request.getfixturevalue(role))
    assert client.post(reverse("admin:core_claudemodel_sync")).status_code == 403
    assert client.get(reverse("admin:core_claudemodel_add")).status_code == 403


def test_a_model_says_which_prompts_use_it(as_: SignIn, editor: User, prompt: Prompt) -> None:
    page = as_(editor).get(reverse("admin:core_claudemodel_change", args=[prompt.model_id])).content.decode()
    assert reverse("admin:core_prompt_change", args=[prompt.pk]) in page


@pytest.mark.parametrize("role", ["editor", "publisher", "operator"])
def test_others_do_not_write_prices(role: str, request: pytest.FixtureRequest, client: Client, catalogue: None) -> None:
    client.force_login(request.getfixturevalue(role))
    assert client.post(reverse("admin:core_price_add"), {}).status_code == 403


def test_a_changed_system_prompt_is_kept_as_a_version_and_older_text_is_named(
    as_: SignIn, editor: User, prompt: Prompt
) -> None:
    system = SystemPrompt.objects.create(name="Tone", text="Be kind.")
    prompt.system_prompt = system
    prompt.save()
    prompt.publish(None)
    page = reverse("admin:core_systemprompt_change", args=[system.pk])
    text = as_(editor).post(page, {"name": "Tone", "text": "Be brief.", "_continue": "1"}, follow=True).content.decode()
    assert "People still get the older text from «Summarise a document»" in text
    assert [version.text for version in system.versions.order_by("number")] == ["Be kind.", "Be brief."]
    prompt.refresh_from_db()
    assert prompt.published is not None
    assert prompt.published.system_text == "Be kind."


def test_a_system_prompt_does_not_name_a_variable_that_its_prompts_lack(
    as_: SignIn, editor: User, prompt: Prompt
) -> None:
    system = SystemPrompt.objects.create(name="Tone", text="Be kind.")
    prompt.system_prompt = system
    prompt.save()
    page = reverse("admin:core_systemprompt_change", args=[system.pk])
    text = as_(editor).post(page, {"name": "Tone", "text": "Be {{mood}} in {{length}}."}).content.decode()
    assert "This uses {{mood}}, but the prompt «Summarise a document»" in text
    system.refresh_from_db()
    assert system.text == "Be kind."


def test_the_start_page_names_drafts_that_people_do_not_see(as_: SignIn, editor: User, prompt: Prompt) -> None:
    client = as_(editor)
    assert "has changes that people do not see yet" not in client.get(reverse("admin:index")).content.decode()
    Prompt.objects.filter(pk=prompt.pk).update(template="{{document}} {{length}} new")
    assert "has changes that people do not see yet" in client.get(reverse("admin:index")).content.decode()


def test_the_demo_is_removed_by_post_and_by_who_may(
    as_: SignIn, client: Client, operator: User, editor: User, prompt: Prompt
) -> None:
    page = reverse("admin:core_demo_remove")
    Prompt.objects.filter(pk=prompt.pk).update(demo=True)
    assert as_(editor).post(page).status_code == 403
    signed_in = as_(operator)
    assert page in signed_in.get(reverse("admin:index")).content.decode()
    signed_in.get(page)
    assert Prompt.objects.filter(pk=prompt.pk).exists()
    signed_in.post(page)
    assert not Prompt.objects.filter(pk=prompt.pk).exists()


def test_the_admin_may_compute_and_runs_no_inline_script_and_other_pages_may_neither(
    as_: SignIn, editor: User, prompt: Prompt
) -> None:
    client = as_(editor)
    for page in (reverse("admin:index"), reverse("admin:login"), reverse("admin:core_prompt_change", args=[prompt.pk])):
        policy = client.get(page)["Content-Security-Policy"]
        scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
        assert scripts == "script-src 'self' 'unsafe-eval'"
    assert "unsafe" not in client.get("/")["Content-Security-Policy"]
