"""`python -m grainloop` is the command `grainloop`; services are started as child processes this way."""

import sys

from grainloop.cli import main

if __name__ == "__main__":
    sys.exit(main())
