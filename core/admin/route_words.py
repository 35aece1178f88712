"""How does a route read, and where does it stand?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.admin.differences import Section, compared
from core.models import Route, RouteVersion
from core.routing.known import ALWAYS, Names, known_now
from core.routing.problems import Problem, problems


@dataclass(frozen=True)
class RuleWords:
    """A rule as people read it: «when …, then …»."""

    pk: int | None
    number: int
    name: str
    when: str
    then: str
    problems: list[Problem]

    @property
    def title(self) -> str:
        return self.name or f"Rule {self.number}"

    @property
    def lead(self) -> str:
        """What stands before the outcome; a rule without conditions has no «when»."""
        return f"When {self.when}, then" if self.when != ALWAYS else "Always"


@dataclass(frozen=True)
class Standing:
    """What the route's page says of it beside its form."""

    published: RouteVersion | None
    changed: bool
    before: RouteVersion | None
    last: Any
    rules: list[RuleWords]
    otherwise: str
    refusals: list[Problem]
    warnings: list[Problem]


def standing_of(route: Route) -> Standing:
    content = route.content()
    found = problems(content, known_now(content))
    rows = list(route.rules.all())
    return Standing(
        published=route.published,
        changed=route.changed_since_published,
        before=route.before() if route.published_id else None,
        last=route.publications.select_related("by", "version").first(),
        rules=rules_of(content, [row.pk for row in rows], found),
        otherwise=outcome_words(content["default"]),
        refusals=[problem for problem in found if problem.refused],
        warnings=[problem for problem in found if not problem.refused],
    )


def rules_of(
    content: Mapping[str, Any], pks: list[int] | None = None, found: list[Problem] | None = None
) -> list[RuleWords]:
    rules = content["rules"]
    names = Names([condition for rule in rules for condition in rule["conditions"]])
    return [
        RuleWords(
            pk=pks[place] if pks else None,
            number=place + 1,
            name=rule["name"],
            when=names.rule(rule["conditions"]),
            then=outcome_words(rule),
            problems=[problem for problem in found or [] if problem.rule == place],
        )
        for place, rule in enumerate(rules)
    ]


def outcome_words(outcome: Mapping[str, Any]) -> str:
    """«best with high effort, at most 500 tokens, as a batch»."""
    parts = [outcome["model"] or "no model"]
    if outcome.get("effort"):
        parts.append(f"with {outcome['effort']} effort")
    if outcome.get("max_tokens"):
        parts.append(f"at most {outcome['max_tokens']:,} tokens")
    if outcome.get("batch"):
        parts.append("as a batch where nobody waits")
    return ", ".join(parts)


def sections(content: Mapping[str, Any]) -> dict[str, str]:
    """A content in the shape of `Route.content()`, as texts to compare."""
    lines = [f"{rule.title}: {rule.lead} {rule.then}" for rule in rules_of(content)]
    return {
        "Name": content["name"],
        "Rules, the first that matches counts": "\n".join(lines),
        "When no rule matches": outcome_words(content["default"]),
    }


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Section]:
    return compared(sections(before) if before else {}, sections(after))
