from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0115_repeats_corrections_and_telling")]

    operations = [
        migrations.RemoveField("bulkrun", "corrected"),
        migrations.AddConstraint(
            "bulkrun",
            models.UniqueConstraint(
                condition=models.Q(("again_of__isnull", False)),
                fields=("again_of", "turn"),
                name="one_repeat_per_turn",
            ),
        ),
    ]
