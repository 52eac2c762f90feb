"""What the user should do otherwise."""


class Mistake(Exception):  # noqa: N818 - the user's, not the program's
    """What the user should do otherwise, in one line, and the exit code of the command."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code
