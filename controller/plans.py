"""Loading a plan from TOML and checking it against an instrument and a model before anything is measured.

Every fault is one sentence that names the file, the field and the value. Nothing here talks to a service.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from grainloop.controller.geometry import coarse_rasters, smallest_points
from grainloop.protocols.capabilities import Capabilities, ScanMeans, ShapeLimits
from grainloop.protocols.errors import BadInput, OutOfLimits
from grainloop.protocols.messages import ModelDescription
from grainloop.protocols.plan import ANY_SHAPE, RunPlan
from grainloop.protocols.shapes import ScanShape
from grainloop.protocols.values import LightKind

_FEWEST_ANGLES = 3
_CUBIC = frozenset({"23", "m-3", "432", "-43m", "m-3m"})


def load_plan(path: Path) -> RunPlan:
    """The plan in a TOML file.

    Raises:
        BadInput: the file cannot be read, is no TOML, or holds a field that no plan has or a value out of range.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"The plan {path} cannot be read: {error.strerror}.", field="plan", value=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The plan {path} is not valid TOML: {error}.", field="plan", value=path) from error
    return make_plan(content, str(path))


def make_plan(content: dict[str, Any], source: str) -> RunPlan:
    """The plan that `content` describes.

    Raises:
        BadInput: a field that no plan has, or a value out of range; the sentence names `source`, field and value.
    """
    try:
        return RunPlan.model_validate(content)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in fault["loc"]) or "plan"
        value = fault["input"] if fault["loc"] else ""
        sentence = f"In {source}, {field} = {value!r} cannot be used: {_plain(fault['msg'])}."
        raise BadInput(sentence, field=field, value=value) from None


def check_plan(plan: RunPlan, capabilities: Capabilities) -> None:
    """Refuse a plan that the instrument cannot carry out.

    Raises:
        OutOfLimits: section, exposure, PL angles, budget or shape of scans outside what the instrument declares.
    """
    _check_section(plan, capabilities)
    _check_dwell(plan, capabilities)
    if why_no_light(plan, capabilities) is None:
        _check_light(plan, capabilities)
    _check_time(plan, capabilities)
    _check_exposure(plan, capabilities)
    _check_shapes(plan, capabilities)


def check_model(plan: RunPlan, model: ModelDescription) -> None:
    """Refuse a plan that names a method or policy that the model service does not have.

    Raises:
        OutOfLimits: with the names that exist.
    """
    for field, asked, known in (("method", plan.method, model.methods), ("policy", plan.policy, model.policies)):
        if asked is not None and asked not in known:
            message = f"The model service has no {field} '{asked}'; it has: {', '.join(known) or 'none'}."
            raise OutOfLimits(message, field=field, value=asked)


def why_no_light(plan: RunPlan, capabilities: Capabilities) -> str | None:
    """The sentence that says why no PL images are taken; nothing when they are."""
    if not plan.use_light:
        return "The plan takes no PL images: EBSD alone."
    if capabilities.light is None:
        return f"{capabilities.name} has no PL camera: EBSD alone."
    if all(phase.point_group in _CUBIC for phase in capabilities.phases):
        names = ", ".join(f"{phase.name} ({phase.point_group})" for phase in capabilities.phases)
        return f"{names} is cubic and shows no PL contrast: EBSD alone."
    return None


def light_angles(plan: RunPlan, capabilities: Capabilities) -> tuple[float, ...]:
    """The stage angles to ask for: those of the plan, none for an RGB camera."""
    rotates = capabilities.light is not None and capabilities.light.kind is LightKind.ROTATION_STACK
    return plan.light_angles_deg if rotates else ()


def light_seconds(plan: RunPlan, capabilities: Capabilities) -> float:
    """Declared duration of the PL images of this plan."""
    if capabilities.light is None or why_no_light(plan, capabilities) is not None:
        return 0.0
    return capabilities.light.seconds_per_image * max(1, len(light_angles(plan, capabilities)))


def dwell_s(plan: RunPlan, capabilities: Capabilities) -> float:
    """Exposure of a point: the plan's, or the instrument's default."""
    return capabilities.default_dwell_s if plan.dwell_s is None else plan.dwell_s


def scan_means(plan: RunPlan, capabilities: Capabilities) -> ScanMeans | None:
    """What the run asks for, where that is more than free points, and what it costs; nothing for free points alone."""
    declared = capabilities.shapes
    accepted = declared.accepted if plan.shape == ANY_SHAPE else (ScanShape(plan.shape),)
    if accepted == (ScanShape.POINTS,):
        return None
    asked: ShapeLimits = declared.model_copy(update={"accepted": accepted})
    return ScanMeans(timing=capabilities.timing, shapes=asked, dwell_s=dwell_s(plan, capabilities))


def most_points(plan: RunPlan, capabilities: Capabilities) -> int:
    """The most points that the budget allows: by number, share, and sum of exposures."""
    most, limit_s = plan.budget.max_points(capabilities.grid.size), plan.budget.exposure_s
    return most if limit_s is None else min(most, int(limit_s / dwell_s(plan, capabilities) + 1e-9))


def _plain(message: str) -> str:
    message = message.removeprefix("Value error, ").rstrip(".")
    return message[:1].lower() + message[1:]


def _check_section(plan: RunPlan, capabilities: Capabilities) -> None:
    if plan.section >= capabilities.sections:
        have = f"has {capabilities.sections}, numbered from 0"
        message = f"The plan asks for section {plan.section}, but {capabilities.name} {have}."
        raise OutOfLimits(message, field="section", value=plan.section)


def _check_shapes(plan: RunPlan, capabilities: Capabilities) -> None:
    accepted = capabilities.shapes.accepted
    if plan.shape != ANY_SHAPE and plan.shape not in accepted:
        kinds = " and ".join(accepted)
        message = f"The plan's shape = {plan.shape!r} cannot be scanned by {capabilities.name}, which accepts {kinds}."
        raise OutOfLimits(message, field="shape", value=plan.shape)
    means = scan_means(plan, capabilities)
    if means is not None:
        _check_fits(means, plan, capabilities)


def _check_fits(means: ScanMeans, plan: RunPlan, capabilities: Capabilities) -> None:
    """Refuse a section, a budget or requests too small for any shape."""
    name, shape_px, budget = capabilities.name, capabilities.grid.shape_px, most_points(plan, capabilities)
    whole = next(coarse_rasters(shape_px, means), None)
    if whole is None and ScanShape.POINTS not in means.shapes.accepted:
        message = f"The section of {shape_px[0]} × {shape_px[1]} px is smaller than any shape that {name} scans."
        raise OutOfLimits(message, field="shapes", value=shape_px)
    smallest = min(smallest_points(means.shapes).values())
    if smallest > min(budget, capabilities.max_points_per_scan):
        least = f"the smallest shape that {name} scans has {smallest} points"
        message = f"The plan's budget of {budget} points is too small: {least}."
        if smallest <= budget:
            message = f"Requests of at most {capabilities.max_points_per_scan} points are too small: {least}."
        raise OutOfLimits(message, field="budget", value=budget)


def _check_dwell(plan: RunPlan, capabilities: Capabilities) -> None:
    low, high = capabilities.dwell_range_s
    if plan.dwell_s is not None and not low <= plan.dwell_s <= high:
        message = f"The plan's dwell_s = {plan.dwell_s:g} s is outside the {low:g}–{high:g} s of {capabilities.name}."
        raise OutOfLimits(message, field="dwell_s", value=plan.dwell_s)


def _check_light(plan: RunPlan, capabilities: Capabilities) -> None:
    light = capabilities.light
    if light is None or light.kind is not LightKind.ROTATION_STACK:
        return
    count = len(plan.light_angles_deg)
    if not _FEWEST_ANGLES <= count <= light.max_images:
        message = (
            f"The plan's light_angles_deg holds {count} angles; {capabilities.name} takes "
            f"{_FEWEST_ANGLES} to {light.max_images} PL images (or set use_light = false)."
        )
        raise OutOfLimits(message, field="light_angles_deg", value=count)


def _check_time(plan: RunPlan, capabilities: Capabilities) -> None:
    limit = plan.budget.instrument_s
    timing = capabilities.timing
    needed = light_seconds(plan, capabilities) + timing.approach_s(0.0) + dwell_s(plan, capabilities)
    if limit is not None and limit < needed:
        message = (
            f"The plan's budget.instrument_s = {limit:g} s is too short on {capabilities.name}: "
            f"the PL images and one scan point take {needed:.3g} s."
        )
        raise OutOfLimits(message, field="budget.instrument_s", value=limit)


def _check_exposure(plan: RunPlan, capabilities: Capabilities) -> None:
    for field in ("exposure_s", "pixel_exposure_s"):
        limit, needed = getattr(plan.budget, field), dwell_s(plan, capabilities)
        if limit is not None and limit < needed * (1 - 1e-9):
            message = (
                f"The plan's budget.{field} = {limit:g} s is too short on {capabilities.name}: "
                f"one scan point is exposed for {needed:.3g} s."
            )
            raise OutOfLimits(message, field=f"budget.{field}", value=limit)
