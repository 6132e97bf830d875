"""Checks of what is installed: Python, packages, weights, and whether the kernels and the network work here."""

from __future__ import annotations

import platform
import re
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec

from grainloop.cli.check.findings import Finding, State, bad, doubtful, good, judge
from grainloop.cli.extras import IN_CHECKOUT, Requirement, requirements
from grainloop.protocols.files import sha256_of
from grainloop.protocols.version import grainloop_version, install_command

OLDEST_PYTHON = (3, 11)
_SERVES = {"controller": "the controller", "model": "the model", "sim": "the simulated instrument"}


def python() -> Iterator[Finding]:
    """The interpreter and grainloop itself."""
    found = f"Python {platform.python_version()} on {platform.platform(terse=True)}"
    yield judge("Python", sys.version_info >= OLDEST_PYTHON, found, "Install Python 3.11 or newer.")
    yield good("grainloop", grainloop_version())


def packages() -> Iterator[Finding]:
    """The packages of each part, by what the installed grainloop asks for."""
    asked = requirements()
    if not asked:
        yield doubtful("packages", "grainloop is not installed as a package", "Install it: pip install grainloop.")
        return
    for part in (None, *_SERVES):
        yield _part(part, [one for one in asked if one.extra == part])


def _part(part: str | None, asked: list[Requirement]) -> Finding:
    there = {one.name: found for one in asked if (found := one.found) is not None}
    missing = [one.name for one in asked if one.name not in there]
    unfit = [one for one in asked if one.name in there and not _fits(there[one.name], one)]
    what = "packages" if part is None else f"packages of {_SERVES[part]}"
    install = install_command() if part is None else install_command(part)
    if unfit:
        told = ", ".join(f"{one.name} {there[one.name]} (needs {one.least})" for one in unfit)
        return bad(what, f"of another version: {told}", f"Run {install}")
    if missing and part is None:
        return bad(what, f"missing: {', '.join(missing)}", f"Run {install}")
    if missing:
        return doubtful(what, f"missing: {', '.join(missing)}", f"If this machine is to serve it, run {install}")
    return good(what, ", ".join(f"{name} {found}" for name, found in there.items()))


def _fits(found: str, asked: Requirement) -> bool:
    if found == IN_CHECKOUT:
        return True
    return found == asked.least if asked.exact else _numbers(found) >= _numbers(asked.least)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.split("+", maxsplit=1)[0])[:3])


def weights() -> Iterator[Finding]:
    """The trained models that ship: each file there, and unchanged."""
    from grainloop.model.weights import FOLDER, weights_files

    files = weights_files()
    if not files:
        tell = doubtful if find_spec("torch") is None else bad  # who serves no model needs none
        yield tell("weights", f"there are none in {FOLDER}", f"To serve the model, run {install_command('model')}")
    for group, file in files.items():
        what = f"weights for {group}"
        if not file.path.is_file():
            yield bad(what, f"{file.path} is missing", "Install grainloop again.")
            continue
        sha256 = sha256_of(file.path)
        found = f"SHA-256 {sha256[:12]}…" + ("" if sha256 == file.sha256 else f", not {file.sha256[:12]}…")
        yield judge(what, sha256 == file.sha256, found, f"{file.path} was altered: install grainloop again.")


def trained_groups() -> frozenset[str]:
    """Laue groups with weights on this machine."""
    from grainloop.model.weights import weights_files

    return frozenset(weights_files())


def threads() -> Iterator[Finding]:
    """Processor cores and how many threads use them."""
    from grainloop.model.diffusion.training.processes import available_cores
    from grainloop.model.reconstruct.bands import MOST_THREADS

    cores = available_cores()
    yield good("threads", f"{cores} cores; up to {min(cores, MOST_THREADS)} work on a map, one evaluates the network")


def kernels() -> Iterator[Finding]:
    """Whether the compiled kernels work."""
    from grainloop.cli.prepare import stamp_here
    from grainloop.controller.geometry import warm_up

    began_s, stamp = time.perf_counter(), stamp_here()
    warm_up()
    took = f"compiled or loaded in {time.perf_counter() - began_s:.1f} s"
    if stamp is None:
        yield doubtful("kernels", f"{took}, kept nowhere", "Set NUMBA_CACHE_DIR to a folder that can be written.")
    else:
        found = f"{took}; kept in {stamp.path.parent}" if stamp.holds else f"{took}; most are not compiled yet"
        yield judge("kernels", stamp.holds, found, "Run grainloop check --prepare, or the first run does.", State.WARN)


def network() -> Iterator[Finding]:
    """A tiny real reconstruction by the default method."""
    from grainloop.model.service.methods import default_method
    from grainloop.model.service.service import TINY_WRONG_PX, tiny_reconstruction

    began_s = time.perf_counter()
    wrong = tiny_reconstruction()
    found = f"16 × 16 px by {default_method()}: {wrong} wrong, {time.perf_counter() - began_s:.1f} s with loading"
    yield judge("reconstruction", wrong <= TINY_WRONG_PX, found, "Install grainloop again, and check the weights.")


def speed() -> Iterator[Finding]:
    """How long a decision takes on this computer, if that was measured."""
    from grainloop.cli.plan.speed import calibration_file, load

    kept = load(calibration_file())
    if kept is None or not kept.still_holds():
        yield good("speed of the model", "not measured yet; grainloop plan does so when it is asked for the first time")
        return
    told = ", ".join(f"{seconds:.2g} s for {pixels:,} px" for pixels, seconds in kept.decisions)
    yield good("speed of the model", f"a decision takes {told} (measured {kept.measured})")
