"""Work on a map in bands of rows, in threads where the map is large.

Small maps stay in the thread that asks, because training makes its examples in one process per core.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

MOST_THREADS = 8


def in_bands(work: Callable[[slice], None], shape: tuple[int, ...], pixels: int) -> None:
    """Call `work` with slices of rows, about `pixels` pixels each, that together cover a map of (h, w, …) `shape`.

    Each call must write its own rows only; compiled loops run side by side because they free the GIL.
    """
    rows = max(1, pixels // max(1, shape[1]))
    bands = [slice(top, min(top + rows, shape[0])) for top in range(0, shape[0], rows)]
    threads = min(len(bands), os.cpu_count() or 1, MOST_THREADS)
    if threads < 2:
        for band in bands:
            work(band)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, band) for band in bands]:
            done.result()
