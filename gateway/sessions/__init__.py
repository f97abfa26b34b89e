"""Open sessions, classic and hardened."""
