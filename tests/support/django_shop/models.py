"""One table with a file."""

from django.db import models


class Item(models.Model):  # type: ignore[misc]
    """Something to sell, with its picture."""

    name = models.CharField(max_length=50)
    picture = models.FileField(upload_to="pictures")
