"""How does the demo go again, and what has to stay because real work refers to it?

Cost records go first, then what they refer to, and so on down to the people. Whatever still refers to a demo row when
its turn has come is therefore real. Such a row stays as an ordinary one, out of use: a prompt is withdrawn, a person
can no longer sign in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db import models, transaction

from core.models import (
    Call,
    CostRecord,
    FallbackChain,
    FallbackStep,
    Key,
    KeySecret,
    PendingRollup,
    Prompt,
    PromptVersion,
    SystemPrompt,
    SystemPromptVersion,
    User,
    Variable,
)
from core.reports.rollups import rebuild_rollups

# Rows that are a part of another one and go with it.
PARTS: dict[type[models.Model], frozenset[type[models.Model]]] = {
    Prompt: frozenset({PromptVersion, Variable}),
    SystemPrompt: frozenset({SystemPromptVersion}),
    Key: frozenset({KeySecret}),
    FallbackChain: frozenset({FallbackStep}),
}


class Removed(dict[str, int]):
    """How many rows of each kind went; `kept` says, a sentence for each, what stayed and why."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []


@transaction.atomic
def remove_demo() -> Removed:
    """Remove the demo data and nothing else; afterwards no row is marked as demo and no demo login works."""
    removed = Removed()
    PendingRollup.objects.filter(record__demo=True).delete()
    removed["cost records"] = CostRecord.objects.remove_demo()
    if removed["cost records"]:
        rebuild_rollups()
    for model in RETIRE:
        _remove(model, removed)
    return removed


def _remove(model: type[models.Model], removed: Removed) -> None:
    demo = model._base_manager.filter(demo=True)
    holders = _holders(model)
    going = demo.exclude(pk__in=holders)
    removed[str(model._meta.verbose_name_plural)] = going.count()
    going.delete()
    for row in demo:
        done = RETIRE[model](row)
        removed.kept.append(
            f"The {model._meta.verbose_name} «{row}» was kept because of {_told(holders[row.pk])}; {done}."
        )
    demo.update(demo=False)


def _holders(model: type[models.Model]) -> dict[Any, dict[type[models.Model], set[Any]]]:
    """For each demo row of `model` that something refers to: the kinds and keys of what does."""
    found: dict[Any, dict[type[models.Model], set[Any]]] = {}
    for other, path in _references(model):
        rows = other._base_manager.filter(**{f"{path}__demo": True}).values_list(path, "pk")
        for held, holder in rows:
            found.setdefault(held, {}).setdefault(other, set()).add(holder)
    if model is Prompt:
        # A version that somebody real took of a demo prompt is real work, whether it was used yet or not.
        theirs = PromptVersion.objects.filter(prompt__demo=True, created_by__demo=False)
        for held, holder in theirs.values_list("prompt", "pk"):
            found.setdefault(held, {}).setdefault(PromptVersion, set()).add(holder)
    return found


def _references(model: type[models.Model]) -> Iterator[tuple[type[models.Model], str]]:
    """Which tables refer to `model` or to a part of it, by which path; tables that are yet to be written included.

    A reference that may be emptied holds nobody back, and a membership goes with its row.
    """
    for relation in model._meta.get_fields(include_hidden=True):
        if not isinstance(relation, models.ManyToOneRel) or relation.on_delete is models.SET_NULL:
            continue
        other = relation.related_model
        name = relation.field.name
        if other in PARTS.get(model, ()):
            yield from ((further, f"{path}__{name}") for further, path in _references(other))
        elif not other._meta.auto_created:
            yield other, name


def _told(holders: dict[type[models.Model], set[Any]]) -> str:
    counts = [
        f"{len(keys):,} {model._meta.verbose_name if len(keys) == 1 else model._meta.verbose_name_plural}"
        for model, keys in holders.items()
    ]
    return " and ".join(sorted(counts))


def _keep_call(_call: Call) -> str:
    return "it is an ordinary call now"


def _retire_prompt(prompt: Prompt) -> str:
    """Withdraw it, unless somebody real has published it since."""
    publisher = prompt.published.published_by if prompt.published else None
    if publisher and not publisher.demo:
        return f"{publisher} has published it, so people can use it as before"
    prompt.withdraw()
    return "it was withdrawn"


def _keep_system_prompt(_system: SystemPrompt) -> str:
    return "it is an ordinary system prompt now"


def _retire_key(key: Key) -> str:
    key.revoke()
    return "it was revoked"


def _keep_chain(_chain: FallbackChain) -> str:
    return "it is an ordinary chain now"


def _retire_person(user: User) -> str:
    user.is_active = False
    user.set_unusable_password()
    user.save(update_fields=["is_active", "password"])
    return "nobody can sign in as them any more"


# In this order: each kind is referred to by those before it.
RETIRE: dict[type[models.Model], Callable[[Any], str]] = {
    Call: _keep_call,
    Prompt: _retire_prompt,
    SystemPrompt: _keep_system_prompt,
    Key: _retire_key,
    FallbackChain: _keep_chain,
    User: _retire_person,
}
