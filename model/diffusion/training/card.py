"""The training card: what weights come from, as `card.json` for programs and `card.md` for people.

Collects facts and writes them; when it is written is decided in `records`.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from grainloop.model.diffusion.checkpoints.checkpoint import Origin, Progress, config_of
from grainloop.model.diffusion.network.backbone import DEFAULT
from grainloop.model.microstructure import TRAINING_WEIGHTS
from grainloop.protocols.files import write_text
from grainloop.protocols.version import grainloop_version

_LIBRARIES = ("torch", "numpy", "numba", "scipy", "safetensors")
_ROOT = Path(__file__).resolve().parents[3]


@cache
def code_revision() -> str:
    """The git revision of a checkout, marked where tracked files differ from it; else the version of the package."""
    git = shutil.which("git")
    if git is None or not (_ROOT / ".git").exists():
        return f"grainloop {grainloop_version()}"
    head = _output(git, "rev-parse", "HEAD")
    if head is None:
        return f"grainloop {grainloop_version()}"
    return head + (" with local changes" if _output(git, "status", "--porcelain", "--untracked-files=no") else "")


def _output(git: str, *arguments: str) -> str | None:
    done = subprocess.run([git, "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() if done.returncode == 0 else None


def training_card(
    progress: Progress,
    *,
    parameters: int,
    processes: int,
    last: dict[str, float],
    best: dict[str, str],
) -> dict[str, Any]:
    """The facts of a training.

    Args:
        progress: where it stands.
        parameters: of the network.
        processes: of this sitting.
        last: the newest validation figures and their `step`.
        best: metadata of the best weights so far.
    """
    config = config_of(progress)
    return {
        "point_group": config["point_group"],
        "parameters": parameters,
        "seed": config["seed"],
        "backbone": config.get("backbone", DEFAULT),
        "steps": progress.step,
        "cpu_hours": _hours(progress.cpu_seconds),
        "wall_hours": _hours(progress.seconds),
        "processes": processes,
        "revisions": [{"from_step": step, "revision": name} for step, name in progress.revisions],
        "origins": [_origin(one) for one in progress.origins],
        "recipe_weights": dict(TRAINING_WEIGHTS),
        "validation": last,
        "best": best,
        "configuration": config,
        "libraries": {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
    }


def _origin(of: Origin) -> dict[str, Any]:
    return {
        "file": of.file,
        "sha256": of.sha256,
        "step": of.step,
        "cpu_hours": _hours(of.cpu_seconds),
        "wall_hours": _hours(of.seconds),
    }


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds / 3600, 3)


def write_card(card: dict[str, Any], data: Path, text: Path) -> None:
    """Write both forms: `data` for programs, `text` for people."""
    write_text(data, json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    write_text(text, markdown(card))


def markdown(card: dict[str, Any]) -> str:
    """The card for people; cards of earlier versions say less."""
    facts = {
        "backbone": card.get("backbone", DEFAULT),
        "parameters": f"{card['parameters']:,}",
        "seed": card["seed"],
        "steps": f"{card['steps']:,}",
        "processor time": f"{card['cpu_hours']:.2f} h over all sittings and processes",
        "wall time": f"{card['wall_hours']:.2f} h",
        "processes of the last sitting": card["processes"],
    }
    revisions = {f"from step {one['from_step']}": one["revision"] for one in card["revisions"]}
    origins = {f"{n}. {one['file']}": _said_of(one) for n, one in enumerate(card.get("origins", []), start=1)}
    best = {name: card["best"][name] for name in sorted(card["best"])}
    parts = [
        f"# Training of the joint denoiser for {card['point_group']}\n",
        _table("training", facts),
        _table("weights that ship", card.get("shipped", {})),
        _table("begun from weights; those for this point group are counted in", origins),
        _table("code", revisions),
        _table("recipe of the synthetic specimens", card["recipe_weights"], "weight"),
        _table("last validation", card["validation"]),
        _table("best weights so far", best),
        _table("configuration", _flat(card["configuration"])),
        _table("library", card["libraries"], "version"),
        "`wrong` and `predicted` are the true and the expected share of pixels off by more than 5°, `auroc` how well "
        "doubt ranks them, `error_deg` the mean disorientation; a number at the end is the percentage measured.\n",
    ]
    return "\n".join(part for part in parts if part)


def _said_of(origin: dict[str, Any]) -> str:
    hours = [
        f"{value:.2f} h {name}"
        for name, value in (("processor time", origin["cpu_hours"]), ("wall time", origin["wall_hours"]))
        if value is not None
    ]
    return ", ".join([f"step {origin['step']:,}", *hours, f"SHA-256 {origin['sha256']}"])


def _table(title: str, rows: dict[str, Any], value: str = "") -> str:
    if not rows:
        return ""
    lines = [f"| {name} | {_shown(of)} |" for name, of in rows.items()]
    return "\n".join([f"| {title} | {value} |", "|---|---|", *lines, ""])


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
