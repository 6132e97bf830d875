"""Reconstructors: from sparse points and registered PL to a full map with its uncertainty.

`METHODS` holds them by name. Services, sections of several phases and acquisition build on this.
"""

from grainloop.model.reconstruct.methods import NearestNeighbour, PLCandidates
from grainloop.model.reconstruct.problem import (
    WRONG_DEG,
    Candidates,
    IsCancelled,
    Options,
    Posterior,
    PriorSection,
    Problem,
    Reconstructor,
    RegisteredLight,
    Report,
    SparsePoints,
    never,
    no_report,
)
from grainloop.model.reconstruct.watershed import PLWatershed

METHODS: dict[str, Reconstructor] = {
    method.name: method for method in (PLCandidates(), PLWatershed(), NearestNeighbour())
}
"""Every method by name, the default first."""
DEFAULT_METHOD = PLCandidates().name

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "WRONG_DEG",
    "Candidates",
    "IsCancelled",
    "NearestNeighbour",
    "Options",
    "PLCandidates",
    "PLWatershed",
    "Posterior",
    "PriorSection",
    "Problem",
    "Reconstructor",
    "RegisteredLight",
    "Report",
    "SparsePoints",
    "never",
    "no_report",
]
