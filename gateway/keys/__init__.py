"""Keys that seal a store, and RSA pairs that are made ahead."""
