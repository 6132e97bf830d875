"""Compiled kernels and their cache, between processes and where there is no place for it."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from filelock import FileLock, Timeout

from grainloop.model import jit as _jit


def test_kernels_compile_where_there_is_no_place_for_a_cache(monkeypatch):
    asked = []

    def without_cache(*, cache=False, **options):
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(_jit, "numba", SimpleNamespace(njit=without_cache))

    @_jit.kernel
    def total(values: np.ndarray) -> float:
        result = 0.0
        for value in values:
            result += value
        return result

    assert total(np.arange(5.0)) == 10
    assert asked == [True, False]


def test_one_process_at_a_time_reads_and_writes_the_cache(monkeypatch):
    """Each look at the files of the cache happens while nobody else may look."""

    @_jit.kernel
    def doubled(value: float) -> float:
        return 2 * value

    file, alone = doubled._cache._cache_file, []
    file.flush()  # what an earlier run left there
    asked = FileLock(f"{file._index_path}.lock")

    def looking(look):
        def looked(*args):
            with pytest.raises(Timeout):
                asked.acquire(timeout=0)
            alone.append(look.__name__)
            return look(*args)

        return looked

    for name in ("_load_index", "_save_index", "_save_data"):
        monkeypatch.setattr(file, name, looking(getattr(file, name)))
    assert doubled(1.5) == 3
    assert doubled(2) == 4
    assert set(alone) == {"_load_index", "_save_index", "_save_data"}
    with asked.acquire(timeout=0):
        pass


FORKED = """
import os
import numpy as np
from grainloop.model.crystal import disorientation_deg
one = np.array([[1.0, 0, 0, 0]])
disorientation_deg(one, one, "6/mmm")
child = os.fork()
if not child:
    # of another type, so that the files are looked at
    os._exit(int(disorientation_deg(one.astype(np.float32), one.astype(np.float32), "6/mmm").max() > 0))
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_may_use_the_cache_of_its_parent():
    said = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr


def test_not_a_number_is_still_seen_in_compiled_code():
    @_jit.kernel
    def is_nan(a: float) -> bool:
        return bool(np.isnan(a))

    assert is_nan(float("nan"))
    assert not is_nan(float("inf"))


def test_a_number_that_one_kernel_hands_to_another_compiles_nothing_of_its_own():
    @_jit.kernel
    def added(a: int, pair: tuple[int, int]) -> int:
        return a + pair[0] + pair[1]

    @_jit.kernel
    def calls(a: int) -> int:
        return added(1, (a, -1)) + added(a, (2, 3)) + added(4, (a, a))

    assert calls(5) == 1 + 5 - 1 + 5 + 2 + 3 + 4 + 5 + 5
    assert len(added.signatures) == 1


def test_a_debugger_may_see_kernels_as_they_are_written():
    code = "from grainloop.model.crystal._grain_kernels import label; print(type(label).__name__)"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert said.stdout == "function\n"
