"""A Django project with one model and the admin, as ``startproject`` would make it."""
