"""What a gateway does, in figures and in an audit log."""
