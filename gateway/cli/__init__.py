"""The command line: arguments are parsed here and nothing is decided."""
