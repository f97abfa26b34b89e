"""Who may log in, and what happens to users who are removed."""
