"""Streams: bodies of any length and sockets, as sealed records."""
