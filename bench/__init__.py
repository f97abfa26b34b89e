"""The benchmark: ``make bench``, or ``python -m bench.run`` from the repository's root."""
