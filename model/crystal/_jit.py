"""The one door to numba: a decorator that keeps the type of what it compiles. Knows nothing of crystals.

Modules that use it start with an underscore and are imported inside functions, so that `import model.crystal` costs no
more than numpy and nothing is compiled before it is needed. Kernels call only kernels of their own module: the
cache of numba looks at the time stamp of one file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` to machine code on its first call; it frees the GIL and is cached on disk where possible."""
    # contract: fused multiply-add, the only liberty taken. NaN and infinity keep their meaning.
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        compiled = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # a read-only installation without a home directory has no place for the cache
        compiled = numba.njit(**options)(function)
    return cast("Callable[P, R]", compiled)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """As `kernel`, for the small functions that a kernel calls in its innermost loop."""
    compiled = numba.njit(nogil=True, error_model="numpy", fastmath={"contract"}, inline="always")(function)
    return cast("Callable[P, R]", compiled)
