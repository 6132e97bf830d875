"""Robustness: one nuisance of PL, of the optics or of the points after another, over a range, with and without PL."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from benchmarks.tasks.materials import Material
from benchmarks.tasks.pages.robustness_figure import panels
from benchmarks.tasks.registration import PREDICTED, where_pl_harms
from benchmarks.tasks.task import AUROC, MEAN_ERROR, WRONG_PIXELS, Level, Measured, Task, Trial, figures_of
from grainloop.evaluate.cases import OURS, WITHOUT, Case, cases_of
from grainloop.evaluate.sections.scenes import Setting, of_another_section, of_noise
from grainloop.instrument_sim.config import DetectorConfig
from grainloop.instrument_sim.optics import ALPHA_TITANIUM, MAGNESIUM, ZIRCONIUM
from grainloop.model.reconstruct import RegisteredLight
from grainloop.protocols.values import FramePreset, LightKind

TEXT = """
A 6.25 % grid of points and PL with default nuisances (15 % noise, 0.7 px blur, 15 % shading, 0.7 % dust, 3 px rms
misregistration, 1° analyser offset, 18 stage angles); one thing at a time is changed over a range, to far beyond what a
usable image would have. Registration and calibration are done anew every time by the points. `{without}` has the same
points and is the floor: where PL is of no use the method must notice, and be no worse than without it by more than 5 %
(relative).

- *Tiles*: a mosaic stitched from frames of 50 px that differ in brightness; the tiles are not declared.
- *Resolution*: PL pixels for one scan pixel.
- *Permittivity*: the sample reflects with the constants of another metal, or with half or a fifth of the anisotropy
  of titanium. *Camera*: rotation stack; one RGB image through a tint plate with 15 % noise in each channel, as in each
  of the 18 images of a stack; and one with as little noise as 18 of them averaged.
- *Frame*: the instrument declares another relation of the Euler frame to the map than the true one, so that the
  azimuths predicted from the points are mirrored. The calibration learns how features mix, so it may learn this too.
- *Useless PL*: registered PL turned by 180°, as that of another section, or replaced by white noise of the same mean
  and spread, as if it had passed the registration.
- *Points*: noise, not indexed, and indexed at random; these change what both cases are given.
""".replace("{without}", WITHOUT)
SHARE = 0.0625
DEFAULT = Setting(share=SHARE)
RGB = DEFAULT.with_instrument(light_kind=LightKind.RGB)
_TI = (ALPHA_TITANIUM.ordinary, ALPHA_TITANIUM.axial)


def swept(nuisance: str, values: Sequence[float], unit: str, factor: float = 1.0, **names: str) -> tuple[Level, ...]:
    """Levels of one nuisance; `names` says whose field it is: of light, detector or instrument."""
    (part, field), *_ = names.items()
    return tuple(
        Level(f"{nuisance}: {factor * value:g}{unit}", factor * value, changed(part, **{field: value}))
        for value in values
    )


def changed(part: str, **fields: Any) -> Setting:
    """The default setting with other fields of a part of the instrument."""
    return getattr(DEFAULT, f"with_{part}")(**fields)


def named(nuisance: str, settings: dict[str, Setting]) -> tuple[Level, ...]:
    """Levels that are no numbers."""
    return tuple(
        Level(f"{nuisance}: {name}", number, setting) for number, (name, setting) in enumerate(settings.items())
    )


def few_angles(count: int) -> Setting:
    """So many stage angles, evenly spread over 180°."""
    return Setting(share=SHARE, angles_deg=tuple(180.0 * number / count for number in range(count)))


def weaker(share: float) -> tuple[complex, complex]:
    """Permittivities with this share of the anisotropy of titanium."""
    middle, half = sum(_TI) / 2, (_TI[0] - _TI[1]) / 2
    return middle + share * half, middle - share * half


def turned_half(light: RegisteredLight, seed: int) -> RegisteredLight:
    """PL as that of another section."""
    del seed
    return of_another_section(light)


def metal(ordinary: complex, axial: complex) -> Setting:
    """A sample that reflects with these permittivities."""
    return changed("instrument", permittivity=(ordinary, axial))


SWEEPS: dict[str, tuple[Level, ...]] = {
    "noise of PL, %": swept("noise", (0.05, 0.15, 0.5, 1.0, 2.0), " %", 100, light="noise"),
    "blur, px": swept("blur", (0.0, 0.7, 1.5, 3.0, 5.0), " px", light="blur_px"),
    "shading, %": swept("shading", (0.0, 0.15, 0.4, 0.8), " %", 100, light="shading"),
    "dust, % of the area": swept("dust", (0.0, 0.007, 0.03, 0.1, 0.2), " %", 100, light="dust"),
    "misregistration, px rms": swept("misregistration", (0.0, 3.0, 6.0, 10.0, 20.0), " px", light="misregistration_px"),
    "brightness of tiles, %": tuple(
        Level(f"tiles: {100 * step:g} %", 100 * step, changed("light", tile_px=50, tile_step=step))
        for step in (0.02, 0.08, 0.2)
    ),
    "PL pixels per scan pixel": swept("resolution", (0.25, 0.5, 1.0, 2.0), "", light="ratio"),
    "analyser offset, °": swept("analyser", (0.0, 1.0, 3.0, 8.0), "°", instrument="analyser_offset_deg"),
    "stage angles": tuple(Level(f"{count} angles", count, few_angles(count)) for count in (3, 4, 5, 9, 18)),
    "permittivity": named(
        "permittivity",
        {
            "Ti": metal(*_TI),
            "Mg": metal(MAGNESIUM.ordinary, MAGNESIUM.axial),
            "Zr": metal(ZIRCONIUM.ordinary, ZIRCONIUM.axial),
            "½ Ti": metal(*weaker(0.5)),
            "⅕ Ti": metal(*weaker(0.2)),
        },
    ),
    "camera": named("camera", {"stack": DEFAULT, "RGB": RGB, "RGB, 18×": RGB.with_light(noise=0.15 / 18**0.5)}),
    "declared frame": named(
        "frame",
        {
            "right": DEFAULT,
            "EDAX 2": changed("instrument", declared_frame=FramePreset.EDAX_2),
            "EDAX 3": changed("instrument", declared_frame=FramePreset.EDAX_3),
        },
    ),
    "useless PL": (
        Level("useless: another section", 0, DEFAULT, turned_half),
        Level("useless: noise", 1, DEFAULT, of_noise),
    ),
    "noise of the points, °": swept("points", (0.0, 1.0, 2.0, 3.0), "°", detector="noise_deg"),
    "points not indexed, %": swept("not indexed", (0.0, 0.1, 0.3, 0.6), " %", 100, detector="lost_share"),
    "points indexed at random, %": swept("at random", (0.0, 0.01, 0.03, 0.1), " %", 100, detector="random_share"),
}
"""Axis → levels on it."""


@lru_cache(maxsize=64)
def _floor(material: Material, seed: int, detector: DetectorConfig, frame: FramePreset | None) -> Measured:
    """Without PL all levels that measure the same points are the same."""
    setting = Setting(share=SHARE).with_instrument(detector=detector, declared_frame=frame, light_kind=None)
    trial = Trial(material, Level("without PL", 0, setting), seed)
    return figures_of(trial.solved(Case(OURS, OURS)).reply, trial)


def with_floor(trial: Trial, case: Case) -> Measured:
    """The figures of merit of a case."""
    if case.name == WITHOUT:
        instrument = trial.level.setting.instrument
        return _floor(trial.material, trial.seed, instrument.detector, instrument.declared_frame)
    return figures_of(trial.solved(case).reply, trial)


TASK = Task(
    name="robustness",
    title="Robustness to each nuisance",
    text=TEXT,
    levels=tuple(level for levels in SWEEPS.values() for level in levels),
    axis="changed",
    cases=tuple(case for case in cases_of([OURS]) if case.name in (OURS, WITHOUT)),
    columns=(WRONG_PIXELS, PREDICTED, MEAN_ERROR, AUROC),
    drawn=(WRONG_PIXELS,),
    ours=OURS,
    rivals=(WITHOUT,),
    measure=with_floor,
    remarks=where_pl_harms,
    figure=panels(SWEEPS),
)
