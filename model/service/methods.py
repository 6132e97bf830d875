"""The reconstruction methods that the service offers: the classical ones, and the trained one where weights ship.

torch is imported only if there is something to run with it.
"""

from __future__ import annotations

from model import reconstruct
from model.reconstruct import PLCandidates, Reconstructor
from model.weights import weights_files


def _trained() -> tuple[Reconstructor, ...]:
    if not weights_files():
        return ()
    from model.diffusion.method import JointGate
    from model.diffusion.shipped import load_shipped

    return (JointGate(load_shipped, PLCandidates()),)


METHODS: dict[str, Reconstructor] = {method.name: method for method in _trained()} | reconstruct.METHODS
"""Every method by name, the default first."""
DEFAULT_METHOD = next(iter(METHODS))
