"""What the user should do otherwise."""

import os
import sys
from typing import NoReturn


class Mistake(Exception):  # noqa: N818 - the user's, not the program's
    """What the user should do otherwise, in one line, and the exit code of the command."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


def complain(message: str) -> None:
    """Say in a line on stderr what went wrong, and nowhere else if that is closed."""
    if sys.stderr is not None:
        print("rectified:", message, file=sys.stderr)


def refuse_setting(message: str) -> NoReturn:
    """End an import that a variable of the environment forbids: an error, and where it is the command's a line."""
    program = sys.argv[0] if sys.argv else ""
    if os.path.basename(program) == "rectified" or (program == "-m" and "rectified" in sys.orig_argv):
        complain(message)
        raise SystemExit(2)
    raise ImportError(message)
