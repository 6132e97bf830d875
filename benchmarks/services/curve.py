"""What keys cost: round trips and throughput of the full stack with CURVE against the same stack without, in one run.

Both services run in processes of their own over TCP on loopback and are asked in turn, so that a busy machine slows
both. Scan points in blocks of 1,000, as a run streams them; and arrays of 4 MiB, as a stack of PL images is large.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import served_by
from benchmarks.services.wire import BLOCKS, POINTS, handlers
from grainloop.protocols import (
    Client,
    InstrumentReply,
    InstrumentRequest,
    LightImages,
    LightKind,
    ScanRequest,
    Service,
    run,
)
from grainloop.protocols.messages import CheckHealth, LightRequest, LightTaken
from grainloop.protocols.security import Credentials, KeyFolder, Role

SIDES = ("plain", "curve")
RESULTS = Path(__file__).parents[1] / "results" / "curve.json"
ROUNDS = 15
ROUND_TRIPS = 200
IMAGES = np.zeros((1, 1024, 1024), np.float32)


def main() -> dict[str, Any]:
    result = measure(ROUNDS)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    return result


def measure(count: int) -> dict[str, Any]:
    """So many rounds with either service, in turn."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        keys = make_keys(Path(folder) / "keys")
        proofs = {"plain": None, "curve": keys.credentials("client", "server")}
        at = {side: stack.enter_context(serving(side, keys.path)) for side in SIDES}
        rounds = [{side: run(time_one(at[side], proofs[side])) for side in SIDES} for _ in range(count)]
    result: dict[str, Any] = {"rounds": count, "points_per_block": POINTS, "array_mib": IMAGES.nbytes / 2**20}
    for name in rounds[0]["plain"]:
        result[name] = {side: quartiles([one[side][name] for one in rounds]) for side in SIDES}
        ratios = [one["curve"][name] / one["plain"][name] for one in rounds]
        result[name]["curve_over_plain"] = quartiles(ratios)
    return result


def quartiles(values: list[float]) -> dict[str, float]:
    return {name: round(float(np.percentile(values, q)), 4) for name, q in (("q25", 25), ("median", 50), ("q75", 75))}


def make_keys(path: Path) -> KeyFolder:
    keys = KeyFolder(path)
    for name in ("server", "client"):
        keys.create(name)
    keys.authorise(keys.public("client"), Role.OPERATOR, "client")
    return keys


def serving(side: str, keys: Path) -> AbstractContextManager[str]:
    """A process that serves; gives its endpoint."""
    return served_by("benchmarks.services.curve", "--serve", side, "--keys", str(keys))


async def serve(side: str, keys: Path) -> None:
    images = LightImages(kind=LightKind.ROTATION_STACK, angles_deg=(0.0,), images=IMAGES, pixel_um=1.0)

    async def light(_request: LightRequest, _call: Any) -> LightTaken:
        return LightTaken(section=0, light=images, seconds=1.0)

    # The table of roles knows the instrument by this name.
    answered: dict[type, Any] = handlers() | {LightRequest: light}
    service = Service("instrument", InstrumentRequest, answered)
    access = KeyFolder(keys).access("server") if side == "curve" else None
    await service.run("tcp://127.0.0.1:0", ready=lambda: print(service.endpoint, flush=True), access=access)


async def time_one(endpoint: str, proof: Credentials | None) -> dict[str, float]:
    """One round with one service: connecting, small round trips, points, large arrays."""
    scan = ScanRequest(batch=0, point_id=np.arange(1), position_px=np.zeros((1, 2), np.int32), dwell_s=0.01)
    began = time.perf_counter()
    async with Client(endpoint, InstrumentReply, service="bench", credentials=proof) as client:
        await client.request(CheckHealth(), deadline_s=10)
        connected_s = time.perf_counter() - began
        small = [await timed(lambda: client.request(CheckHealth(), deadline_s=10)) for _ in range(ROUND_TRIPS)]
        heard = list[Any]()
        points_s = await timed(lambda: client.request(scan, deadline_s=60, on_progress=heard.append))
        large = [await timed(lambda: client.request(LightRequest(), deadline_s=60)) for _ in range(10)]
    return {
        "connect_and_first_reply_ms": 1e3 * connected_s,
        "round_trip_ms": 1e3 * float(np.median(small)),
        "points_per_s": BLOCKS * POINTS / points_s,
        "large_array_mb_per_s": IMAGES.nbytes / 1e6 / float(np.median(large)),
    }


async def timed(ask: Callable[[], Any]) -> float:
    start = time.perf_counter()
    await ask()
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=SIDES)
    parser.add_argument("--keys", type=Path)
    asked = parser.parse_args()
    if asked.serve is None:
        print(json.dumps(main(), indent=2))
    else:
        run(serve(asked.serve, asked.keys))
