"""Files of ours as others may have left them: opened only where they are regular. What they hold is not known here."""

from grainloop.protocols.files.regular import NotRegular, open_file, open_regular, read_regular

__all__ = ["NotRegular", "open_file", "open_regular", "read_regular"]
