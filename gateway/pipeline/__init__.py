"""One request from its arrival to its answer, whatever the framework."""
