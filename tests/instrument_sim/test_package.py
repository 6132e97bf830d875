"""Specimens load where the base installation is all there is."""

import subprocess
import sys

from tests.patience import HANG_S


def test_specimens_load_without_scipy_or_numba():
    code = (
        "import sys; from grainloop.instrument_sim import specimens; specimens.load('ti64'); "
        "assert not {'scipy', 'numba', 'torch'} & set(sys.modules); "
        "from grainloop import instrument_sim; instrument_sim.SimConfig"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG_S)
