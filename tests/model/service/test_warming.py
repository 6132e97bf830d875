"""A service that has made itself ready compiles nothing more for the first question of a run."""

import os
import subprocess
import sys

import pytest

from grainloop.model.service.warming import warm_up
from grainloop.protocols.messages import Expected
from tests.model.service.runs import ALPHA, opening

FRESH = """
import gc, sys
import numpy as np
from numba.core.registry import CPUDispatcher
from grainloop.instrument_sim.presets import MAP_QUEUE
from grainloop.model.light.features import FULL_NAMES, LightFeatures
from grainloop.model.light import predict_light
from grainloop.model.reconstruct import never, no_report
from grainloop.model.service.reconstruction import reconstruct
from grainloop.model.service.sections import Section
from grainloop.model.service.warming import warm_up
from grainloop.protocols.messages import Expected, ProposalRequest
from tests.model.service.runs import ALPHA, BETA, asking, opening, section

means = MAP_QUEUE.means(0.2) if "shapes" in sys.argv else None
phases = (BETA,) if "cubic" in sys.argv else (ALPHA,)
light = "light" in sys.argv

def compiled():
    found = [one for one in gc.get_objects() if isinstance(one, CPUDispatcher)]
    return {(one.py_func.__module__, one.py_func.__qualname__, str(s)) for one in found for s in one.signatures}

declared = opening((90, 70), phases=phases, expects=Expected(means=means))
assert warm_up(declared, light=light)
before = compiled()
truth, points = section((90, 70), 40, 0.05)
points = points.model_copy(update={"phase_id": np.full(len(points), phases[0].phase_id, np.uint8)})
features = None
if light:
    seen = np.moveaxis(predict_light(truth), -1, 0) + np.random.default_rng(0).normal(scale=0.1, size=(5, 90, 70))
    features = LightFeatures(seen.astype(np.float32), FULL_NAMES, np.full((90, 70), 0.1, np.float32))
question = asking(points, propose=30)
question = question.model_copy(update={"propose": question.propose.model_copy(update={"means": means})})
answer = reconstruct(Section(declared, features, 1.0, ()), question, no_report, never)
assert answer.light.used == light, answer.light
assert len(answer.proposals.position_px)
print(sorted(compiled() - before))
"""


@pytest.mark.parametrize("case", [("light", "shapes"), ("cubic",)], ids=" ".join)
def test_the_first_question_compiles_nothing(case: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FRESH, *case], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_there_is_nothing_to_do_twice_or_where_nothing_is_expected() -> None:
    declared = opening(phases=(ALPHA,), expects=Expected(method="nearest", policy="grid"))
    warm_up(declared, light=False)
    assert not warm_up(declared, light=False)
    assert not warm_up(opening(), light=False)


def test_what_does_not_exist_is_told_when_it_is_asked_for() -> None:
    assert warm_up(opening(expects=Expected(method="no such method")), light=False)
