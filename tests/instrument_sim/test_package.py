import subprocess
import sys


def test_specimens_load_without_scipy_or_numba():
    code = (
        "import sys; from instrument_sim import specimens; specimens.load('ti64');"
        "assert not {'scipy', 'numba', 'torch'} & set(sys.modules); import instrument_sim; instrument_sim.SimConfig"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
