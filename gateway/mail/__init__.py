"""Sends codes to mailboxes."""
