"""Settings: from options, from gateway.toml, and at a reload."""
