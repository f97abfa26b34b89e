"""``certless serve``: listeners, workers and signals."""
