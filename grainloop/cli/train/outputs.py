"""What `grainloop train` makes of a finished training on request: a small checkpoint, curves, the weights that ship."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import typer

from grainloop.model.crystal import CrystalError
from grainloop.model.diffusion.checkpoints.averaged import file_hash
from grainloop.model.diffusion.checkpoints.checkpoint import CheckpointError, compact, read_metadata
from grainloop.model.diffusion.checkpoints.shipped import (
    CALIBRATION,
    Weights,
    load_shipped,
    load_uncalibrated,
    ship_share,
    ship_weights,
    with_the_gate_of,
)
from grainloop.model.diffusion.training.calibration import calibrate
from grainloop.model.diffusion.training.card import markdown, write_card
from grainloop.model.diffusion.training.metrics import read_metrics
from grainloop.model.diffusion.training.records import BEST, CARD, CARD_TEXT, CHECKPOINT, COMPACT, METRICS
from grainloop.model.estimate.calibration import Calibration
from grainloop.model.weights import FOLDER, WeightsFile
from grainloop.protocols.errors import BadInput
from grainloop.protocols.files import parse_json, read_text

CURVES = "curves.png"
CALIBRATED_ON_SPECIMENS, LEARNT_FROM_RUNS = 160, 60
MAX_METRICS_BYTES = 200_000
"""Longer ones do not ship; the curves show them."""


def write_compact(folder: Path) -> None:
    """Write the compact checkpoint beside the whole one.

    Raises:
        BadInput: there is no usable checkpoint.
    """
    source, target = folder / CHECKPOINT, folder / COMPACT
    if not source.is_file():
        raise BadInput(f"There is no {CHECKPOINT} in {folder} to make compact.", field="compact", value=folder)
    try:
        compact(source, target)
    except CheckpointError as error:
        raise BadInput(str(error), field="compact", value=folder) from error
    typer.echo(f"{target} holds the weights in half precision, {target.stat().st_size / 1e6:.1f} MB.")


def write_curves(folder: Path) -> None:
    """Draw the curves of a training beside its metrics.

    Raises:
        BadInput: there are no metrics, or they cannot be read.
    """
    from grainloop.cli.train.curves import draw_curves

    metrics = folder / METRICS
    if not metrics.is_file():
        raise BadInput(f"There is no {METRICS} in {folder} to draw.", field="curves", value=folder)
    try:
        draw_curves(metrics, folder / CURVES)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{metrics} is not a metrics file of a training.", field="curves", value=folder) from error
    typer.echo(f"The curves are in {folder / CURVES}.")


def ship(
    source: Path,
    folder: Path = FOLDER,
    specimens: int = CALIBRATED_ON_SPECIMENS,
    runs: int = LEARNT_FROM_RUNS,
) -> None:
    """Calibrate trained weights and write them to the package, with the card, curves and metrics of their training.

    What the doubt of a whole section means to a stop rule is learnt last, with the weights in place. Both are taken
    over from the weights that ship where the free branch alone differs from those.

    Args:
        source: a training folder, whose best weights are taken, or a file in one, whose averaged weights are taken.
        folder: of the package.
        specimens: synthetic ones that the claims of the weights are calibrated on.
        runs: acquisitions of others, from which the share of wrong pixels is learnt.

    Raises:
        BadInput: weights, card or metrics are missing or cannot be read; nothing is written then.
    """
    weights = source / BEST if source.is_dir() else source
    for name in (weights.name, CARD, METRICS):
        if not weights.with_name(name).is_file():
            raise BadInput(f"There is no {name} in {weights.parent} to ship.", field="ship", value=source)
    card, metrics = _read_card(weights.with_name(CARD)), weights.with_name(METRICS)
    _check_metrics(metrics)
    try:
        group = card["point_group"]
        before = with_the_gate_of(weights, group, folder)
        calibration = _calibration(before, weights, group, specimens)
        path = ship_weights(weights, group, folder, {CALIBRATION: calibration.to_json()})
        meta = read_metadata(path)
    except (CheckpointError, CrystalError) as error:
        raise BadInput(str(error), field="ship", value=source) from error
    said: dict[str, Any] = {"step": meta["step"]} if "step" in meta else {}
    said |= {"cpu_hours": round(float(meta["cpu_seconds"]) / 3600, 3)} if "cpu_seconds" in meta else {}
    shipped = WeightsFile(path, file_hash(path))
    card["shipped"] = {"file": path.name, "sha256": shipped.sha256, "from": weights.name, **said}
    _write_beside(shipped, card, metrics)
    _ship_share(group, before, folder, runs)
    typer.echo(f"{path} ships, {path.stat().st_size / 1e6:.1f} MB, with its card and curves beside it.")


def _calibration(before: Weights | None, weights: Path, group: str, specimens: int) -> Calibration:
    if before is not None and before.calibration is not None:
        typer.echo("The free branch alone differs from the weights that ship: their calibration holds.")
        return before.calibration
    typer.echo(f"Calibrating {weights} on {specimens} synthetic specimens that no training sees …")
    return calibrate(load_uncalibrated(weights, group), specimens)


def _ship_share(group: str, before: Weights | None, folder: Path, runs: int) -> None:
    from grainloop.evaluate.acquisition.lessons import learn_share

    if before is not None and before.share is not None:
        ship_share(group, before.share, folder)
        return
    typer.echo(f"Learning the share of wrong pixels from {runs} simulated runs …")
    ship_share(group, learn_share(load_shipped(group, folder), runs), folder)


def _write_beside(shipped: WeightsFile, card: dict[str, Any], metrics: Path) -> None:
    from grainloop.cli.train.curves import draw_curves

    write_card(card, shipped.beside(CARD), shipped.beside(CARD_TEXT))
    draw_curves(metrics, shipped.beside(CURVES))
    if metrics.stat().st_size <= MAX_METRICS_BYTES:
        shutil.copyfile(metrics, shipped.beside(METRICS))
    else:
        shipped.beside(METRICS).unlink(missing_ok=True)


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = parse_json(read_text(path))
        markdown(card)
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is not the card of a training.", field="ship", value=path) from error
    return card


def _check_metrics(path: Path) -> None:
    try:
        read_metrics(path)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is not a metrics file of a training.", field="ship", value=path) from error
