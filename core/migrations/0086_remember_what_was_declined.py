"""A proposed price that somebody does not want is kept and marked; the guard learns of the new column."""

from django.db import migrations, models

from core.models import guard


class Migration(migrations.Migration):
    dependencies = [("core", "0080_batches")]

    operations = [
        migrations.AlterModelOptions(
            name="budgetwindow", options={"ordering": ["budget", "-first_day"], "verbose_name": "budget period"}
        ),
        migrations.AddField(
            model_name="price",
            name="declined_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="declined"),
        ),
        migrations.RunPython(guard.install, migrations.RunPython.noop),
    ]
