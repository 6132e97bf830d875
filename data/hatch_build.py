"""Places the files of grainloop that are no code in an installation; those of a checkout stay where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("model/weights", "instrument_sim/specimens")


class Data(BuildHookInterface):
    """A source distribution holds the files itself; in a checkout they are in the folders beside this one."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Name every file and its place. An editable installation copies them too: grainloop may not be editable."""
        here = Path(self.root)
        root = here if (here / FOLDERS[0]).is_dir() else here.parent
        package = "grainloop/" if self.target_name == "wheel" else ""
        placed = {str(file): f"{package}{file.relative_to(root).as_posix()}" for file in _files(root)}
        licence = f"{self._information()}/licenses/LICENSE" if package else "LICENSE"
        build_data["force_include"] |= placed | {str(root / "LICENSE"): licence}
        build_data["force_include_editable"] = build_data["force_include"]

    def _information(self) -> str:
        core = self.metadata.core
        return f"{core.name.replace('-', '_')}-{self.metadata.version}.dist-info"


def _files(root: Path) -> list[Path]:
    """What is in the two folders and is no code, sorted."""
    found = [file for folder in FOLDERS for file in (root / folder).rglob("*") if file.is_file()]
    return sorted(file for file in found if file.suffix not in (".py", ".pyc") and not file.name.startswith("."))
