"""Which programs may call, on whose behalf, and within which bounds?"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import uuid
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from core.models import direct
from core.models.catalogue import ClaudeModel
from core.models.fallbacks import FallbackChain
from core.models.prompts import Prompt
from core.models.round_trip import Step, run_all
from core.models.routing import ONLY, RoutingState

if TYPE_CHECKING:
    from core.models.people import User

# What a key begins with, so that people and secret scanners recognise one.
LEAD = "ca-"
# Characters behind the lead that are stored readably, to find a key by.
SHOWN = 8
SECRET_BYTES = 32
# Seconds. The time of the last use is for people who tidy up; writing it on each request would cost each a commit.
USE_NOTED_EVERY = 60
# What the reading of a key says besides its fields.
MODELS_BOUND, PROMPTS_BOUND, IN_FORCE = "models_bound", "prompts_bound", "in_force"


def digest_of(secret: str) -> str:
    """What is stored of a key. It is random and long, so one round of a fast hash is enough."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


class Key(models.Model):
    """A program that calls: whose it is, what it may use, and how it wants to be served.

    What the program sends is one of its `KeySecret`s; while it is rotated there are two.
    """

    name = models.CharField(max_length=120)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="keys", verbose_name="owner"
    )
    groups = models.ManyToManyField(
        "auth.Group",
        blank=True,
        related_name="keys",
        help_text="The groups whose budgets and rules count for this key. None: those of its owner.",
    )
    cost_centre = models.CharField(
        "cost centre", max_length=40, blank=True, help_text="Empty: the owner's. What its calls are charged to."
    )
    models_allowed = models.ManyToManyField(
        ClaudeModel, blank=True, related_name="keys", verbose_name="allowed models", help_text="None chosen: all."
    )
    prompts_allowed = models.ManyToManyField(
        Prompt,
        blank=True,
        related_name="keys",
        verbose_name="allowed prompts",
        help_text="None chosen: all that its owner may use.",
    )
    requests_per_minute = models.PositiveIntegerField(
        "requests a minute", null=True, blank=True, help_text="Empty: the installation's usual limit; 0: no limit."
    )
    tokens_per_minute = models.PositiveIntegerField(
        "tokens a minute", null=True, blank=True, help_text="Empty: the installation's usual limit; 0: no limit."
    )
    attempts = models.PositiveSmallIntegerField(
        "tries at Claude",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(10)],
        help_text="How often a request is tried before it fails. Empty: the installation's usual number.",
    )
    try_seconds = models.PositiveIntegerField(
        "seconds a try", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(3600)],
        help_text="How long Claude may take for one try. Empty: the installation's usual time.",
    )  # fmt: skip
    patience_seconds = models.PositiveIntegerField(
        "seconds of patience", null=True, blank=True, validators=[MaxValueValidator(3600)],
        help_text="How long the program waits in all, so that no wait for another try is begun which would be longer. "
        "Empty: the installation's usual time.",
    )  # fmt: skip
    fallback = models.ForeignKey(
        FallbackChain,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="keys",
        help_text="What answers when the model cannot. Empty: the installation's usual chain.",
    )
    cancel_when_left = models.BooleanField(
        "stop an answer when the program leaves",
        default=False,
        help_text="Otherwise Claude writes it to its end. What was written is billed either way; stopped, its output "
        "is not known exactly, so its cost is unknown until it is put right.",
    )
    cache_minutes = models.PositiveIntegerField(
        "keep answers for minutes",
        default=0,
        help_text="The same request from this key within this time gets the kept answer at no cost. 0: never.",
    )
    route = models.ForeignKey(
        "core.Route",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="keys",
        help_text="What chooses the model where the program names none, or «auto». Empty: the installation's usual.",
    )
    model = models.CharField(
        "its own model",
        max_length=120,
        blank=True,
        help_text="A model, or an alias that stands for one, in place of a route: what answers where the program names "
        "none, or «auto».",
    )
    expires_at = models.DateTimeField("expires", null=True, blank=True)
    created_at = models.DateTimeField("made", default=timezone.now, editable=False)
    last_used_at = models.DateTimeField("last used", null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField("revoked", null=True, blank=True, editable=False)
    demo = models.BooleanField("demo data", default=False, editable=False)

    # Whether it was read together with the key that no models, or no prompts, are chosen for it.
    any_model = False
    any_prompt = False
    # What routing was in force then, see `RoutingState.stamp`; empty where that was not read with it.
    in_force = ""

    class Meta:
        ordering: ClassVar = ["name", "pk"]
        permissions: ClassVar = [
            ("manage_any_key", "Can make, change and revoke keys of other people"),
        ]

    def __str__(self) -> str:
        return self.name

    def models_bound_to(self) -> frozenset[str]:
        """The ids of the models that it may use; none where it may use all."""
        return frozenset() if self.any_model else frozenset(self.models_allowed.values_list("pk", flat=True))

    def prompts_bound_to(self) -> frozenset[int]:
        """The prompts that it may use, and nothing else; none where it may use all, and ask what it likes."""
        return frozenset() if self.any_prompt else frozenset(self.prompts_allowed.values_list("pk", flat=True))

    def usable(self, now: dt.datetime) -> bool:
        """Whether it opens the door: not revoked, not expired, and its owner still works here."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now) and self.user.is_active

    def revoke(self) -> bool:
        """Close the door for good, for all its secrets, from the next request on; False where it was closed."""
        now = timezone.now()
        revoked = bool(Key.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=now))
        if revoked:
            self.revoked_at = now
        return revoked

    def asked(self, call_id: uuid.UUID) -> bool:
        """Whether that call came by this key."""
        return bool(run_all([Step(_ASKED, [direct.stored(call_id), self.pk])])[0].found)

    def note_use(self, now: dt.datetime) -> None:
        """Remember, to the minute, that it was used."""
        stale = now - dt.timedelta(seconds=USE_NOTED_EVERY)
        if self.last_used_at is None or self.last_used_at < stale:
            earlier = Q(last_used_at=None) | Q(last_used_at__lt=stale)
            Key.objects.filter(earlier, pk=self.pk).update(last_used_at=now)


# Written as SQL, for everybody who follows a call by a key is asked for.
_ASKED = "SELECT 1 FROM core_call WHERE id = %s AND key_id = %s"


class KeySecretQuerySet(models.QuerySet["KeySecret"]):
    def open(self) -> KeySecretQuerySet:
        """Those that open the door, by the database's clock."""
        now = Now()
        unexpired = (Q(expires_at=None) | Q(expires_at__gt=now)) & (
            Q(key__expires_at=None) | Q(key__expires_at__gt=now)
        )
        return self.filter(unexpired, key__revoked_at=None, key__user__is_active=True)

    def with_digest(self, digest: str) -> KeySecretQuerySet:
        """The row with its key, the key's owner, whether the key is bound to certain models or prompts, and the stamp.

        None of a key that is closed: nothing is made of it, so that it takes as long as one that there never was.
        """
        models_bound = Key.models_allowed.through.objects.filter(key=OuterRef("key"))
        prompts_bound = Key.prompts_allowed.through.objects.filter(key=OuterRef("key"))
        stamp = Subquery(RoutingState.objects.filter(pk=ONLY).values("stamp"))
        more = {MODELS_BOUND: Exists(models_bound), PROMPTS_BOUND: Exists(prompts_bound), IN_FORCE: stamp}
        return self.select_related("key__user").annotate(**more).filter(digest=digest).open().order_by()

    def find(self, secret: str) -> KeySecret | None:
        """The row of what a program sent, with its key and the key's owner: one query by an index."""
        row = _by_digest.find(digest_of(secret))
        if row is not None:
            row.key.any_model = not getattr(row, MODELS_BOUND)
            row.key.any_prompt = not getattr(row, PROMPTS_BOUND)
            row.key.in_force = getattr(row, IN_FORCE) or ""
        return row


class KeySecret(models.Model):
    """What a program sends. Only its digest is stored; `prefix` is what people recognise it by."""

    key = models.ForeignKey(Key, on_delete=models.CASCADE, related_name="secrets")
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField("made", default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="+"
    )
    # Set when it is rotated: until then the old and the new one both open the door.
    expires_at = models.DateTimeField("until", null=True, blank=True, editable=False)

    objects = KeySecretQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @classmethod
    def make(cls, key: Key, by: User | None) -> tuple[KeySecret, str]:
        """A new secret of `key`, and the text that is shown this once and never again."""
        text = f"{LEAD}{secrets.token_urlsafe(SECRET_BYTES)}"
        row = cls.objects.create(key=key, prefix=text[: len(LEAD) + SHOWN], digest=digest_of(text), created_by=by)
        return row, text

    def usable(self, now: dt.datetime) -> bool:
        return (self.expires_at is None or self.expires_at > now) and self.key.usable(now)


_by_digest = direct.Finder(KeySecret.objects.with_digest, "any text")
