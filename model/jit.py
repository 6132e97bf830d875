"""The one door to numba: a decorator that keeps the type of what it compiles. Knows nothing of crystals.

Modules of `model.crystal` that use it start with an underscore and are imported inside functions, so that importing
that costs no more than numpy; nothing is compiled before it is needed. What a run needs is compiled in one place before
(`grainloop.cli.prepare`), and kept for processes that come later. Kernels call only kernels of their own module: the
cache of numba looks at the time stamp of one file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from filelock import FileLock
from numba.core.types import BaseTuple, Tuple, UniTuple, unliteral

P = ParamSpec("P")
R = TypeVar("R")

# contract: fused multiply-add, the only liberty taken. NaN and infinity keep their meaning.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` to machine code on its first call; it frees the GIL and is cached on disk where possible."""
    return cached(function, **_OPTIONS)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """As `kernel`, for the small functions that a kernel calls in its innermost loop."""
    compiled = numba.njit(inline="always", **_OPTIONS)(function)
    return cast("Callable[P, R]", compiled)


def free(function: Callable[P, R]) -> Callable[P, R]:
    """Compile with the arithmetic of Python, cached; it frees the GIL."""
    return cached(function, nogil=True)


def cached(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    """Compile with options of numba's, cached on disk where possible, by one process at a time."""
    try:
        compiled = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # a read-only installation without a home directory has no place for the cache
        return cast("Callable[P, R]", numba.njit(**options)(function))
    if hasattr(compiled, "_cache"):  # else numba was told to compile nothing
        _guard(compiled)
        _once_for_all_numbers(compiled)
    return cast("Callable[P, R]", compiled)


def cache_folder(compiled: Any) -> Path | None:
    """Where the code of a function is kept, which may not exist yet; None where it is kept nowhere."""
    cache = getattr(compiled, "_cache", None)
    found = getattr(cache, "cache_path", None)
    return None if found is None else Path(found)


def _once_for_all_numbers(compiled: Any) -> None:
    """Compile for the type of an argument where a calling kernel has it as a number, instead of for that number."""
    template = compiled.get_call_template

    def of_types(args: Sequence[Any], kws: Mapping[str, Any]) -> Any:
        return template([_type_of(one) for one in args], {name: _type_of(one) for name, one in kws.items()})

    compiled.get_call_template = of_types


def _type_of(argument: Any) -> Any:
    plain = unliteral(argument)
    return BaseTuple.from_types(tuple(plain)) if type(plain) in (Tuple, UniTuple) else plain


def _guard(compiled: Any) -> None:
    """Let one process at a time read or write the cache of a function.

    numba numbers its files by counting those there are and holds no lock meanwhile: of two services that compile at the
    same time, as on a new installation, one could be given the code of the other for other types of arguments.
    """
    file = compiled._cache._cache_file  # noqa: SLF001  # there is no public way
    lock = f"{file._index_path}.lock"  # noqa: SLF001
    file.load, file.save = _alone(file.load, lock), _alone(file.save, lock)


def _alone(work: Callable[P, R], path: str) -> Callable[P, R]:
    @wraps(work)
    def alone(*args: P.args, **more: P.kwargs) -> R:
        lock = FileLock(path)  # anew each time: a process that was forked may not use that of its parent
        try:
            lock.acquire()
        except (OSError, NotImplementedError):  # a file system without locks
            return work(*args, **more)
        try:
            return work(*args, **more)
        finally:
            lock.release()

    return alone
