"""The keys that seal a store, and a pool of RSA key pairs."""
