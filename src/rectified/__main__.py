"""``python -m rectified`` is the command `rectified`."""

import sys

from rectified.cli import main

if __name__ == "__main__":
    sys.exit(main())
