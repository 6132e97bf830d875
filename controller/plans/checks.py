"""Refusing a plan that an instrument or a model cannot carry out, before anything is measured."""

from __future__ import annotations

from grainloop.controller.geometry import coarse_rasters, smallest_points
from grainloop.controller.plans.terms import Terms
from grainloop.model.crystal import UnknownPointGroup, laue_group
from grainloop.protocols.capabilities import ScanMeans
from grainloop.protocols.errors import OutOfLimits
from grainloop.protocols.messages import ModelDescription
from grainloop.protocols.plan import ANY_SHAPE, RunPlan
from grainloop.protocols.sentences import counted, printable
from grainloop.protocols.shapes import ScanShape
from grainloop.protocols.values import LightKind

_FEWEST_ANGLES = 3
_LONGEST_S = 1e6
"""Nothing that an instrument declares of one point, line or request takes longer."""


def check_terms(terms: Terms) -> None:
    """Refuse a plan that the instrument cannot carry out.

    Raises:
        OutOfLimits: section, exposure, PL angles, budget or shape of scans outside what the instrument declares, or a
            phase whose point group is unknown; durations that no instrument has.
    """
    _check_durations(terms)
    _check_phases(terms)
    _check_section(terms)
    _check_dwell(terms)
    if terms.takes_light:
        _check_light(terms)
    _check_time(terms)
    _check_exposure(terms)
    _check_shapes(terms)


def check_model(plan: RunPlan, model: ModelDescription) -> None:
    """Refuse a plan that names a method or policy that the model service does not have.

    Raises:
        OutOfLimits: with the names that exist.
    """
    for field, asked, known in (("method", plan.method, model.methods), ("policy", plan.policy, model.policies)):
        if asked is not None and asked not in known:
            message = f"The model service has no {field} '{asked}'; it has: {', '.join(known) or 'none'}."
            raise OutOfLimits(message, field=field, value=asked)


def _check_durations(terms: Terms) -> None:
    capabilities = terms.capabilities
    declared = {"dwell_s": terms.dwell_s} | capabilities.timing.model_dump()
    if capabilities.light is not None:
        declared["seconds_per_image"] = capabilities.light.seconds_per_image
    for field, seconds in declared.items():
        if seconds > _LONGEST_S:
            message = f"{terms.name} declares {field} {seconds:g}; nothing takes longer than {_LONGEST_S:g} s."
            raise OutOfLimits(message, field=field, value=seconds)


def _check_phases(terms: Terms) -> None:
    for phase in terms.capabilities.phases:
        try:
            laue_group(phase.point_group)
        except UnknownPointGroup as error:
            message = f"The phase {printable(phase.name)} of {terms.name} cannot be measured: {error}."
            raise OutOfLimits(message, field="point_group", value=phase.point_group) from None


def _check_section(terms: Terms) -> None:
    section, sections = terms.plan.section, terms.capabilities.sections
    if section >= sections:
        have = f"has {sections}, numbered from 0"
        message = f"The plan asks for section {section}, but {terms.name} {have}."
        raise OutOfLimits(message, field="section", value=section)


def _check_shapes(terms: Terms) -> None:
    shape, accepted = terms.plan.shape, terms.capabilities.shapes.accepted
    if shape != ANY_SHAPE and shape not in accepted:
        kinds = " and ".join(accepted)
        message = f"The plan's shape = {shape!r} cannot be scanned by {terms.name}, which accepts {kinds}."
        raise OutOfLimits(message, field="shape", value=shape)
    means = terms.means
    if means is not None:
        _check_fits(means, terms)


def _check_fits(means: ScanMeans, terms: Terms) -> None:
    """Refuse a section, a budget or requests too small for any shape."""
    name, shape_px, budget = terms.name, terms.shape_px, terms.max_points
    whole = next(coarse_rasters(shape_px, means), None)
    if whole is None and ScanShape.POINTS not in means.shapes.accepted:
        message = f"The section of {shape_px[0]} × {shape_px[1]} px is smaller than any shape that {name} scans."
        raise OutOfLimits(message, field="shapes", value=shape_px)
    smallest = min(smallest_points(means.shapes).values())
    if smallest > min(budget, terms.max_points_per_request):
        least = f"the smallest shape that {name} scans has {counted(smallest, 'point')}"
        message = f"The plan's budget of {counted(budget, 'point')} is too small: {least}."
        if smallest <= budget:
            message = f"Requests of at most {counted(terms.max_points_per_request, 'point')} are too small: {least}."
        raise OutOfLimits(message, field="budget", value=budget)


def _check_dwell(terms: Terms) -> None:
    asked_s, (low, high) = terms.plan.dwell_s, terms.capabilities.dwell_range_s
    if asked_s is not None and not low <= asked_s <= high:
        message = f"The plan's dwell_s = {asked_s:g} s is outside the {low:g}–{high:g} s of {terms.name}."
        raise OutOfLimits(message, field="dwell_s", value=asked_s)


def _check_light(terms: Terms) -> None:
    light = terms.capabilities.light
    if light is None or light.kind is not LightKind.ROTATION_STACK:
        return
    count = len(terms.plan.light_angles_deg)
    if not _FEWEST_ANGLES <= count <= light.max_images:
        message = (
            f"The plan's light_angles_deg holds {counted(count, 'angle')}; {terms.name} takes "
            f"{_FEWEST_ANGLES} to {light.max_images} PL images (or set use_light = false)."
        )
        raise OutOfLimits(message, field="light_angles_deg", value=count)


def _check_time(terms: Terms) -> None:
    limit = terms.plan.budget.instrument_s
    needed = terms.light_s + terms.capabilities.timing.approach_s(0.0) + terms.dwell_s
    if limit is not None and limit < needed:
        message = (
            f"The plan's budget.instrument_s = {limit:g} s is too short on {terms.name}: "
            f"the PL images and one scan point take {needed:.3g} s."
        )
        raise OutOfLimits(message, field="budget.instrument_s", value=limit)


def _check_exposure(terms: Terms) -> None:
    for field in ("exposure_s", "pixel_exposure_s"):
        limit, needed = getattr(terms.plan.budget, field), terms.dwell_s
        if limit is not None and limit < needed * (1 - 1e-9):
            message = (
                f"The plan's budget.{field} = {limit:g} s is too short on {terms.name}: "
                f"one scan point is exposed for {needed:.3g} s."
            )
            raise OutOfLimits(message, field=f"budget.{field}", value=limit)
