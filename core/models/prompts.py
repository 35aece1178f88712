"""What do staff write, try and publish?

A `Prompt` row is the working draft that the admin edits. Trying or publishing it takes a `PromptVersion`: a frozen,
numbered copy of all that a request is made from. `Prompt.published` points at the version that people use.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models, transaction
from django.db.models import Max, Q
from django.utils import timezone

from core.models.catalogue import ClaudeModel

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from core.models.people import User
    from core.models.routing import ModelAlias, Route

VARIABLE_NAME = RegexValidator(
    # A form has a field of the excluded name already.
    r"^(?!csrfmiddlewaretoken$)[a-z][a-z0-9_]*\Z",
    "Use small letters, digits and underscores, beginning with a letter: customer_name.",
)


class Immutable(models.Model):
    """A row that is written once. The fields in `may_change` are the only ones that a later save may touch."""

    may_change: ClassVar[frozenset[str]] = frozenset()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        touched = set(kwargs.get("update_fields") or {"*"})
        if not self._state.adding and not touched <= self.may_change:
            raise ValueError(f"{self._meta.verbose_name} {self.pk} is written once and cannot be changed")
        super().save(*args, **kwargs)


class SystemPrompt(models.Model):
    """A reusable system prompt. Published prompts keep the text they were published with."""

    name = models.CharField(max_length=120, unique=True)
    description = models.CharField(max_length=300, blank=True, help_text="What it is for, for whoever picks it.")
    text = models.TextField(
        help_text="May use the prompt's variables as {{name}}. It is sent before the user's part on each request."
    )
    in_chat = models.BooleanField(
        "offered in chats",
        default=False,
        help_text="Everybody who may chat can choose it by its name, and a chat follows this text from then on. It can "
        "use no variables then.",
    )
    demo = models.BooleanField("demo data", default=False, editable=False)
    updated_at = models.DateTimeField("changed", auto_now=True)

    class Meta:
        verbose_name = "system prompt"
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    def current_version(self, author: User | None = None) -> SystemPromptVersion:
        """The version that holds today's text; made on the spot if this text has none yet."""
        newest = self.versions.order_by("-number").first()
        if newest is not None and newest.text == self.text:
            return newest
        number = newest.number + 1 if newest else 1
        return self.versions.create(number=number, text=self.text, created_by=author)


class SystemPromptVersion(Immutable):
    """The text of a system prompt as it once was."""

    system_prompt = models.ForeignKey(SystemPrompt, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = "system prompt version"
        ordering: ClassVar = ["system_prompt", "-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["system_prompt", "number"], name="one_number_per_system_prompt"),
        ]

    def __str__(self) -> str:
        return f"{self.system_prompt} · version {self.number}"


class PromptQuerySet(models.QuerySet["Prompt"]):
    def published(self) -> PromptQuerySet:
        return self.filter(published__isnull=False)

    def usable_by(self, user: User | AnonymousUser) -> PromptQuerySet:
        """Published prompts that `user` may run."""
        allowed = Q(access=Prompt.Access.EVERYONE)
        if user.is_authenticated:
            allowed |= Q(access=Prompt.Access.SIGNED_IN)
            allowed |= Q(access=Prompt.Access.GROUPS, groups__in=user.groups.values("pk"))
            if user.is_superuser:
                allowed = Q()
        return self.published().filter(allowed).distinct()


class Prompt(models.Model):
    """The draft of a prompt, and a pointer to the version that people use."""

    class Access(models.TextChoices):
        EVERYONE = "everyone", "Everyone, signed in or not"
        SIGNED_IN = "signed_in", "Everyone who is signed in"
        GROUPS = "groups", "Members of the chosen groups"

    class Effort(models.TextChoices):
        LOW = "low"
        MEDIUM = "medium"
        HIGH = "high"
        XHIGH = "xhigh", "Extra high"
        MAX = "max", "Maximum"

    name = models.CharField(max_length=120, help_text="What people see in the list: «Answer a customer».")
    slug = models.SlugField(
        "address", unique=True, help_text="The last part of the page's address: /p/answer-a-customer/"
    )
    description = models.CharField(max_length=300, blank=True, help_text="One sentence on what a person gets from it.")
    system_prompt = models.ForeignKey(
        SystemPrompt,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="prompts",
        verbose_name="system prompt",
    )
    template = models.TextField(
        "prompt", help_text="What is sent. Put each variable where its value belongs: {{customer_message}}."
    )
    model = models.ForeignKey(
        ClaudeModel,
        on_delete=models.PROTECT,
        related_name="prompts",
        verbose_name="model",
        help_text="Where a route or an alias is set, this one answers only when that cannot be followed.",
    )
    route = models.ForeignKey(
        "core.Route",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="prompts",
        help_text="Chooses the model for each request by its rules.",
    )
    alias = models.ForeignKey(
        "core.ModelAlias",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="prompts",
        help_text="A short name that stands for a model.",
    )
    tags = models.CharField(
        max_length=200,
        blank=True,
        help_text="Words separated by commas, small letters. Rules of routes can ask for them; nobody else sees them.",
    )
    max_tokens = models.PositiveIntegerField(
        "longest answer in tokens",
        default=2000,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="A token is about three quarters of a word. An answer that would be longer is cut off.",
    )
    effort = models.CharField(
        max_length=10,
        choices=Effort.choices,
        blank=True,
        help_text="How much the model thinks and writes, where it supports it. Empty leaves it to the model.",
    )
    output_schema = models.JSONField(
        "answer as data",
        null=True,
        blank=True,
        help_text="A JSON schema that the answer must follow. Empty for an answer in plain text.",
    )
    run_again_if_lost = models.BooleanField(
        "run again by itself if an answer is lost",
        default=True,
        help_text="When a worker or a connection breaks after sending, Claude may bill the lost answer too.",
    )
    cache_minutes = models.PositiveIntegerField(
        "keep answers for minutes",
        default=0,
        help_text="The same inputs from the same person within this time get the kept answer at no cost. 0: never.",
    )
    cache_shared = models.BooleanField(
        "share kept answers among people",
        default=False,
        help_text="Only for prompts whose answers hold nothing about whoever asked.",
    )
    fallback = models.ForeignKey(
        "core.FallbackChain",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="prompts",
        help_text="What answers when the model cannot. Empty: the installation's usual chain.",
    )
    most_attempts = models.PositiveSmallIntegerField(
        "most attempts",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="How often a form's request is tried before it is given up. Empty: as the installation says.",
    )
    give_up_after = models.PositiveIntegerField(
        "give up after minutes",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(43_200)],
        help_text="After this time of trying it is given up; waiting in the queue does not count. Empty: as the "
        "installation says.",
    )
    access = models.CharField("who may use it", max_length=20, choices=Access.choices, default=Access.SIGNED_IN)
    groups = models.ManyToManyField(
        "auth.Group",
        blank=True,
        related_name="prompts",
        help_text="Used when «Members of the chosen groups» is chosen.",
    )
    published = models.ForeignKey(
        "core.PromptVersion",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    demo = models.BooleanField("demo data", default=False, editable=False)
    created_at = models.DateTimeField("created", default=timezone.now, editable=False)
    updated_at = models.DateTimeField("changed", auto_now=True)

    objects = PromptQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(route=None) | Q(alias=None), name="prompt_has_a_route_or_an_alias_not_both"
            ),
        ]
        permissions: ClassVar = [
            ("try_prompt", "Can try a draft for real"),
            ("publish_prompt", "Can publish a prompt and take it back"),
        ]

    def __str__(self) -> str:
        return self.name

    def content(self) -> dict[str, Any]:
        """All that a request is made from, as plain values."""
        return {
            "template": self.template,
            "system_text": self.system_prompt.text if self.system_prompt else "",
            "model": self.model_id,
            "max_tokens": self.max_tokens,
            "effort": self.effort,
            "output_schema": self.output_schema,
            "run_again_if_lost": self.run_again_if_lost,
            "variables": [variable.as_dict() for variable in self.variables.all()],
            **_asked_name(self.route, self.alias),
        }

    def tag_list(self) -> list[str]:
        """The words that rules can ask for."""
        return [tag for part in self.tags.split(",") if (tag := part.strip().lower())]

    @property
    def changed_since_published(self) -> bool:
        """Whether the draft differs from what people use."""
        return self.published is None or self.published.digest != digest_of(self.content())

    @transaction.atomic
    def snapshot(self, author: User | None) -> PromptVersion:
        """The version that holds today's draft; the same content always gives the same version."""
        Prompt.objects.select_for_update(no_key=True).get(pk=self.pk)
        content = self.content()
        digest = digest_of(content)
        existing = self.versions.filter(digest=digest).first()
        if existing is not None:
            return existing
        last = self.versions.aggregate(last=Max("number"))["last"] or 0
        system_version = self.system_prompt.current_version(author) if self.system_prompt else None
        return self.versions.create(
            number=last + 1,
            digest=digest,
            created_by=author,
            system_version=system_version,
            model=self.model,
            route=self.route,
            alias=self.alias,
            **{key: value for key, value in content.items() if key not in {"model", "asked"}},
        )

    @transaction.atomic
    def publish(self, by: User | None, version: PromptVersion | None = None) -> PromptVersion:
        """Let people use `version`, or today's draft where none is named."""
        chosen = version or self.snapshot(by)
        if chosen.prompt_id != self.pk:
            raise ValueError(f"version {chosen.pk} belongs to another prompt")
        chosen.mark_published(by)
        self.published = chosen
        self.save(update_fields=["published", "updated_at"])
        return chosen

    def withdraw(self) -> None:
        """Take the prompt out of people's reach; its draft and its versions stay."""
        self.published = None
        self.save(update_fields=["published", "updated_at"])


class Variable(models.Model):
    """One typed blank in a prompt's draft."""

    class Kind(models.TextChoices):
        TEXT = "text", "Text"
        LONG_TEXT = "long_text", "Long text"
        CHOICE = "choice", "Choice"
        NUMBER = "number", "Number"
        DATE = "date", "Date"
        YES_NO = "yes_no", "Yes or no"

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="variables")
    name = models.CharField(
        max_length=60, validators=[VARIABLE_NAME], help_text="As in the prompt, without the braces."
    )
    label = models.CharField(max_length=120, help_text="What the form says.")
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.TEXT)
    help = models.CharField(max_length=300, blank=True, help_text="A hint below the field.")
    default = models.TextField(blank=True)
    required = models.BooleanField(default=True)
    choices = models.TextField(blank=True, help_text="For a choice: one per line.")
    minimum = models.DecimalField(
        "at least",
        max_digits=18,
        decimal_places=6,
        null=True,
        blank=True,
        help_text="A number's least value, or a text's characters.",
    )
    maximum = models.DecimalField(
        "at most",
        max_digits=18,
        decimal_places=6,
        null=True,
        blank=True,
        help_text="A number's greatest value, or a text's characters.",
    )
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["position", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["prompt", "name"],
                name="one_variable_of_a_name_per_prompt",
                violation_error_message="This prompt has a variable of that name already.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def as_dict(self) -> dict[str, Any]:
        """The plain values that a version keeps; `core.prompts.variables.VariableSpec` reads them back."""
        return {
            "name": self.name,
            "label": self.label,
            "kind": self.kind,
            "help": self.help,
            "default": self.default,
            "required": self.required,
            "choices": [line.strip() for line in self.choices.splitlines() if line.strip()],
            "minimum": None if self.minimum is None else f"{self.minimum.normalize():f}",
            "maximum": None if self.maximum is None else f"{self.maximum.normalize():f}",
        }


class PromptVersion(Immutable):
    """A frozen copy of a draft: taken when it was first tried or published, never changed afterwards."""

    may_change = frozenset({"published_at", "published_by"})

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, editable=False)
    template = models.TextField()
    system_text = models.TextField(blank=True)
    system_version = models.ForeignKey(
        SystemPromptVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    variables = models.JSONField(default=list)
    model = models.ForeignKey(ClaudeModel, on_delete=models.PROTECT, related_name="+")
    route = models.ForeignKey("core.Route", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    alias = models.ForeignKey("core.ModelAlias", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    max_tokens = models.PositiveIntegerField()
    effort = models.CharField(max_length=10, blank=True)
    output_schema = models.JSONField(null=True, blank=True)
    run_again_if_lost = models.BooleanField(default=True)
    created_at = models.DateTimeField("taken", default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    published_at = models.DateTimeField("published", null=True, blank=True, editable=False)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = "prompt version"
        ordering: ClassVar = ["prompt", "-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["prompt", "number"], name="one_number_per_prompt"),
            models.UniqueConstraint(fields=["prompt", "digest"], name="one_version_per_content"),
        ]

    def __str__(self) -> str:
        return f"{self.prompt} · version {self.number}"

    def content(self) -> dict[str, Any]:
        """All that a request is made from, in the shape of `Prompt.content()`."""
        return {
            "template": self.template,
            "system_text": self.system_text,
            "model": self.model_id,
            "max_tokens": self.max_tokens,
            "effort": self.effort,
            "output_schema": self.output_schema,
            "run_again_if_lost": self.run_again_if_lost,
            "variables": self.variables,
            **_asked_name(self.route, self.alias),
        }

    def mark_published(self, by: User | None) -> None:
        """Note who published this version last, and when."""
        self.published_at = timezone.now()
        self.published_by = by
        self.save(update_fields=["published_at", "published_by"])


def _asked_name(route: Route | None, alias: ModelAlias | None) -> dict[str, str]:
    """What is asked for instead of the model. Absent for a fixed model, so that older versions stay what they were."""
    if route is not None:
        return {"asked": route.slug}
    return {"asked": alias.name} if alias is not None else {}


def digest_of(content: dict[str, Any]) -> str:
    """A fingerprint of a draft's content: the same content gives the same text of 64 characters."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
