"""Compiling what a run computes with, once, before anybody waits for it: at set-up, on request, or on first use."""

from grainloop.cli.prepare.preparing import Prepared, prepare, prepare_first_use
from grainloop.cli.prepare.stamp import Stamp, stamp_here

__all__ = ["Prepared", "Stamp", "prepare", "prepare_first_use", "stamp_here"]
