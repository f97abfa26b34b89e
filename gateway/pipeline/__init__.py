"""One request from its arrival to its response, independent of the framework."""
