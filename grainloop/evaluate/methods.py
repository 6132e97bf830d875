"""Reconstruction methods by name: those of the model service, and reference samplers that it does not offer."""

from __future__ import annotations

from grainloop.model.reconstruct import Reconstructor
from grainloop.model.service.methods import default_method, methods
from grainloop.protocols.errors import BadInput

REFERENCES = ("dps", "repaint", "diffpir")
"""Samplers of `model.diffusion.inference.reference`: slow, and made of posterior samples alone."""


def method_named(name: str | None) -> Reconstructor:
    """The method of this name, by default that of the model service.

    Raises:
        BadInput: there is none.
    """
    if name is None or name in methods():
        return methods()[name or default_method()]
    if name not in REFERENCES:
        known = ", ".join((*methods(), *REFERENCES))
        raise BadInput(f"There is no method '{name}'; known are {known}.", field="method", value=name)
    from grainloop.model.diffusion.inference.reference import REFERENCE_METHODS

    return REFERENCE_METHODS[name]
