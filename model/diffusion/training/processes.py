"""One process of a training among several, as torchrun starts them: its device, its cores, and what all agree on.

Alone, a process agrees with itself. Knows nothing of networks.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

import torch
import torch.distributed as dist


@contextmanager
def joined() -> Generator[str]:
    """Yields the device of this process, joined with the other processes that torchrun started, if it did."""
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    dist.init_process_group("nccl" if device != "cpu" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def rank_and_world() -> tuple[int, int]:
    """The number of this process and how many there are."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def is_first() -> bool:
    """Whether this process is the one that writes and speaks; known before it has joined the others."""
    return os.environ.get("RANK", "0") == "0"


def total(values: tuple[float, ...], device: torch.device) -> tuple[float, ...]:
    """Sums of `values` over all processes."""
    if rank_and_world()[1] == 1:
        return values
    summed = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(summed)
    return tuple(summed.tolist())


def share_cores(cores: int | None, device: str) -> int:
    """Set the threads of the network, and return how many worker processes should make its examples.

    On a CPU an example costs about as much to make as to learn from, so that half of the cores goes to each.

    Args:
        cores: of this process; None takes an equal share of the machine.
        device: where the network is evaluated.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    cores = cores or max(1, available_cores() // processes)
    workers = cores // 2 if device == "cpu" else max(1, cores - 1)
    torch.set_num_threads(max(1, cores - workers))
    return workers


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
