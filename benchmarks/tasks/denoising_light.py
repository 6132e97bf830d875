"""Denoising of PL: features of noisy images against those that a perfect camera gives of the same section."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.restoration import denoise_nl_means

from benchmarks.tasks.denoising import centre_of, problem_of
from benchmarks.tasks.image_quality import psnr, ssim
from benchmarks.tasks.task import Column, Level, Measured, Task, Trial
from grainloop.evaluate.cases import OURS, Case
from grainloop.evaluate.methods import method_named
from grainloop.evaluate.sections.scenes import EXACT_POINTS, Scene, Setting, make_scene
from grainloop.instrument_sim.camera import LightNuisances
from grainloop.model.diffusion.checkpoints.shipped import load_shipped
from grainloop.model.diffusion.inference.method import gate_evaluation
from grainloop.model.diffusion.network.conditions import gather_evidence, section_input
from grainloop.model.diffusion.network.state import original_light
from grainloop.model.maps import OrientationMap
from grainloop.model.reconstruct import Options, Problem, never, no_report

TEXT = """
PL images with noise of 5 to 50 % of their contrast, and all other nuisances as they are by default (blur, shading,
dust, misregistration), on the centre of 128 × 128 px. Compared are the five PL features *m*, *C4*, *S4*, *C2*, *S2* in
the frame of the map, registered and calibrated by 25 %, 6.25 % or 1.6 % of exact points, with those that a perfect
camera gives of the same section: no noise, blur, shading or dust, aligned, calibrated by every pixel. So nothing that
the polynomial of the model says of PL goes into the truth. Every feature is brought to 0 … 1 by the range that it can
have and clipped to it; PSNR has a peak of 1, SSIM is that of Wang et al. (2004), mean of the five. Pixels that the
camera does not see do not count.

`joint` is the denoised PL of the posterior (`Posterior.light`): what the likely grains show, weighed by the gate's
probabilities. It knows the points, which a filter of images does not; that is the point of a joint model, and the
column of 1.6 % says what is left of it when they are few. *Network alone* is what the PL channels of the network say,
points known: they are trained with a tenth of the weight of the gate.

The references are the better for being tuned on the truth itself: of a Gaussian filter the best width, of non-local
means (Buades, Coll & Morel, CVPR 2005, as in scikit-image, all five features together in units of their noise) the
best strength and patch.
"""
SHARES = {"25": 0.25, "6": 0.0625, "1": 1 / 64}
"""End of the names of figures → share of the pixels that are measured."""
WIDTHS_PX = (0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0)
STRENGTHS = (0.3, 0.5, 0.7, 1.0)
PATCHES_PX = (3, 5)
PERFECT = Setting(share=1.0, instrument=EXACT_POINTS.model_copy(update={"nuisances": LightNuisances.none()}))
LOWEST = np.array([0, -1, -1, -1, -1], np.float32)
"""Least value of each feature; the largest is 1."""
BEFORE, GAUSSIAN, NON_LOCAL, ALONE = "as registered", "Gaussian, best width", "non-local means, best", "network alone"
Features = NDArray[np.float32]
Denoise = Callable[[Problem], Iterable[Features]]
"""Denoised features (5, h, w) of the PL of a problem, of which the best counts."""


def as_image(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """(h, w, 5) features brought to 0 … 1."""
    low = LOWEST.reshape(-1, 1, 1)
    return np.moveaxis(np.clip((features - low) / (1 - low), 0, 1), 0, -1).astype(np.float64)


def light_of(problem: Problem) -> Features:
    """(5, h, w) registered features; NaN where PL does not reach, or everywhere without PL."""
    return np.full((5, *problem.shape), np.nan, np.float32) if problem.light is None else problem.light.features


@lru_cache(maxsize=2)
def perfect_light(specimen: OrientationMap) -> Features:
    """(5, h, w) features by a perfect camera, calibrated by every pixel."""
    return light_of(problem_of(make_scene(specimen, PERFECT)))


@lru_cache(maxsize=len(SHARES))
def scene_of(trial: Trial, share: float) -> Scene:
    """The centre of the specimen of a trial with this share of its pixels measured."""
    return make_scene(centre_of(trial), replace(trial.level.setting, share=share, seed=trial.seed))


def filled(features: Features) -> Features:
    """The same with the nearest value where PL does not reach."""
    known = np.isfinite(features).all(axis=0)
    if known.all() or not known.any():
        return np.nan_to_num(features)
    at = np.asarray(ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True))
    return features[:, *at]


def registered(problem: Problem) -> Iterable[Features]:
    """The features as they are."""
    yield light_of(problem)


def gaussian(problem: Problem) -> Iterable[Features]:
    """Gaussian filters of several widths."""
    seen = filled(light_of(problem))
    for width in WIDTHS_PX:
        yield ndimage.gaussian_filter(seen, (0, width, width))


def non_local(problem: Problem) -> Iterable[Features]:
    """Non-local means of several strengths and patches."""
    if problem.light is None:
        return
    seen, sigma = filled(problem.light.features), problem.light.sigma
    level = np.array([np.median(each[np.isfinite(each)]) if np.isfinite(each).any() else 1 for each in sigma])
    image = np.moveaxis(seen / level[:, None, None], 0, -1).astype(np.float64)
    for patch in PATCHES_PX:
        for strength in STRENGTHS:
            found = denoise_nl_means(image, patch_size=patch, patch_distance=6, h=strength, sigma=1.0, channel_axis=-1)
            yield (np.moveaxis(found, -1, 0) * level[:, None, None]).astype(np.float32)


def network_alone(problem: Problem) -> Iterable[Features]:
    """The PL channels of the network."""
    trained = load_shipped(problem.laue_group)
    section = section_input(problem.shape, gather_evidence(problem, trained.space), trained.space)
    yield original_light(gate_evaluation(trained.denoiser, section).light[0].numpy())


def ours(problem: Problem) -> Iterable[Features]:
    """The denoised PL of the posterior."""
    found = method_named(OURS)(problem, Options(), no_report, never).light
    if found is not None:
        yield found


DENOISERS: dict[str, Denoise] = {
    BEFORE: registered,
    GAUSSIAN: gaussian,
    NON_LOCAL: non_local,
    ALONE: network_alone,
    OURS: ours,
}


def denoised(trial: Trial, case: Case) -> Measured:
    """PSNR and SSIM against the perfect camera for every share; of several tries those of the best PSNR."""
    truth = perfect_light(centre_of(trial))
    figures: dict[str, float | None] = {}
    for name, share in SHARES.items():
        scene = scene_of(trial, share)
        problem = problem_of(scene)
        counted = scene.truth.indexed & np.isfinite(truth).all(axis=0) & np.isfinite(light_of(problem)).all(axis=0)
        tries = [quality(features, truth, counted) for features in DENOISERS[case.name](problem)]
        best = max(tries, default=(None, None))
        figures |= {f"psnr_{name}": best[0], f"ssim_{name}": best[1]}
    return Measured(figures)


def quality(features: Features, truth: Features, counted: NDArray[np.bool_]) -> tuple[float, float]:
    """PSNR in dB and SSIM of features over the pixels that count."""
    seen, meant = (as_image(np.where(counted, each, 0)) for each in (features, truth))
    return psnr(seen, meant, counted), ssim(seen, meant, counted)


SHOWN = {"25": "25 %", "6": "6.25 %", "1": "1.6 %"}
PSNR = {name: Column(f"psnr_{name}", f"PSNR, {shown}, dB", digits=1, better=1) for name, shown in SHOWN.items()}
SSIM = {name: Column(f"ssim_{name}", f"SSIM, {shown}", digits=3, better=1) for name, shown in SHOWN.items()}

TASK = Task(
    name="denoising_light",
    title="Denoising of PL",
    text=TEXT,
    levels=tuple(
        Level(f"{100 * noise:g} %", 100 * noise, Setting().with_light(noise=noise)) for noise in (0.05, 0.15, 0.3, 0.5)
    ),
    axis="noise of PL, % of its contrast",
    cases=tuple(Case(name, OURS) for name in DENOISERS),
    columns=(*PSNR.values(), *SSIM.values()),
    drawn=(PSNR["6"], PSNR["1"], SSIM["6"]),
    ours=OURS,
    rivals=(BEFORE, GAUSSIAN, NON_LOCAL),
    measure=denoised,
)
