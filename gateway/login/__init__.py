"""From a name or a ticket to a session."""
