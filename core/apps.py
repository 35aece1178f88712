"""Where does Django learn of this app, its roles and its checks?"""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = "claudeapp"

    def ready(self) -> None:
        from core.models import guard
        from core.models.roles import grant_roles

        # Permissions exist only after a migration, so this is when the ready-made roles can get theirs.
        post_migrate.connect(grant_roles, sender=self)
        post_migrate.connect(guard.put_back, sender=self)
