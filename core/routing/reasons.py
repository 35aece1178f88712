"""Why this model, in a sentence that a person understands?"""

from __future__ import annotations

from collections.abc import Mapping

from core.routing.classify import Classified
from core.routing.rules import Compiled, Decision


def reason_of(
    route: Compiled, decision: Decision, known: Mapping[str, Classified], *, gone: str = "", more: str = ""
) -> str:
    """Such as: matched «complex → best»: class complex, 0.8 s, $0.00002."""
    if decision.rule is None:
        begun = f"no rule of «{route.name}» matched, so its default counts" if route.rules else f"«{route.name}»"
    else:
        begun = f"matched «{route.rules[decision.rule].title}»"
    said = "; ".join(_said(classified) for classified in known.values())
    parts = [f"{begun}: {said}" if said else begun]
    if gone:
        parts.append(f"the default answers, because «{gone}» stands for no model any more")
    return "; ".join([*parts, more] if more else parts)


def _said(classified: Classified) -> str:
    parts = [f"class {classified.label}"]
    if classified.why:
        parts.append(f"the default, because {classified.why}")
    if classified.remembered:
        parts.append("known from the same input before")
    if classified.seconds is not None:
        parts.append(f"{classified.seconds:.1f} s")
        parts.append(usd(classified))
    return ", ".join(parts)


def usd(classified: Classified) -> str:
    """The amount with two digits that say something: $0.000021."""
    if classified.cost is None:
        return "cost not known"
    if not classified.cost:
        return "$0"
    places = max(2, 1 - classified.cost.adjusted())
    return f"${classified.cost:.{places}f}"
