"""The keys, wraps, signatures and messages of the vault. Pure: no I/O, no clock, no entropy."""
