"""Codes on their way to mailboxes."""
