"""The wire against bare pyzmq: round-trip time of a small request, and scan points per second in batches of 1,000.

Both sides run in processes of their own over TCP on loopback, the bare and the full stack alternating in the same run.
The bare side sends the very frames that the full stack sends, through plain blocking sockets, and looks at nothing.
A busy machine only ever adds time, so the aims are judged by the quietest round; the median of all is told beside it.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from benchmarks.processes import served_by
from grainloop.protocols import (
    Client,
    InstrumentReply,
    InstrumentRequest,
    PointBlock,
    ScanRequest,
    Service,
    encode,
    run,
)
from grainloop.protocols.messages import CheckHealth, Health, PointsMeasured, ScanDone
from grainloop.protocols.rpc.envelope import Envelope, EnvelopeKind, to_frames

SIDES = ("bare", "full")
RESULTS = Path(__file__).parents[1] / "results" / "wire.json"
POINTS = 1_000
BLOCKS = 100
ROUND_TRIPS = 200
ROUNDS = 25
AIM_OVERHEAD_MS = 0.3
AIM_POINTS_PER_S = 100_000


def main() -> dict[str, Any]:
    with serving("bare") as bare, serving("full") as full:
        pairs = [(time_bare(bare), run(time_full(full))) for _ in range(ROUNDS)]
    times = {side: np.array([pair[n][0] for pair in pairs]) for n, side in enumerate(SIDES)}
    rates = {side: np.array([pair[n][1] for pair in pairs]) for n, side in enumerate(SIDES)}
    quietest = {side: float(np.median(times[side], axis=1).min()) for side in SIDES}
    overhead = quietest["full"] - quietest["bare"]
    median_rate = {side: float(np.median(rates[side])) for side in SIDES}
    result = {
        "round_trip_ms": {side: {"quietest_round": quietest[side], **percentiles(times[side])} for side in SIDES},
        "round_trip_overhead_ms": overhead,
        "round_trip_overhead_median_ms": float(np.median(times["full"]) - np.median(times["bare"])),
        "round_trip_overhead_aim_ms": AIM_OVERHEAD_MS,
        "points_per_s": median_rate,
        "points_per_s_ratio": median_rate["full"] / median_rate["bare"],
        "points_per_s_aim": AIM_POINTS_PER_S,
        "points_per_block": POINTS,
        "bytes_per_block": sum(len(frame) for frame in encode(measured())),
        "aims_met": overhead <= AIM_OVERHEAD_MS and median_rate["full"] >= AIM_POINTS_PER_S,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    return result


def percentiles(times: np.ndarray) -> dict[str, float]:
    return {name: float(np.percentile(times, q)) for name, q in (("median", 50), ("p90", 90), ("p99", 99))}


def measured() -> PointsMeasured:
    """A block as a scan sends it."""
    rng = np.random.default_rng(1)
    points = PointBlock(
        point_id=np.arange(POINTS),
        position_px=rng.integers(0, 200, (POINTS, 2), np.int32),
        status=np.ones(POINTS, np.uint8),
        phase_id=np.ones(POINTS, np.uint8),
        orientation=rng.standard_normal((POINTS, 4), np.float32),
        confidence=rng.random(POINTS, np.float32),
        fit_deg=rng.random(POINTS, np.float32),
        time_s=np.arange(POINTS, dtype=np.float64),
        dwell_s=np.full(POINTS, 0.01, np.float32),
    )
    return PointsMeasured(batch=0, points=points)


def serving(stack: str) -> AbstractContextManager[str]:
    """A process that serves with `stack`; gives its endpoint."""
    return served_by("benchmarks.services.wire", "--serve", stack)


# --- bare pyzmq ------------------------------------------------------------------------------------------------------
def serve_bare() -> None:
    """Echo one message; on the two-frame message `blocks`, send that many blocks."""
    block = to_frames(Envelope(EnvelopeKind.PROGRESS, "0" * 32, measured()))
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.bind("tcp://127.0.0.1:0")
        print(socket.getsockopt_string(zmq.LAST_ENDPOINT), flush=True)
        while True:
            peer, *frames = socket.recv_multipart()
            if frames[0] != b"blocks":
                socket.send_multipart([peer, *frames])
                continue
            for _ in range(BLOCKS):
                socket.send_multipart([peer, *block])


def time_bare(endpoint: str) -> tuple[list[float], float]:
    request = to_frames(Envelope(EnvelopeKind.REQUEST, "0" * 32, CheckHealth(), 10.0))

    def ask() -> None:
        socket.send_multipart(request)
        socket.recv_multipart()

    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(endpoint)
        ask()
        times = [timed(ask) for _ in range(ROUND_TRIPS)]
        start = time.perf_counter()
        socket.send(b"blocks")
        for _ in range(BLOCKS):
            socket.recv_multipart()
        return times, BLOCKS * POINTS / (time.perf_counter() - start)


def timed(ask: Any) -> float:
    start = time.perf_counter()
    ask()
    return 1e3 * (time.perf_counter() - start)


# --- the full stack --------------------------------------------------------------------------------------------------
def handlers() -> dict[type, Any]:
    """What a service answers that is timed: health at once, a scan by blocks of points."""
    block = measured()

    async def health(_request: CheckHealth, _call: Any) -> Health:
        return Health(service="bench", version="1", ok=True)

    async def scan(request: ScanRequest, call: Any) -> ScanDone:
        for _ in range(BLOCKS):
            await call.progress(block)
        return ScanDone(batch=request.batch, points=BLOCKS * POINTS, started_s=0, finished_s=1)

    return {CheckHealth: health, ScanRequest: scan}


async def serve_full() -> None:
    service = Service("bench", InstrumentRequest, handlers())
    await service.run("tcp://127.0.0.1:0", ready=lambda: print(service.endpoint, flush=True))


async def time_full(endpoint: str) -> tuple[list[float], float]:
    scan = ScanRequest(batch=0, point_id=np.arange(1), position_px=np.zeros((1, 2), np.int32), dwell_s=0.01)
    times, points = list[float](), list[int]()
    async with Client(endpoint, InstrumentReply, service="bench") as client:
        await client.request(CheckHealth(), deadline_s=10)
        for _ in range(ROUND_TRIPS):
            start = time.perf_counter()
            await client.request(CheckHealth(), deadline_s=10)
            times.append(1e3 * (time.perf_counter() - start))
        start = time.perf_counter()
        await client.request(scan, deadline_s=60, on_progress=lambda message: points.append(len(message.points)))
        return times, sum(points) / (time.perf_counter() - start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=["bare", "full"])
    match parser.parse_args().serve:
        case "bare":
            serve_bare()
        case "full":
            run(serve_full())
        case _:
            print(json.dumps(main(), indent=2))
