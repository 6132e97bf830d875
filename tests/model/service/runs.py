"""Sections and requests for the tests of the model service, and a running service."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np

from grainloop.model.service import ModelService
from grainloop.protocols.aio import Client
from grainloop.protocols.messages import ModelReply, OpenSection, ProposalRequest, ReconstructRequest
from grainloop.protocols.values import Grid, Phase, PointBlock, PointStatus
from tests.model.reconstruct.problems import grid_pixels, voronoi

ALPHA = Phase(phase_id=1, name="Ti alpha", point_group="6/mmm")
BETA = Phase(phase_id=2, name="Ti beta", point_group="m-3m")


def block(position, orientation, phase=1, indexed=True):
    """A point block as an instrument reports it."""
    n = len(position)
    indexed = np.broadcast_to(indexed, n)
    status = np.where(indexed, PointStatus.INDEXED, PointStatus.NOT_INDEXED).astype(np.uint8)
    return PointBlock(
        point_id=np.arange(n),
        position_px=np.asarray(position, np.int32).reshape(-1, 2),
        status=status,
        phase_id=np.where(indexed, phase, 0).astype(np.uint8),
        orientation=np.asarray(orientation, np.float32).reshape(-1, 4),
        confidence=np.ones(n, np.float32),
        fit_deg=np.zeros(n, np.float32),
        time_s=np.arange(n, dtype=np.float64),
        dwell_s=np.ones(n, np.float32),
    )


def section(shape=(24, 24), grains=6, share=0.08, seed=0):
    """Truth, and the points of a regular grid on it."""
    truth, _ = voronoi(shape, grains, seed)
    position = grid_pixels(shape, share)
    return truth, block(position, truth[tuple(position.T)])


def opening(shape=(24, 24), key="s", phases=(ALPHA,), **fields):
    return OpenSection(section_key=key, grid=Grid(shape_px=shape, step_um=1.0), phases=phases, **fields)


def asking(points, key="s", propose=0, **fields):
    excluded = np.empty((0, 2), np.int32)
    request = ProposalRequest(count=propose, excluded_px=excluded) if propose else None
    return ReconstructRequest(section_key=key, points=points, propose=request, **fields)


@asynccontextmanager
async def running(**options):
    """A model service on a free port: its endpoint, the event that stops it, and its task."""
    service, ready, stop = ModelService(**options), asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(service.run("tcp://127.0.0.1:0", ready=ready.set, stop=stop))
    try:
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        yield service.endpoint, stop, task
    finally:
        stop.set()
        await task


@asynccontextmanager
async def serving(**options):
    """The endpoint of a model service on a free port."""
    async with running(**options) as (endpoint, _, _):
        yield endpoint


def connection(endpoint):
    return Client(endpoint, ModelReply, service="model")
