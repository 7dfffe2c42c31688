"""The `anymo` command: one file a command group."""
