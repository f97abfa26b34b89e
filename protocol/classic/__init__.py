"""The classic suite of 2016 (PROTOCOL, Part III)."""
