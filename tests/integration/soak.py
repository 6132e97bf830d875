"""Memory of the services while they measure very many points, with followers attached that never read.

`python -m tests.integration.soak --points 100000` is the long form: three real processes, a follower that lives and
reads nothing, and one whose process stands still. Resident memory is noted at the end of each batch; after the warm-up
a line through it says how much the services keep per 10,000 points. The model is the quickest method, so that the
points come quickly; with more memory per point it would show as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

from grainloop.cli.serve.processes import free_endpoints
from grainloop.controller.journal.entries import PointsStored
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.record.recording import JOURNAL_NAME
from grainloop.instrument_sim import specimens
from grainloop.model.maps import OrientationMap
from grainloop.protocols.aio import Client, run
from grainloop.protocols.messages import ControlReply, FollowRun, RunEvent, RunFinished, RunRequest
from grainloop.protocols.observability.metrics import EVENTS_DROPPED, FOLLOWERS_DROPPED
from grainloop.protocols.plan import Budget, RunPlan
from tests.integration.frozen import STREAMS, FrozenFollower
from tests.integration.processes import written
from tests.memory import peak_mb, resident_mb
from tests.patience import HANG_S

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "benchmarks" / "results" / "soak.json"
NAMES = ("instrument", "model", "controller")
AIM_MB = 1.0
"""Per 10,000 points."""
WARM_UP = 0.3
"""Share of the points after which memory counts: until then buffers find their size."""
LOOK_AGAIN_S = 0.2
TROUBLE = frozenset({"batch_failed", "sent_again", "model_failed"})
_DEADLINE_S = 3600.0
_PATIENT = "import grainloop.controller.serve.patience as f; f.PATIENCE_S = {}; from grainloop.cli import main; main()"


@dataclass(frozen=True)
class Load:
    """What is measured.

    Attributes:
        points: in all.
        batches: that the plan divides them into.
        tiles: the specimen is so many shipped ones beside each other, along either axis, …
        side_px: … each cut to this edge.
        patience_s: after so long a follower that takes nothing is let go; the service's own value where nothing is
            said.
        stopped: whether there is a follower whose process stands still, too.
    """

    points: int
    batches: int
    tiles: int = 1
    side_px: int = 200
    patience_s: float | None = None
    stopped: bool = True

    @property
    def specimen(self) -> OrientationMap:
        """A map with more pixels than points."""
        one = specimens.load("ti64")
        part = slice(self.side_px)
        tiled: dict[str, Any] = {
            name: np.tile(column[part, part], (self.tiles, self.tiles, *[1] * (column.ndim - 2)))
            for name in ("orientation", "phase_id", "confidence", "fit_deg")
            if (column := getattr(one, name)) is not None
        }
        return replace(one, **tiled)

    @property
    def plan(self) -> RunPlan:
        """One run."""
        budget = Budget(fraction=1.0, points=self.points)
        return RunPlan(budget=budget, batches=self.batches, method="nn", use_light=False)


LONG = Load(100_000, 100, tiles=2)
SHORT = Load(5_000, 30, side_px=96, patience_s=3.0, stopped=False)


@dataclass
class Memory:
    """Resident memory of the services, MB, each time when so many points were measured; `most_mb` at any time."""

    most_mb: dict[str, float] = field(default_factory=dict[str, float])
    points: list[int] = field(default_factory=list[int])
    mb: dict[str, list[float]] = field(default_factory=lambda: {name: list[float]() for name in NAMES})

    def note(self, points: int, pids: dict[str, int]) -> None:
        """One look at all of them."""
        self.points.append(points)
        for name, pid in pids.items():
            self.mb[name].append(resident_mb(pid))
            self.most_mb[name] = peak_mb(pid)

    def slope_mb(self, name: str) -> float:
        """Growth per 10,000 points after the warm-up: that of the line that fits best."""
        points, mb = np.array(self.points), np.array(self.mb[name])
        late = points >= WARM_UP * points[-1]
        return 1e4 * float(np.polyfit(points[late], mb[late], 1)[0])


@dataclass(frozen=True)
class Found:
    """What a soak brought.

    Attributes:
        finished: how the run ended.
        stored: ids of the points in the journal; those that a drift put beside the grid count too.
        events: number of the last one.
        trouble: what went wrong in it, in words.
        memory: of the services.
        heard: numbers of the events that each stream of the frozen follower found at last.
        last: the last word of each of them.
        caught_up: numbers of the events of the one that followed again where it was told to.
        figures: of the controller, at the end.
        seconds: how long the run took.
    """

    finished: RunFinished
    stored: list[int]
    events: int
    trouble: list[str]
    memory: Memory
    heard: dict[str, list[int]]
    last: dict[str, Any]
    caught_up: list[int]
    figures: dict[str, float]
    seconds: float


async def soak(load: Load, folder: Path) -> Found:
    """Run the plan with the services and the followers, then look what became of all.

    The controller is at a local socket, since over TCP the system itself keeps megabytes for one who reads nothing.
    """
    map_file = written(load.specimen, folder / "map.ang")
    instrument, model, page = free_endpoints(3)
    port = page.rpartition(":")[2]
    words = (
        ["--map", str(map_file), "--spool", str(folder / "spool")],
        [],
        ["--instrument", instrument, "--model", model, "--metrics", port],
    )
    with ExitStack() as stack:
        controller = f"ipc://{stack.enter_context(tempfile.TemporaryDirectory())}/controller"
        started = zip(NAMES, (instrument, model, controller), words, strict=True)
        pids = {one[0]: stack.enter_context(process(*one, folder, load.patience_s)) for one in started}
        memory, begun, events, trouble = Memory(), asyncio.Event(), list[int](), list[str]()

        def heard(event: RunEvent) -> None:
            events.append(event.sequence)
            begun.set()
            if event.event == "batch_done":
                memory.note(event.points_measured, pids)
            if event.event in TROUBLE:
                trouble.append(event.text)

        async with Client(controller, ControlReply, service="controller") as client:
            request, began_s = RunRequest(plan=load.plan, session_dir=str(folder / "out")), time.monotonic()
            running = asyncio.create_task(client.request(request, deadline_s=_DEADLINE_S, on_progress=heard))
            running.add_done_callback(lambda _: begun.set())
            await begun.wait()
            async with FrozenFollower(controller) as frozen:
                if load.stopped:
                    await asyncio.to_thread(stack.enter_context, standing_still(controller))
                finished = await running
                seconds = time.monotonic() - began_s
                figures = await until_let_go(port)
                given, last = await frozen.thaw()
            caught_up = list[int]()
            again = FollowRun(after=min(int(word["value"]) for word in last.values()))
            await client.request(again, deadline_s=HANG_S, on_progress=lambda event: caught_up.append(event.sequence))
    entries = read_journal(folder / "out" / JOURNAL_NAME).entries
    stored = [point for one in entries if isinstance(one, PointsStored) for point in one.points.point_id.tolist()]
    return Found(finished, stored, events[-1], trouble, memory, given, last, caught_up, figures, seconds)


@contextmanager
def process(name: str, endpoint: str, words: list[str], folder: Path, patience_s: float | None) -> Generator[int]:
    """A service as a process, ready; gives its process id. What it logs goes to a file, so that it never waits."""
    start = ["-m", "grainloop"]
    if name == "controller" and patience_s is not None:
        start = ["-c", _PATIENT.format(patience_s)]
    command = [sys.executable, *start, "serve", name, "--endpoint", endpoint, *words]
    said = folder / f"{name}.log"
    with (
        said.open("wb") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True) as running,
    ):
        try:
            assert running.stdout is not None
            if "ready" not in running.stdout.readline():
                raise RuntimeError(said.read_text())
            yield running.pid
        finally:
            running.terminate()


@contextmanager
def standing_still(endpoint: str) -> Generator[None]:
    """`grainloop watch` in a process that is stopped as soon as it has heard something."""
    command = [sys.executable, "-m", "grainloop", "watch", "--controller", endpoint]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as watch:
        try:
            assert watch.stderr is not None
            watch.stderr.readline()
            watch.send_signal(signal.SIGSTOP)
            yield
        finally:
            watch.kill()


async def until_let_go(port: str) -> dict[str, float]:
    """The figures of the controller once it has let all streams of the frozen follower go."""
    while True:
        found = await asyncio.to_thread(figures, port)
        if found[FOLLOWERS_DROPPED.name] >= STREAMS:
            return found
        await asyncio.sleep(LOOK_AGAIN_S)


def figures(port: str) -> dict[str, float]:
    """Figures without labels on a page for Prometheus."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
        lines = page.read().decode().splitlines()
    pairs = [line.split(" ") for line in lines if not line.startswith("#") and "{" not in line]
    return {name: float(value) for name, value in pairs}


def told(found: Found) -> dict[str, Any]:
    """What a soak brought, as numbers."""
    memory = found.memory
    warm = int(np.searchsorted(memory.points, WARM_UP * memory.points[-1]))
    services = {
        name: {
            "mb_first": round(mb[0], 1),
            "mb_warm": round(mb[warm], 1),
            "mb_last": round(mb[-1], 1),
            "mb_most": round(memory.most_mb[name], 1),
            "mb_per_10000_points": round(memory.slope_mb(name), 3),
        }
        for name, mb in memory.mb.items()
    }
    return {
        "points": len(found.stored),
        "ended": f"{found.finished.reason}: {found.finished.detail}",
        "trouble": found.trouble,
        "seconds": round(found.seconds, 1),
        "events": found.events,
        "warm_up": WARM_UP,
        "aim_mb_per_10000_points": AIM_MB,
        "services": services,
        "streams": STREAMS,
        "events_heard_by_frozen": {stream: len(numbers) for stream, numbers in found.heard.items()},
        "followers_dropped": found.figures[FOLLOWERS_DROPPED.name],
        "events_dropped": found.figures[EVENTS_DROPPED.name],
        "curve": {"points": memory.points, "mb": {name: np.round(mb, 1).tolist() for name, mb in memory.mb.items()}},
    }


def main() -> None:
    """The long form; writes `benchmarks/results/soak.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=LONG.points)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = told(run(soak(replace(LONG, points=asked.points), Path(folder))))
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    curve = found.pop("curve")
    sys.stdout.write(json.dumps(found | {"batches": len(curve["points"])}, indent=2) + "\n")


if __name__ == "__main__":
    main()
