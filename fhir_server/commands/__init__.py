"""What the command line does, one module for each command."""


class CommandFailed(Exception):
    """A command cannot go on; the message says what to do."""
