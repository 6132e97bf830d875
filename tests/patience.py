"""Limits of time in tests: for what hangs, never for what is slow."""

from __future__ import annotations

HANG_S = 600.0
"""Nothing that a test waits for takes this long, even on a computer that is ten times slower and has other work."""
