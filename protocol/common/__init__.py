"""Code that all suites share: errors, codecs, messages, primitives."""
