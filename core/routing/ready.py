"""Which names, classifiers and routes come ready?

They are loaded once, when the catalogue has models to point at; afterwards they are the installation's own, so that
what staff change or delete stays as they left it.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F

from core.models import Classifier, ClassifierLabel, ClaudeModel, ModelAlias, Route, RoutingState, Rule
from core.models.routing import ONLY
from core.routing.names import AUTO, STANDARD

# Name, line of models, what it is for.
ALIASES = (
    ("fast", "haiku", "Quick and cheap: short answers, sorting, extracting."),
    (STANDARD, "sonnet", "The safe middle, for most work."),
    ("best", "opus", "For what is hard: long reasoning, code, figures."),
)
_FOR_LABELS = "You sort requests to an assistant in an organisation, so that each goes to the right model."
COMPLEXITY = {
    "slug": "complexity",
    "name": "Complexity",
    "description": "How much work an answer is.",
    "instructions": f"{_FOR_LABELS} Judge how hard a good answer is, not how long the request is.",
    "default_label": "moderate",
    "more_characters": 1000,
}
COMPLEXITY_LABELS = (
    (
        "simple",
        "One fact, a short rewording, a translation of a sentence, a yes or no: no reasoning in steps.",
        "Translate «Guten Morgen» into English.\nWhat is the capital of Norway?\nCorrect the spelling: «recieve».",
    ),
    (
        "moderate",
        "Usual office work: an e-mail, a summary, an explanation, a small piece of code.",
        "Write a friendly reminder for an unpaid invoice.\nSummarise these minutes in five points.",
    ),
    (
        "complex",
        "Reasoning in several steps, a contract, an architecture, a proof, code over several files, conflicting aims.",
        "Find the contradictions between these two contracts.\nDesign a database for a hospital's shift plan.",
    ),
    (
        "bulk",
        "The same small task over many items, where nobody waits for the answer at the screen.",
        "Classify each of the following 500 reviews.\nTranslate all rows of this table.",
    ),
)
INTENT = {
    "slug": "intent",
    "name": "Intent",
    "description": "What kind of thing is wanted.",
    "instructions": f"{_FOR_LABELS} Judge what the person wants to have in the end.",
    "default_label": "task",
    "more_characters": 1000,
}
INTENT_LABELS = (
    ("question", "Wants to know or understand something.", "Why is the sky blue?\nWhat does clause 4 mean for us?"),
    ("task", "Wants something done with given material.", "Summarise this report.\nPut these dates into a table."),
    ("creative", "Wants a new text, idea or name.", "Write a slogan for our bakery.\nThink up a quiz for the party."),
    ("code", "Wants a program, a query, a formula, or a fault in one found.", "Why does this SQL return no rows?"),
)
# Title, label, outcome.
AUTO_RULES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("simple → fast", "simple", {"model": "fast"}),
    ("complex → best", "complex", {"model": "best"}),
    ("bulk → batch", "bulk", {"model": STANDARD, "batch": True}),
)
INTENT_RULES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("question → fast", "question", {"model": "fast"}),
    ("creative → standard", "creative", {"model": STANDARD}),
    ("code → best", "code", {"model": "best"}),
)


@transaction.atomic
def load_ready_made() -> bool:
    """Make what comes ready; False where that was done before, or the catalogue lacks a model for it."""
    state, _ = RoutingState.objects.select_for_update().get_or_create(pk=ONLY)
    models = {line: _newest(line) for _, line, _ in ALIASES}
    if state.ready_made or None in models.values():
        return False
    for name, line, description in ALIASES:
        defaults = {"model": models[line], "description": description, "is_usual": name == STANDARD}
        ModelAlias.objects.get_or_create(name=name, defaults=defaults)
    _classifier(COMPLEXITY, COMPLEXITY_LABELS)
    _classifier(INTENT, INTENT_LABELS)
    _route(AUTO, "Auto", "Each request to the model that its difficulty needs.", "complexity", AUTO_RULES)
    _route("intent", "By intent", "Each request to the model that suits what is wanted.", "intent", INTENT_RULES)
    RoutingState.objects.filter(pk=ONLY).update(ready_made=True)
    RoutingState.touch()
    return True


def _newest(line: str) -> ClaudeModel | None:
    active = ClaudeModel.objects.filter(line=line, lifecycle=ClaudeModel.Lifecycle.ACTIVE)
    return active.order_by(F("released_at").desc(nulls_last=True), "pk").first()


def _classifier(values: dict[str, Any], labels: tuple[tuple[str, str, str], ...]) -> None:
    made, new = Classifier.objects.get_or_create(slug=values["slug"], defaults=values)
    if new:
        ClassifierLabel.objects.bulk_create(
            ClassifierLabel(classifier=made, name=name, description=description, examples=examples, position=position)
            for position, (name, description, examples) in enumerate(labels)
        )


def _route(
    slug: str, name: str, description: str, classifier: str, rules: tuple[tuple[str, str, dict[str, Any]], ...]
) -> None:
    defaults = {"name": name, "description": description, "model": STANDARD}
    route, new = Route.objects.get_or_create(slug=slug, defaults=defaults)
    if not new:
        return
    Rule.objects.bulk_create(
        Rule(
            route=route,
            position=position,
            name=title,
            conditions=[{"kind": "class", "classifier": classifier, "labels": [label]}],
            **outcome,
        )
        for position, (title, label, outcome) in enumerate(rules)
    )
    route.publish(None, note="Came ready.")
