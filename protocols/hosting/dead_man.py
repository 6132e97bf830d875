"""The dead-man timer: when a scan whose callers are silent must end. Times come from the caller; nothing here waits.

Every message of a caller is a sign of life, and a caller with an open request pings every second (`protocols.rpc`), so
that waiting for points is not silence. A caller whose process died, whose machine froze or whose network broke is
silent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

DEAD_MAN_S = 30.0
"""As long as a service waits for any caller."""


@dataclass(frozen=True)
class DeadMan:
    """A timer of `after_s` seconds; 0 for none."""

    after_s: float = DEAD_MAN_S

    def due(self, silence_s: float) -> bool:
        """Whether the beam must be blanked after so much silence."""
        return 0 < self.after_s <= silence_s

    def look_again_s(self, silence_s: float) -> float:
        """When to look next, if nothing comes until then; infinite where there is no timer."""
        return max(0.0, self.after_s - silence_s) if self.after_s else math.inf

    @property
    def sentence(self) -> str:
        """Why the scan ended."""
        return (
            f"Nothing was heard of the controller for {self.after_s:g} s: the beam was blanked. Points measured before "
            "are kept; asking for the batch again measures the rest."
        )
