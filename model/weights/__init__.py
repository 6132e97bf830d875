"""Which trained weights ship with the package: one file per Laue group, named with its SHA-256 in `index.json`.

Beside each lie the card, the metrics and the curves of its training. Reading weights is the business of
`model.diffusion.checkpoints.shipped`; this module needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grainloop.protocols.files import parse_json, read_text

FOLDER = Path(__file__).parent


class WeightsIndexError(ValueError):
    """The index of the weights cannot be read."""


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights and the hash it must have."""

    path: Path
    sha256: str

    def beside(self, name: str) -> Path:
        """Where the file that is called `name` in the folder of the training is kept: its card, curves or metrics."""
        return self.path.with_name(f"{self.path.stem}.{name}")


def weights_path(group: str, folder: Path = FOLDER) -> Path:
    """Where the weights for a Laue group are kept."""
    return folder / f"{group.replace('/', '-')}.safetensors"


@cache
def weights_files(folder: Path = FOLDER) -> dict[str, WeightsFile]:
    """Laue group → file.

    Raises:
        WeightsIndexError: the index is there and cannot be read.
    """
    index = folder / "index.json"
    if not index.exists():
        return {}
    try:
        entries = parse_json(read_text(index))
        return {group: WeightsFile(folder / entry["file"], entry["sha256"]) for group, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsIndexError(f"The index of trained models {index} cannot be read: {error!r}.") from error
