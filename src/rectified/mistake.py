"""What the user should do otherwise."""

import sys


class Mistake(Exception):  # noqa: N818 - the user's, not the program's
    """What the user should do otherwise, in one line, and the exit code of the command."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


def complain(message: str) -> None:
    """Say in a line on stderr what went wrong, and nowhere else if that is closed."""
    if sys.stderr is not None:
        print("rectified:", message, file=sys.stderr)
