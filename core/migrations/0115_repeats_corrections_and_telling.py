"""Repeats of a table hang on its first run and count their turns; each line put right by hand is a row of its own."""

from collections import defaultdict

import django.db.models.deletion
from django.db import migrations, models

import core.models.bulk


def fill(apps, schema_editor):
    run, corrected = apps.get_model("core", "BulkRun"), apps.get_model("core", "CorrectedLine")
    repeats = list(run.objects.filter(again_of__isnull=False).order_by("created_at", "pk"))
    repeated = {each.batch_id: each.again_of_id for each in repeats if each.batch_id is not None}
    turns = defaultdict(int)
    for each in repeats:
        first = each.again_of_id
        while first in repeated:
            first = repeated[first]
        turns[first] += 1
        run.objects.filter(pk=each.pk).update(again_of=first, turn=turns[first])
    for each in run.objects.filter(batch=None).exclude(corrected={}).iterator():
        corrected.objects.bulk_create(
            [corrected(run=each, line=int(line), cells=cells) for line, cells in each.corrected.items()]
        )


class Migration(migrations.Migration):
    dependencies = [("core", "0095_chat")]

    operations = [
        migrations.AddField("bulkrun", "turn", models.PositiveIntegerField(default=0, editable=False)),
        migrations.AddField(
            "bulkrun",
            "file_token",
            models.CharField(max_length=16, default=core.models.bulk.new_token, editable=False),
        ),
        migrations.AddField(
            "bulkrun",
            "revision",
            models.CharField(max_length=16, default=core.models.bulk.new_token, editable=False),
        ),
        migrations.CreateModel(
            name="CorrectedLine",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("line", models.PositiveIntegerField()),
                ("cells", models.JSONField(default=list)),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="corrected_lines",
                        to="core.bulkrun",
                    ),
                ),
            ],
            options={"ordering": ["run", "line"]},
        ),
        migrations.AddConstraint(
            "correctedline",
            models.UniqueConstraint(fields=("run", "line"), name="one_corrected_line_per_number"),
        ),
        migrations.AddField("batch", "telling_token", models.CharField(blank=True, editable=False, max_length=16)),
        migrations.AddField("batch", "telling_until", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddField("batch", "tellings", models.PositiveSmallIntegerField(default=0, editable=False)),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
