"""Which names can stand for a model, and by which rules does a route choose one?

A `Route` row with its `Rule`s is the working draft that staff edit; a `RouteVersion` is a frozen copy of it, and
`Route.published` points at the one that requests follow. Every change that a running process has to notice stamps the
one row of `RoutingState`: processes keep what they read until that stamp changes.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models, transaction
from django.db.models import Max, Q
from django.utils import timezone

from core.models.catalogue import ClaudeModel
from core.models.prompts import Immutable, Prompt, digest_of

if TYPE_CHECKING:
    from core.models.people import User

NAME = RegexValidator(
    r"^[a-z][a-z0-9-]*\Z", "Use small letters, digits and hyphens, beginning with a letter: customer-mail."
)
# The one row of `RoutingState`.
ONLY = 1
_Row_co = TypeVar("_Row_co", bound=models.Model, covariant=True)


class RoutingState(models.Model):
    """What tells every process that something about routing was changed; there is one row."""

    # Random and not counted: a change that is rolled back must not be taken for another one of the same number.
    stamp = models.CharField(max_length=16, blank=True)
    ready_made = models.BooleanField("ready-made names, classifiers and routes were loaded", default=False)

    def __str__(self) -> str:
        return self.stamp

    @staticmethod
    def touch() -> None:
        """Let every process read anew, once what is changed here is committed."""
        RoutingState.objects.update_or_create(pk=ONLY, defaults={"stamp": secrets.token_hex(8)})


class NoticedRows(models.QuerySet[_Row_co]):
    """Rows whose change every process has to notice, also where many are changed or deleted by one statement."""

    @transaction.atomic
    def update(self, **values: Any) -> int:
        changed = super().update(**values)
        RoutingState.touch()
        return changed

    @transaction.atomic
    def delete(self) -> tuple[int, dict[str, int]]:
        deleted = super().delete()
        RoutingState.touch()
        return deleted


class Noticed(models.Model):
    """A row whose change every process has to notice."""

    objects = NoticedRows.as_manager()

    class Meta:
        abstract = True

    @transaction.atomic
    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        RoutingState.touch()

    @transaction.atomic
    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        deleted = super().delete(*args, **kwargs)
        RoutingState.touch()
        return deleted


class ModelAlias(Noticed):
    """A short name that stands for a model wherever one is named: «fast», «standard», «best»."""

    name = models.SlugField(
        max_length=60, unique=True, validators=[NAME], help_text="What programs and rules write: fast."
    )
    model = models.ForeignKey(
        ClaudeModel,
        on_delete=models.PROTECT,
        related_name="aliases",
        help_text="Whatever names the alias uses this model from the next request on.",
    )
    description = models.CharField(max_length=300, blank=True, help_text="What it is for, for whoever picks it.")
    is_usual = models.BooleanField(
        "the usual one", default=False, help_text="Counts where a program or a chat names no model at all."
    )
    demo = models.BooleanField("demo data", default=False, editable=False)

    class Meta:
        verbose_name = "alias"
        verbose_name_plural = "aliases"
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_usual"],
                condition=Q(is_usual=True),
                name="one_usual_alias",
                violation_error_message="Another alias is the usual one already.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Classifier(Noticed):
    """A small question to a small model about a request, before another model answers it: which label fits?"""

    name = models.CharField(max_length=120, unique=True, help_text="What rules call it: «Complexity».")
    slug = models.SlugField("short name", max_length=60, unique=True, validators=[NAME])
    description = models.CharField(max_length=300, blank=True)
    model = models.CharField(max_length=120, default="fast", help_text="A model's id, or an alias: a small, quick one.")
    instructions = models.TextField(
        help_text="What the classifier is told before the labels: what to look at, and what to ignore."
    )
    default_label = models.CharField(
        "label when it cannot say",
        max_length=60,
        help_text="Counts for an answer that is no label, a refusal, an error, and when it takes too long.",
    )
    characters = models.PositiveIntegerField(
        "characters it reads",
        default=200,
        validators=[MinValueValidator(20), MaxValueValidator(20_000)],
        help_text="Of the beginning of the request. More makes each request dearer and slower.",
    )
    more_characters = models.PositiveIntegerField(
        "characters when unsure",
        default=0,
        validators=[MaxValueValidator(20_000)],
        help_text="When the beginning does not tell, it is asked once more with so many. 0: it is not.",
    )
    seconds = models.FloatField(
        "seconds it may take",
        default=3.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(60)],
        help_text="After that the label above counts, and the request goes on.",
    )
    demo = models.BooleanField("demo data", default=False, editable=False)
    updated_at = models.DateTimeField("changed", auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]
        permissions: ClassVar = [("measure_classifier", "Can measure classifiers, which costs money")]

    def __str__(self) -> str:
        return self.name

    def content(self) -> dict[str, Any]:
        """All that decides its answers, as plain values."""
        return {
            "slug": self.slug,
            "name": self.name,
            "model": self.model,
            "instructions": self.instructions,
            "default_label": self.default_label,
            "characters": self.characters,
            "more_characters": self.more_characters,
            "seconds": self.seconds,
            "labels": [label.as_dict() for label in self.labels.all()],
        }


class ClassifierLabel(Noticed):
    """One of the answers that a classifier may give."""

    classifier = models.ForeignKey(Classifier, on_delete=models.CASCADE, related_name="labels")
    name = models.CharField("label", max_length=60, validators=[NAME])
    description = models.CharField(max_length=500, help_text="When it fits, for the model and for people.")
    examples = models.TextField(blank=True, help_text="Requests for which it is right, one per line.")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = "label"
        ordering: ClassVar = ["position", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["classifier", "name"],
                name="one_label_of_a_name_per_classifier",
                violation_error_message="This classifier has a label of that name already.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def as_dict(self) -> dict[str, Any]:
        examples = [line.strip() for line in self.examples.splitlines() if line.strip()]
        return {"name": self.name, "description": self.description, "examples": examples}


class ClassifiedInput(models.Model):
    """What a classifier said of an input, so that it is not asked twice within a day. The text itself is not kept."""

    # Of the classifier's content and of what it read: whoever changes either asks anew.
    digest = models.CharField(primary_key=True, max_length=64)
    label = models.CharField(max_length=60)
    sure = models.BooleanField(default=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["at"], name="classified_age")]

    def __str__(self) -> str:
        return self.label


class Outcome(models.Model):
    """What happens to a request: a model, and what is set besides."""

    model = models.CharField(max_length=120, blank=True, help_text="A model, or an alias that stands for one.")
    effort = models.CharField(
        max_length=10,
        choices=Prompt.Effort.choices,
        blank=True,
        help_text="How much the model thinks and writes. Empty leaves it as it was asked for.",
    )
    max_tokens = models.PositiveIntegerField(
        "longest answer in tokens",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="Never more than was asked for. Empty leaves it as it was.",
    )
    batch = models.BooleanField(
        "send as batch",
        default=False,
        help_text="At half the price within a day, where nobody waits for the answer; otherwise at once.",
    )

    class Meta:
        abstract = True

    def outcome(self) -> dict[str, Any]:
        return {"model": self.model, "effort": self.effort, "max_tokens": self.max_tokens, "batch": self.batch}


class Route(Outcome):
    """The draft of a route, whose own outcome is the default, and a pointer to the version that requests follow."""

    name = models.CharField(max_length=120, unique=True, help_text="What people see: «Customer mail».")
    slug = models.SlugField(
        "short name",
        max_length=60,
        unique=True,
        validators=[NAME],
        help_text="What programs write instead of a model: customer-mail.",
    )
    description = models.CharField(max_length=300, blank=True)
    published = models.ForeignKey(
        "core.RouteVersion", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    demo = models.BooleanField("demo data", default=False, editable=False)
    created_at = models.DateTimeField("created", default=timezone.now, editable=False)
    updated_at = models.DateTimeField("changed", auto_now=True)

    objects = NoticedRows.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        permissions: ClassVar = [
            ("try_route", "Can try routes and run what-if"),
            ("publish_route", "Can publish a route and take it back"),
        ]

    def __str__(self) -> str:
        return self.name

    @transaction.atomic
    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        deleted = super().delete(*args, **kwargs)
        RoutingState.touch()
        return deleted

    def content(self) -> dict[str, Any]:
        """All that decides what a request gets, as plain values."""
        return {
            "slug": self.slug,
            "name": self.name,
            "rules": [rule.as_dict() for rule in self.rules.all()],
            "default": self.outcome(),
        }

    @property
    def changed_since_published(self) -> bool:
        """Whether the draft differs from what requests follow."""
        return self.published is None or self.published.digest != digest_of(self.content())

    @transaction.atomic
    def snapshot(self, author: User | None) -> RouteVersion:
        """The version that holds today's draft; the same content always gives the same version."""
        Route.objects.select_for_update().get(pk=self.pk)
        content = self.content()
        digest = digest_of(content)
        existing = self.versions.filter(digest=digest).first()
        if existing is not None:
            return existing
        last = self.versions.aggregate(last=Max("number"))["last"] or 0
        return self.versions.create(number=last + 1, digest=digest, content=content, created_by=author)

    @transaction.atomic
    def publish(self, by: User | None, version: RouteVersion | None = None, note: str = "") -> RouteVersion:
        """Let requests follow `version`, or today's draft where none is named, in every process at once."""
        chosen = version or self.snapshot(by)
        if chosen.route_id != self.pk:
            raise ValueError(f"version {chosen.pk} belongs to another route")
        self.published = chosen
        self.save(update_fields=["published", "updated_at"])
        self.publications.create(version=chosen, by=by, note=note)
        RoutingState.touch()
        return chosen

    @transaction.atomic
    def withdraw(self, by: User | None) -> None:
        """Let nothing follow this route; its draft and its versions stay."""
        self.published = None
        self.save(update_fields=["published", "updated_at"])
        self.publications.create(version=None, by=by)
        RoutingState.touch()

    def before(self) -> RouteVersion | None:
        """The version that requests followed before the present one: where one click leads back to."""
        published = self.publications.exclude(version=None).exclude(version=self.published).first()
        return published.version if published else None


class Rule(Outcome):
    """One rule of a draft. All its conditions must hold; without any it holds always."""

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="rules")
    position = models.PositiveSmallIntegerField(default=0)
    name = models.CharField(max_length=120, blank=True, help_text="What the reason calls it: «complex → best».")
    # A list of {"kind": …, …}; which kinds there are, and what each holds: `core.routing.conditions`.
    conditions = models.JSONField(default=list, blank=True)

    class Meta:
        ordering: ClassVar = ["position", "pk"]

    def __str__(self) -> str:
        return self.name or f"rule {self.position + 1}"

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "conditions": self.conditions, **self.outcome()}


class RouteVersion(Immutable):
    """A frozen copy of a route's draft: taken when it was first published, never changed afterwards."""

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, editable=False)
    content = models.JSONField()
    created_at = models.DateTimeField("taken", default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = "route version"
        ordering: ClassVar = ["route", "-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["route", "number"], name="one_number_per_route"),
            models.UniqueConstraint(fields=["route", "digest"], name="one_route_version_per_content"),
        ]

    def __str__(self) -> str:
        return f"{self.route} · version {self.number}"


class RoutePublication(models.Model):
    """That somebody published a version, or, without a version, withdrew the route."""

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="publications")
    version = models.ForeignKey(RouteVersion, on_delete=models.CASCADE, null=True, related_name="publications")
    at = models.DateTimeField("when", default=timezone.now, editable=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name = "publication of a route"
        ordering: ClassVar = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.version or self.route}"


class LabelledExample(models.Model):
    """A request of which a person says which label is right, to measure a classifier by."""

    classifier = models.ForeignKey(Classifier, on_delete=models.CASCADE, related_name="labelled")
    text = models.TextField()
    label = models.CharField(max_length=60)
    # Where it was picked from, if it was.
    call = models.ForeignKey("core.Call", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField("added", default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = "labelled example"
        ordering: ClassVar = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.label}: {self.text[:60]}"


class Measurement(Immutable):
    """How well a classifier, as it stood, did on its labelled examples, and what that cost."""

    classifier = models.ForeignKey(Classifier, on_delete=models.CASCADE, related_name="measurements")
    at = models.DateTimeField("when", default=timezone.now, editable=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    # The exchanges are in its ledger.
    call = models.ForeignKey("core.Call", on_delete=models.PROTECT, null=True, related_name="+")
    # The classifier's content, and pairs of labels with their numbers: [right, said, count].
    content = models.JSONField()
    pairs = models.JSONField()
    seconds = models.FloatField("seconds in all")
    cost = models.DecimalField("cost in USD", max_digits=20, decimal_places=10, null=True)

    class Meta:
        ordering: ClassVar = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.classifier}, {self.at:%Y-%m-%d %H:%M}"
