"""Can staff write a route, see what is wrong with it, publish it and take it back?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.models import (
    Call,
    Classifier,
    ClaudeModel,
    CostRecord,
    FallbackChain,
    Key,
    Measurement,
    ModelAlias,
    Prompt,
    Route,
    User,
)
from core.routing.choose import plan
from core.simulator.server import Simulator

As = Callable[[User], Client]
FAST = {"model": "fast", "effort": "", "max_tokens": "", "name": ""}


def address(name: str, *args: object) -> str:
    return reverse(f"admin:core_route_{name}", args=args)


@pytest.fixture
def route(ready_made: None) -> Route:
    return Route.objects.create(name="Customer mail", slug="customer-mail", model="standard")


def words(route: Route, client: Client, text: str = "translate", **more: Any) -> Any:
    condition = {"c0-kind": "words", "c0-words": text}
    return client.post(address("rule_add", route.pk), {**condition, **FAST, "save": "1", **more}, follow=True)


def test_an_empty_route_becomes_a_published_rule_for_one_group(as_: As, publisher: User, ready_made: None) -> None:
    support = Group.objects.create(name="Support")
    client = as_(publisher)
    values = {"name": "Mail", "slug": "mail", "description": "", "model": "standard", "effort": "", "max_tokens": ""}
    made = client.post(address("add"), values, follow=True).content.decode()
    assert "There is no rule yet: every request gets the default." in made
    route = Route.objects.get(slug="mail")

    # «Add this condition» shows its form and keeps what was typed; nothing is saved yet.
    begun = client.post(address("rule_add", route.pk), {**FAST, "kind": "words", "add": "1"}).content.decode()
    assert "Words or phrases" in begun
    typed = {"c0-kind": "words", "c0-words": "translate", **FAST, "kind": "group", "add": "1"}
    more = client.post(address("rule_add", route.pk), typed).content.decode()
    assert 'value="translate"' in more
    assert "Support" in more
    assert not route.rules.exists()

    both = {"c0-kind": "words", "c0-words": "translate", "c1-kind": "group", "c1-groups": [support.pk]}
    saved = client.post(address("rule_add", route.pk), {**both, **FAST, "save": "1"}, follow=True).content.decode()
    assert "When it has the words «translate» and the group is Support, then" in saved
    rule = route.rules.get()
    assert rule.conditions == [{"kind": "words", "words": ["translate"]}, {"kind": "group", "groups": [support.pk]}]
    assert rule.name == "it has the words «translate» and the group is Support → fast"

    shown = client.get(address("publish", route.pk))
    assert "it has the words «translate»" in shown.content.decode()
    client.post(address("publish", route.pk), {"digest": shown.context["digest"], "note": "A first try."})
    assert set(plan("mail").models) == {"claude-haiku-5-5", "claude-sonnet-5-5"}
    history = client.get(address("versions", route.pk)).content.decode()
    assert "A first try." in history
    assert "publisher" in history


@pytest.mark.parametrize(
    ("posted", "said"),
    [
        ({"c0-kind": "words", "c0-words": ""}, "This field is required"),
        ({"c0-kind": "pattern", "c0-pattern": "("}, "the regular expression cannot be read"),
        ({"c0-kind": "length", "c0-at_least": "9", "c0-at_most": "3"}, "can never hold"),
        ({"c0-kind": "length"}, "Give at least one of the two lengths."),
        (
            {"c0-kind": "class", "c0-classifier": "complexity", "c0-labels": ["intent:code"]},
            "labels of another classifier: code (Intent).",
        ),
        ({"c0-kind": "has", "c0-what": "image", "model": "nobody"}, "neither a model nor an alias"),
    ],
)
def test_a_rule_that_cannot_work_is_not_saved(
    as_: As, editor: User, route: Route, posted: dict[str, Any], said: str
) -> None:
    answer = as_(editor).post(address("rule_add", route.pk), {**FAST, **posted, "save": "1"})
    assert said in answer.content.decode()
    assert not route.rules.exists()


def test_a_rule_behind_one_that_matches_everything_is_refused(as_: As, editor: User, route: Route) -> None:
    client = as_(editor)
    assert client.post(address("rule_add", route.pk), {**FAST, "save": "1"}).status_code == 302
    refused = words(route, client).content.decode()
    assert "can never fire: rule 1, which comes before it, matches every request" in refused
    assert route.rules.count() == 1


def test_a_rule_without_conditions_reads_as_a_sentence(as_: As, editor: User, route: Route) -> None:
    client = as_(editor)
    client.post(address("rule_add", route.pk), {**FAST, "save": "1"})
    shown = client.get(address("change", route.pk)).content.decode()
    assert "Always <strong>fast</strong>." in shown
    assert "When always" not in shown


def test_a_rule_about_a_group_that_was_deleted_is_warned_of(as_: As, publisher: User, route: Route) -> None:
    support = Group.objects.create(name="Support")
    route.rules.create(conditions=[{"kind": "group", "groups": [support.pk]}], model="fast")
    client = as_(publisher)
    warning = "Rule 1: its condition «group» names what is gone, which no request can match."
    for deleted in (False, True):
        for page in ("change", "publish"):
            assert (warning in client.get(address(page, route.pk)).content.decode()) is deleted
        if not deleted:
            support.delete()


def test_rules_are_changed_moved_and_deleted(as_: As, editor: User, route: Route) -> None:
    client = as_(editor)
    words(route, client, "first")
    words(route, client, "second")
    first, second = route.rules.all()
    form = client.get(address("rule", route.pk, first.pk)).content.decode()
    assert 'value="first"' in form
    client.post(address("rule_move", route.pk, second.pk), {"to": "up"})
    assert list(route.rules.all()) == [second, first]
    changed = {"c0-kind": "words", "c0-words": "third, fourth", "c0-not": "on", **FAST, "name": "Not those"}
    client.post(address("rule", route.pk, first.pk), {**changed, "save": "1"})
    first.refresh_from_db()
    assert first.conditions == [{"kind": "words", "words": ["third", "fourth"], "not": True}]
    client.post(address("rule", route.pk, first.pk), {**changed, "c0-gone": "on", "name": "", "save": "1"})
    first.refresh_from_db()
    assert (first.conditions, first.name) == ([], "always → fast")
    assert client.get(address("rule_delete", route.pk, second.pk)).status_code == 200
    assert route.rules.count() == 2
    client.post(address("rule_delete", route.pk, second.pk))
    assert list(route.rules.all()) == [first]


def test_one_click_leads_back_to_what_was_followed_before(as_: As, publisher: User, route: Route) -> None:
    route.publish(publisher)
    client = as_(publisher)
    words(route, client)
    route.publish(publisher)
    page = client.get(address("change", route.pk)).content.decode()
    assert "Back to version 1" in page
    client.post(address("back", route.pk), {"number": "1"})
    route.refresh_from_db()
    assert route.published is not None
    assert route.published.number == 1
    assert [p.version.number for p in route.publications.all() if p.version] == [1, 2, 1]
    compared = client.get(address("version", route.pk, 2)).content.decode()
    assert "added: " in compared or "removed: " in compared


def test_a_draft_that_was_saved_meanwhile_is_not_published_unseen(as_: As, publisher: User, route: Route) -> None:
    answer = as_(publisher).post(address("publish", route.pk), {"digest": "of something else"})
    assert "Somebody saved the draft in the meantime." in answer.content.decode()
    route.refresh_from_db()
    assert route.published is None


def test_a_trial_shows_every_verdict_and_asks_only_the_classifier(as_: As, editor: User, ready_made: None) -> None:
    route = Route.objects.get(slug="auto")
    answer = '[[simulate: answer="{\\"label\\": \\"complex\\", \\"sure\\": true}"]]'
    posted = {"text": f"Compare them. {answer}", "user": editor.pk, "lane": "sync", "max_tokens": "500"}
    page = as_(editor).post(address("try", route.pk), {**posted, "which": "draft", "ask": "on"}).content.decode()
    assert "The answer would come from claude-opus-5-5" in page
    assert "Not so: the class by Complexity is «simple»." in page or "Not so: the class by Complexity is simple" in page
    assert "Not looked at" in page
    record = CostRecord.objects.get()
    assert (record.purpose, record.user) == (CostRecord.Purpose.CLASSIFICATION, editor)
    call = Call.objects.get()
    assert (call.status, call.door, call.model) == (Call.Status.SUCCEEDED, Call.Door.TRY, "")
    unasked = as_(editor).post(address("try", route.pk), {**posted, "text": "Else.", "which": "published"})
    assert "class moderate, the default, because nobody asked it for this trial" in unasked.content.decode()
    assert Call.objects.count() == 1


def test_a_trial_prices_what_the_rule_says_and_says_what_really_happens(
    as_: As, editor: User, route: Route, simulator: Simulator
) -> None:
    route.rules.create(conditions=[{"kind": "words", "words": ["short"]}], model="best", max_tokens=50, batch=True)
    route.rules.create(position=1, conditions=[{"kind": "words", "words": ["gone"]}], model="nobody")

    def tried(text: str, lane: str) -> Any:
        posted = {"text": text, "user": editor.pk, "lane": lane, "max_tokens": "5000", "which": "draft"}
        return as_(editor).post(address("try", route.pk), posted)

    at_once, waiting = tried("short", "sync"), tried("short", "queue")
    assert "but somebody waits for this answer, so it is given at once" in at_once.content.decode()
    assert "What each model would cost in a batch" in waiting.content.decode()
    assert "somebody waits" not in waiting.content.decode()
    dear, cheap = (answer.context["trial"].prices[0].estimate for answer in (at_once, waiting))
    assert (dear.likely, dear.at_most) == (2 * cheap.likely, 2 * cheap.at_most)
    plainly = tried("anything", "sync").context["trial"]
    opus = next(each.estimate for each in plainly.prices if each.model.pk == "claude-opus-5-5")
    assert dear.at_most < opus.at_most, "50 tokens at most, and not 5,000"
    fallen = tried("gone", "sync").context["trial"]
    assert fallen.model == "claude-sonnet-5-5"
    assert "the default answers, because «nobody» stands for no model any more" in fallen.reason


@pytest.mark.parametrize(
    "page",
    [
        "changelist", "add", "change", "rule_add", "rule", "rule_move", "rule_delete", "try", "whatif", "publish",
        "withdraw", "back", "versions", "version", "publish_version",
    ],
)  # fmt: skip
def test_nobody_else_gets_in(as_: As, outsider: User, member: User, finance: User, route: Route, page: str) -> None:
    args: list[Any] = [] if page in {"changelist", "add"} else [route.pk]
    if page.startswith("rule") and page != "rule_add":
        args.append(route.rules.create(model="fast").pk)
    if page in {"version", "publish_version"}:
        args.append(1)
    rules = route.rules.count()
    for person in (outsider, member, finance):
        for send in (as_(person).get, as_(person).post):
            assert _is_kept_out(send(address(page, *args)))
    assert Route.objects.get(pk=route.pk).published is None
    assert route.rules.count() == rules


def _is_kept_out(answer: Any) -> bool:
    return answer.status_code in {403, 405} or (answer.status_code == 302 and "/login/" in answer.url)


@pytest.mark.parametrize(
    ("model", "page"),
    [
        *(
            (model, page)
            for model in ("classifier", "modelalias")
            for page in ("changelist", "add", "change", "delete")
        ),
        ("classifier", "measuring"),
        ("classifier", "add_call"),
        ("claudemodel", "replace"),
    ],
)
def test_nobody_else_gets_at_classifiers_aliases_and_replacing(
    as_: As, outsider: User, member: User, ready_made: None, model: str, page: str
) -> None:
    rows: dict[str, Any] = {"classifier": Classifier, "modelalias": ModelAlias, "claudemodel": ClaudeModel}
    args: list[Any] = [] if page in {"changelist", "add"} else [rows[model].objects.all()[0].pk]
    if page == "add_call":
        args.append(Call.objects.create(user=member, request={"messages": []}).pk)
    for person in (outsider, member):
        for send in (as_(person).get, as_(person).post):
            assert _is_kept_out(send(reverse(f"admin:core_{model}_{page}", args=args)))


def test_an_editor_does_not_publish(as_: As, editor: User, route: Route) -> None:
    client = as_(editor)
    for page in ("publish", "withdraw"):
        assert client.get(address(page, route.pk)).status_code == 403
    assert client.post(address("back", route.pk), {"number": "1"}).status_code == 403
    assert client.get(reverse("admin:core_classifier_changelist")).status_code == 200
    assert client.get(reverse("admin:core_modelalias_add")).status_code == 403


def test_an_alias_cannot_have_a_routes_name_nor_stand_for_a_retired_model(
    as_: As, operator: User, ready_made: None
) -> None:
    client = as_(operator)
    values = {"name": "auto", "model": "claude-haiku-5-5", "description": ""}
    refused = client.post(reverse("admin:core_modelalias_add"), values).content.decode()
    assert "A route or a model has this name already." in refused
    fast = ModelAlias.objects.get(name="fast")
    changed = {"model": "claude-sonnet-5-5", "description": ""}
    client.post(reverse("admin:core_modelalias_change", args=[fast.pk]), changed)
    assert plan("fast").models == ("claude-sonnet-5-5",)


def test_a_classifier_needs_its_default_among_its_labels(as_: As, operator: User, ready_made: None) -> None:
    classifier = Classifier.objects.get(slug="complexity")
    labels = list(classifier.labels.all())
    values: dict[str, Any] = {
        "name": "Complexity", "description": "", "model": "fast", "instructions": "Sort them.",
        "default_label": "nothing", "characters": "300", "more_characters": "0", "seconds": "2.5",
        "labels-TOTAL_FORMS": len(labels), "labels-INITIAL_FORMS": len(labels),
    }  # fmt: skip
    for number, label in enumerate(labels):
        values |= {
            f"labels-{number}-id": label.pk, f"labels-{number}-classifier": classifier.pk,
            f"labels-{number}-name": label.name, f"labels-{number}-description": label.description,
            f"labels-{number}-examples": label.examples, f"labels-{number}-position": label.position,
        }  # fmt: skip
    page = reverse("admin:core_classifier_change", args=[classifier.pk])
    refused = as_(operator).post(page, values).content.decode()
    assert "there is no such label below" in refused
    assert as_(operator).post(page, {**values, "default_label": "simple"}).status_code == 302
    classifier.refresh_from_db()
    assert (classifier.default_label, classifier.characters) == ("simple", 300)


def test_a_prompt_is_set_to_a_route_an_alias_or_a_model(
    as_: As, publisher: User, prompt: Prompt, ready_made: None, submission: Callable[..., dict[str, Any]]
) -> None:
    client, page = as_(publisher), reverse("admin:core_prompt_change", args=[prompt.pk])
    for chosen, asked in (("route:auto", "auto"), ("alias:best", "best"), ("", None)):
        client.post(page, submission(prompt, answered_by=chosen, tags="Legal, long"))
        prompt = Prompt.objects.get(pk=prompt.pk)
        assert prompt.content().get("asked") == asked
        assert prompt.changed_since_published is bool(asked)
        assert client.get(page).status_code == 200
    assert prompt.tag_list() == ["legal", "long"]


def test_what_if_shows_what_would_change(as_: As, editor: User, prompt: Prompt, ready_made: None) -> None:
    Call.objects.create(user=editor, status=Call.Status.SUCCEEDED, model="claude-opus-5-5", request={"messages": []})
    route = Route.objects.get(slug="auto")
    client = as_(editor)
    assert client.get(address("whatif", route.pk)).status_code == 200
    today = timezone.localdate().isoformat()
    chosen = {"first": today, "last": today, "most": "100", "asked": "", "prompt": ""}
    page = client.get(address("whatif", route.pk), chosen).content.decode()
    assert "1 of 1 calls would get another model" in page
    assert "claude-sonnet-5-5" in page
    assert "Ask about 1 of them" in page
    empty = client.get(address("whatif", route.pk), {**chosen, "first": "2020-01-01", "last": "2020-01-02"})
    assert "There is no answered call in this time." in empty.content.decode()


def test_whatever_names_a_model_that_leaves_is_listed_and_drafts_are_changed_together(
    as_: As, administrator: User, prompt: Prompt, ready_made: None
) -> None:
    old = ClaudeModel.objects.get(pk="claude-haiku-5-5")
    old.lifecycle, old.retires_at = "deprecated", timezone.now() + dt.timedelta(days=20)
    old.save()
    newer = ClaudeModel.objects.create(
        id="claude-haiku-6", display_name="Claude Haiku 6", line="haiku", released_at=timezone.now()
    )
    route = Route.objects.get(slug="auto")
    route.rules.create(position=9, model=old.pk, conditions=[{"kind": "structured"}])
    chain = FallbackChain.objects.create(name="Usual")
    chain.steps.create(model="fast")
    key = Key.objects.create(name="Robot", user=administrator)
    key.models_allowed.add(old)

    client = as_(administrator)
    start = client.get(reverse("admin:index")).content.decode()
    for named in ("alias «fast»", "classifier «Complexity»", "fallback chain «Usual»", "key «Robot»", "route «Auto»"):
        assert named in start
    shown = client.get(reverse("admin:core_claudemodel_change", args=[old.pk])).content.decode()
    assert "is being phased out and stops answering on" in shown
    assert "A newer model of the same line is <strong>Claude Haiku 6</strong>" in shown
    page = reverse("admin:core_claudemodel_replace", args=[old.pk])
    asked = client.get(page)
    # What is said to change is what does: a draft that names an alias follows the alias.
    assert {(str(use.row), use.how) for use, _ in asked.context["drafts"]} == {
        (str(prompt), "its draft"),
        (str(route), "its draft: rule 4"),
    }
    assert ("Auto", "its draft, by an alias: rule 1") in {(str(use.row), use.how) for use, _ in asked.context["others"]}
    prompt.refresh_from_db()
    assert prompt.model == old
    assert "2 drafts name Claude Haiku 6 now." in client.post(page, follow=True).content.decode()
    prompt = Prompt.objects.get(pk=prompt.pk)
    assert prompt.model == newer
    assert prompt.published is not None
    assert prompt.published.model == old
    assert route.rules.filter(model=newer.pk).count() == 1
    assert ModelAlias.objects.get(name="fast").model == old


@pytest.mark.parametrize(
    ("lifecycle", "days", "said"), [("deprecated", 200, True), ("active", 20, True), ("active", 200, False)]
)
def test_each_page_that_names_a_model_that_leaves_warns_of_it(
    as_: As, administrator: User, prompt: Prompt, ready_made: None, lifecycle: str, days: int, said: bool
) -> None:
    fast = ModelAlias.objects.get(name="fast")
    ClaudeModel.objects.filter(pk=fast.model_id).update(
        lifecycle=lifecycle, retires_at=timezone.now() + dt.timedelta(days=days)
    )
    by_alias = Prompt.objects.create(
        name="By alias", slug="by-alias", template="Hello", model_id="claude-sonnet-5-5", alias=fast
    )
    chain = FallbackChain.objects.create(name="Usual")
    chain.steps.create(model="fast")
    key = Key.objects.create(name="Robot", user=administrator)
    key.models_allowed.add(fast.model)
    own = Key.objects.create(name="With its own", user=administrator, model="fast")
    route = Route.objects.get(slug="auto")
    classifier = Classifier.objects.get(slug="complexity")
    rows: dict[str, list[Any]] = {
        "prompt": [prompt, by_alias], "route": [route], "classifier": [classifier], "fallbackchain": [chain],
        "key": [key, own],
    }  # fmt: skip
    client = as_(administrator)
    for name, each in ((name, row) for name, found in rows.items() for row in found):
        shown = client.get(reverse(f"admin:core_{name}_change", args=[each.pk])).content.decode()
        assert ("is being phased out and stops answering on" in shown) is said, each


def test_only_who_may_change_drafts_replaces_a_model(as_: As, finance: User, ready_made: None) -> None:
    page = reverse("admin:core_claudemodel_replace", args=["claude-haiku-5-5"])
    assert as_(finance).post(page).status_code == 403


def test_a_classifier_is_measured_and_compared(as_: As, operator: User, ready_made: None) -> None:
    classifier = Classifier.objects.get(slug="complexity")
    client, page = as_(operator), reverse("admin:core_classifier_measuring", args=[classifier.pk])
    assert "It is empty." in client.get(page).content.decode()
    assert "is no label of this classifier" in client.post(page, {"table": "hello,odd"}).content.decode()
    said = '[[simulate: answer=""{\\""label\\"": \\""simple\\"", \\""sure\\"": true}""]]'
    table = f'text,label\n"One. {said}",simple\n"Two. {said}",complex\n'
    assert "2 examples were added." in client.post(page, {"table": table}, follow=True).content.decode()
    shown = client.post(page, {"measure": "1"}, follow=True).content.decode()
    assert "50 % of 2" in shown
    measured = Measurement.objects.get()
    assert sorted(measured.pairs) == [["complex", "simple", 1], ["simple", "simple", 1]]
    records = CostRecord.objects.filter(call=measured.call)
    assert measured.cost == sum(record.amount or 0 for record in records)
    assert {record.purpose for record in records} == {CostRecord.Purpose.CLASSIFICATION}
    client.post(page, {"measure": "1"})
    compared = client.get(page).content.decode()
    assert compared.count("Cost of 1,000") == compared.count("Time for 1,000") == 2
    # On a narrow screen the table has no head: each number carries the label that was said.
    assert 'data-label="simple">1<' in compared


def test_one_click_puts_a_call_into_the_set(as_: As, operator: User, editor: User, ready_made: None) -> None:
    classifier = Classifier.objects.get(slug="complexity")
    call = Call.objects.create(
        user=editor,
        request={"messages": [{"role": "user", "content": "Prove it."}]},
        routing={"classes": {"complexity": {"label": "simple"}}},
    )
    client = as_(operator)
    shown = client.get(reverse("admin:core_call_change", args=[call.pk])).content.decode()
    assert "Complexity said «simple»; right is" in shown
    page = reverse("admin:core_classifier_add_call", args=[classifier.pk, call.pk])
    for label in ("complex", "moderate"):
        client.post(page, {"label": label})
    assert [(e.text, e.label) for e in classifier.labelled.all()] == [("Prove it.", "moderate")]
    assert as_(editor).post(page, {"label": "simple"}).status_code == 403
