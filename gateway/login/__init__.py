"""Logins and resumptions: open a session by a code or by a ticket."""
