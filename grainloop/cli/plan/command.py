"""`grainloop plan`: does adaptive acquisition pay for this map, this instrument and this computer, and by how much?

The arithmetic is that of `grainloop.cli.plan.break_even`; errors come from measured curves that ship, the speed of the
model from `speed`, the costs of the instrument from a preset or a file. Tables and sentences are made in
`words`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel, ConfigDict, ValidationError

from grainloop.cli.operate.progress import show_stage
from grainloop.cli.plan.break_even import Material, Work, adaptive_way, compare, wrong_at
from grainloop.cli.plan.planned import Forecast, Instrument, Planned, PlanOptions
from grainloop.cli.plan.speed import Calibration, calibrate, calibration_file
from grainloop.cli.ranges import check_count, listed
from grainloop.controller.plans import load_plan
from grainloop.instrument_sim.presets import PRESETS
from grainloop.protocols.capabilities import ScanMeans, ScanTiming, ShapeLimits
from grainloop.protocols.errors import BadInput
from grainloop.protocols.files import parse_json, read_text, read_toml
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.shapes import ScanShape

MOST_PIXELS_ALONG = 100_000
CURVES = "error_curves.json"
DEFAULT_DWELL_S = 0.02


class _InstrumentFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    timing: ScanTiming = ScanTiming()
    shapes: ShapeLimits = ShapeLimits()


def run_plan_command(options: PlanOptions, kept: Path | None = None) -> None:
    """The whole command; `kept` is where the speed of the model is kept, else the folder of the system.

    Raises:
        BadInput: a plan, an instrument or numbers that cannot be used.
    """
    from grainloop.cli.plan.words import show, to_json

    check_options(options)
    instrument, plan = load_instrument(options.instrument), _plan(options)
    tolerated = _tolerated(options)
    with show_stage("measuring the speed of the model, once", options.json):
        calibration = calibrate(kept or calibration_file(), options.measure)
    planned = reckon(options, instrument, plan, calibration, tolerated)
    if options.json:
        typer.echo(json.dumps(to_json(planned), indent=2, ensure_ascii=False))
    else:
        show(planned)


def check_options(options: PlanOptions) -> None:
    """Refuse numbers that describe no map.

    Raises:
        BadInput: naming the option and its range.
    """
    check_count("rows", options.rows, 2, MOST_PIXELS_ALONG)
    check_count("columns", options.columns, 2, MOST_PIXELS_ALONG)
    for name, value in (("step", options.step_um), ("dwell", options.dwell_s), ("grain", options.grain_um)):
        if value is not None and not 0 < value < math.inf:
            unit = "seconds" if name == "dwell" else "µm"
            raise BadInput(f"--{name} {value:g} cannot be used: give {unit} above 0.", field=name, value=value)
    if not 0 <= options.light_s < math.inf:
        message = f"--pl-seconds {options.light_s:g} cannot be used: give seconds, 0 where another microscope takes PL."
        raise BadInput(message, field="pl-seconds", value=options.light_s)


def load_instrument(name: str) -> Instrument:
    """A preset by its name, or the instrument that a TOML file describes.

    Raises:
        BadInput: neither a preset nor a file, or a file with fields or values that no instrument has.
    """
    if name in PRESETS:
        preset = PRESETS[name]
        return Instrument(preset.words, preset.timing, preset.shapes)
    try:
        found = _InstrumentFile.model_validate(read_toml(Path(name)))
    except OSError as error:
        message = f"There is no instrument '{name}': give {', '.join(PRESETS)}, or a TOML file that can be read."
        raise BadInput(message, field="instrument", value=name) from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in fault["loc"])
        sentence = f"In {name}, {field} = {fault['input']!r} cannot be used: {fault['msg'].lower()}."
        raise BadInput(sentence, field=field, value=fault["input"]) from None
    except ValueError as error:
        raise BadInput(f"The instrument {name} is not valid TOML: {error}.", field="instrument", value=name) from error
    return Instrument(Path(name).name, found.timing, found.shapes)


def load_materials() -> tuple[dict[str, Any], tuple[Material, ...]]:
    """Where the measured error curves come from, and the curves."""
    content: dict[str, Any] = parse_json(read_text(Path(__file__).with_name(CURVES)))
    maps: dict[str, dict[str, Any]] = content.pop("maps")
    return content, tuple(_material(name, one) for name, one in maps.items())


def _material(name: str, content: dict[str, Any]) -> Material:
    curves = {
        key: tuple((float(share), float(wrong)) for share, wrong in content[key])
        for key in ("raster_nearest", "raster_model", "adaptive")
    }
    return Material(name, content["words"], float(content["grain_px"]), **curves)


def reckon(
    options: PlanOptions,
    instrument: Instrument,
    plan: RunPlan,
    calibration: Calibration,
    tolerated: tuple[float, ...],
) -> Planned:
    """Compare all ways for every material and every tolerated share."""
    dwell_s = options.dwell_s or plan.dwell_s or DEFAULT_DWELL_S
    grain_px = None if options.grain_um is None else math.pi / 4 * (options.grain_um / options.step_um) ** 2
    work = Work(
        (options.rows, options.columns),
        ScanMeans(timing=instrument.timing, shapes=instrument.shapes, dwell_s=dwell_s),
        calibration.speed,
        batches=plan.batches,
        first_pass=plan.first_pass,
        light_s=options.light_s if plan.use_light else 0.0,
        grain_px=grain_px,
    )
    source, materials = load_materials()
    found = {material: [compare(work, material, wrong) for wrong in tolerated] for material in materials}
    seeds = f"{source['seeds']} seed" + ("s" if source["seeds"] > 1 else "")
    told = f"{source['source']}, {source['measured']}, {seeds}"
    forecast = None if options.plan is None else _forecast(work, plan, materials)
    return Planned(options, instrument, work, calibration, told, found, forecast)


def _forecast(work: Work, plan: RunPlan, materials: tuple[Material, ...]) -> Forecast | None:
    if ScanShape.POINTS not in work.means.shapes.accepted:
        return None
    share = plan.budget.max_points(work.pixels) / work.pixels
    wrong = {
        one.name: wrong_at(one.adaptive, share, one.grain_px / (work.grain_px or one.grain_px)) for one in materials
    }
    return Forecast(adaptive_way(work, share), wrong)


def _plan(options: PlanOptions) -> RunPlan:
    return RunPlan() if options.plan is None else load_plan(options.plan)


def _tolerated(options: PlanOptions) -> tuple[float, ...]:
    tolerated = listed("wrong", options.wrong, float)
    for share in tolerated:
        if not 0 < share < 1:
            message = f"--wrong {share:g} cannot be used: give shares of the pixels between 0 and 1."
            raise BadInput(message, field="wrong", value=share)
    return tolerated
