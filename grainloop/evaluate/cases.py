"""What is compared: methods by name, and the trained method once more without PL, with wrong PL, and with noise for PL.

PL is changed after registration, as if it had passed: the method itself has to notice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from grainloop.evaluate.methods import REFERENCES
from grainloop.evaluate.sections.given import Given
from grainloop.evaluate.sections.scenes import of_another_section, of_noise
from grainloop.model.reconstruct import RegisteredLight
from grainloop.model.service.methods import TRAINED

DEFAULT_METHODS = ("nn", "pl_watershed", "pl_candidates", TRAINED)
OURS = TRAINED
WITHOUT, WRONG, NOISE = f"{OURS} without PL", f"{OURS}, wrong PL", f"{OURS}, PL noise"
Change = Callable[[RegisteredLight, int], RegisteredLight | None]


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Attributes:
        name: how it is called.
        method: what reconstructs.
        change: makes other PL of the registered one and a seed, or None for no PL; nothing for PL as it is.
    """

    name: str
    method: str
    change: Change | None = None

    @property
    def sampled(self) -> bool:
        """Whether the method is made of posterior samples alone."""
        return self.method in REFERENCES

    def of(self, given: Given, seed: int) -> Given:
        """What the method is given."""
        change = self.change
        return given if change is None else given.with_light(lambda light: change(light, seed))


def cases_of(methods: Sequence[str]) -> tuple[Case, ...]:
    """The methods as they are, and what the default one makes of no PL and of wrong PL, if it is among them."""
    asked = tuple(Case(name, name) for name in dict.fromkeys(methods))
    return asked + (_ablations() if OURS in methods else ())


def _ablations() -> tuple[Case, ...]:
    return (
        Case(WITHOUT, OURS, lambda light, seed: None),  # noqa: ARG005
        Case(WRONG, OURS, lambda light, seed: of_another_section(light)),  # noqa: ARG005
        Case(NOISE, OURS, of_noise),
    )
