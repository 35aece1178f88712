"""How does the admin look, and how does its navigation follow the work?"""

from __future__ import annotations

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "claudeapp",
    "SITE_HEADER": "claudeapp",
}
