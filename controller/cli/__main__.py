"""`python -m controller.cli` is the command `grainloop`; services are started as child processes this way."""

import sys

from controller.cli import main

if __name__ == "__main__":
    sys.exit(main())
