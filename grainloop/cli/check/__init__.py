"""`grainloop check`: everything that is wrong with this machine, its keys, its services and a session, in one table."""

from grainloop.cli.check.command import check

__all__ = ["check"]
