"""What may pass: routes, suites, rates, client addresses."""
