"""What both families of suites share: errors, codecs, messages, primitives."""
