"""Are the templates whole?"""

from __future__ import annotations

from django.conf import settings


def test_no_template_has_what_a_merge_left_behind() -> None:
    templates = sorted((settings.BASE_DIR / "templates").rglob("*.*"))

    assert templates
    for template in templates:
        lines = template.read_text().splitlines()
        assert not [line for line in lines if line.startswith(("<<<<<<<", "=======", ">>>>>>>"))], template
