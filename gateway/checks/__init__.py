"""The second check of a login, after the code: the directory, and a webhook."""
