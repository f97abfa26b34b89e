"""Options: their declarations, settings, gateway.toml, arguments, and reloads."""
