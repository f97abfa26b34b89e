"""A durable store of tickets in SQLite or PostgreSQL, beside Redis (STORAGE §4)."""
