"""The network is evaluated by one thread, so that its answer does not depend on how many cores there are.

With another number of threads convolutions add up in another order: the same points then give weights that differ in
the last digits, and sooner or later another decision. Maps are compared in bands by as many threads as there are cores
(`model.reconstruct.bands`), which changes no result.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Generator[None]:
    """Let this thread compute with torch alone; afterwards others help as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
