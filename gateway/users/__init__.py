"""The users who can log in, and the removal of users."""
