"""The rules for requests: routes, suites, rate limits, client addresses."""
