"""Files of ours as others may have left them: opened only where they are regular. What they mean is not known here."""

from grainloop.protocols.files.contents import parse_json, parse_toml, read_text, read_toml, write_text
from grainloop.protocols.files.names import require_legible
from grainloop.protocols.files.regular import (
    MOST_BYTES,
    NotRegular,
    open_file,
    open_regular,
    read_regular,
    require_regular,
    sha256_of,
)

__all__ = [
    "MOST_BYTES",
    "NotRegular",
    "open_file",
    "open_regular",
    "parse_json",
    "parse_toml",
    "read_regular",
    "read_text",
    "read_toml",
    "require_legible",
    "require_regular",
    "sha256_of",
    "write_text",
]
