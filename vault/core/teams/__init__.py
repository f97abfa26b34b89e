"""The cryptography of teams: members, rosters, master keys and items (TEAMS). Pure."""
