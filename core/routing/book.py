"""Which names, routes and classifiers are in force now? Read once, and again when anything was changed anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.models import Classifier, ClaudeModel, ModelAlias, Route, RouteVersion
from core.models.grouped import Grouped
from core.models.prompts import digest_of
from core.models.round_trip import Step, run_all
from core.models.routing import ONLY
from core.routing.rules import Compiled, compile_route

# Of each kind, what a process remembers ready to run; more than any installation has in use.
REMEMBERED = 500
# Threads that share one question for what is in force.
MOST_ASKING = 500


@dataclass(frozen=True)
class Questions:
    """A classifier as it stands: its content in the shape of `Classifier.content()`, and the digest of that."""

    content: Mapping[str, Any]
    digest: str

    @property
    def slug(self) -> str:
        return str(self.content["slug"])

    @property
    def name(self) -> str:
        return str(self.content["name"])

    @property
    def default_label(self) -> str:
        return str(self.content["default_label"])

    @property
    def labels(self) -> list[str]:
        return [label["name"] for label in self.content["labels"]]


@dataclass(frozen=True)
class InForce:
    """A route's published version: which one it is, and itself ready to run."""

    version: int
    digest: str
    route: Compiled


@dataclass(frozen=True)
class Book:
    """All that names can stand for, as of one moment."""

    stamp: str
    models: frozenset[str]
    aliases: Mapping[str, str]
    usual: str
    routes: Mapping[str, InForce]
    # The short names of those routes by their keys.
    slugs: Mapping[int, str]
    classifiers: Mapping[str, Questions]

    def model_of(self, name: str) -> str | None:
        """The model that an id or an alias stands for, or None where it does not answer any more."""
        model = name if name in self.models else self.aliases.get(name, "")
        return model if model in self.models else None


_kept: list[Book] = []
_compiled: dict[str, Compiled] = {}
_questions: dict[str, Questions] = {}


def book(stamp: str = "") -> Book:
    """What is in force: one query where nothing was changed since this process read it last.

    None, where the caller has just read the stamp.
    """
    stamp = stamp or _stamps.do(None)
    kept = _kept[0] if _kept else None
    return kept if kept is not None and stamp and kept.stamp == stamp else _read(stamp)


def read_anew() -> Book:
    """What is in force, read whole: for a name that this process does not know."""
    return _read(_stamp())


def forget() -> None:
    """Let this process read everything anew."""
    _kept.clear()
    _compiled.clear()
    _questions.clear()


def version_of(version: int, digest: str) -> Compiled | None:
    """A version of a route by its key and digest; no query where this process has run it before."""
    if digest not in _compiled:
        stored = RouteVersion.objects.filter(pk=version, digest=digest).values_list("content", flat=True).first()
        if stored is None:
            return None
        _remember(_compiled, digest, compile_route(stored))
    return _compiled[digest]


def questions_of(slug: str, digest: str = "") -> Questions | None:
    """A classifier by its short name; the one of that digest where this process knows it, else as it stands now."""
    return _questions.get(digest) or book().classifiers.get(slug)


def _stamp(_: None = None) -> str:
    """Every call asks for it, so it is written as SQL."""
    found = run_all([Step("SELECT stamp FROM core_routingstate WHERE id = %s", [ONLY])])[0].found
    return str(found[0][0]) if found else ""


def _one_for_all(threads: Sequence[None]) -> list[str]:
    """They all came before it is asked for, so one answer is new enough for each."""
    return [_stamp()] * len(threads)


_stamps: Grouped[None, str] = Grouped(_stamp, _one_for_all, MOST_ASKING)


def _read(stamp: str) -> Book:
    """The stamp was read before all else: what is changed meanwhile changes it again."""
    aliases = list(ModelAlias.objects.values_list("name", "model_id", "is_usual"))
    versions = list(RouteVersion.objects.filter(pk__in=Route.objects.values("published")).select_related("route"))
    read = Book(
        stamp=stamp,
        models=frozenset(ClaudeModel.objects.usable().values_list("pk", flat=True)),
        aliases={name: model for name, model, _ in aliases},
        usual=next((name for name, _, usual in aliases if usual), ""),
        routes={version.route.slug: _in_force(version) for version in versions},
        slugs={version.route_id: version.route.slug for version in versions},
        classifiers={row.slug: _asking(row) for row in Classifier.objects.prefetch_related("labels")},
    )
    _kept[:] = [read]
    return read


def _in_force(version: RouteVersion) -> InForce:
    if version.digest not in _compiled:
        _remember(_compiled, version.digest, compile_route(version.content))
    return InForce(version.pk, version.digest, _compiled[version.digest])


def _asking(row: Classifier) -> Questions:
    content = row.content()
    questions = Questions(content, digest_of(content))
    _remember(_questions, questions.digest, questions)
    return questions


def _remember(kept: dict[str, Any], key: str, value: Any) -> None:
    if len(kept) >= REMEMBERED:
        kept.clear()
    kept[key] = value
