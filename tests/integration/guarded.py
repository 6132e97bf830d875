"""Three services as processes that ask for keys, and the keys of those who talk to them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grainloop.cli.serve.processes import free_endpoints
from grainloop.protocols.aio import Client
from grainloop.protocols.messages import CheckHealth, ControlReply, InstrumentReply, ModelReply
from grainloop.protocols.security import Credentials, KeyFolder, Role
from tests.integration.junk import throw_junk
from tests.integration.processes import WORD_S, Grainloop, cropped, written
from tests.memory import resident_mb
from tests.patience import HANG_S

NAMES = ("instrument", "model", "controller")
REPLIES: dict[str, Any] = {"instrument": InstrumentReply, "model": ModelReply, "controller": ControlReply}


@dataclass(frozen=True)
class Guarded:
    """Where the services are, their processes, and one folder of keys for all."""

    at: dict[str, str]
    running: dict[str, Grainloop]
    keys: KeyFolder
    sessions: Path

    def credentials(self, who: str, service: str) -> Credentials:
        return self.keys.credentials(who, service)

    def options(self, who: str) -> tuple[str, ...]:
        """What `who` adds to a command."""
        return ("--controller", self.at["controller"], "--key", who, "--server-key", "controller", "--keys", self.path)

    @property
    def path(self) -> str:
        return str(self.keys.path)

    async def health(self, service: str, who: str = "owner") -> bool:
        """Whether the service answers a valid peer."""
        proof = self.credentials(who, service)
        async with Client(self.at[service], REPLIES[service], service=service, credentials=proof) as client:
            return (await client.request(CheckHealth(), deadline_s=HANG_S)).ok

    def memory_mb(self) -> dict[str, float]:
        """Resident memory of each service."""
        return {name: resident_mb(one.process.pid) for name, one in self.running.items()}


def make_keys(folder: Path) -> KeyFolder:
    """A folder in which the services and one person per role have keys, with the roles that a laboratory gives."""
    keys = KeyFolder(folder)
    for name in (*NAMES, *Role, "stranger"):
        keys.create(name)
    keys.authorise(keys.public("controller"), Role.OPERATOR, "controller")
    for role in Role:
        keys.authorise(keys.public(role), role, role)
    return keys


@contextmanager
def guarded(cwd: Path) -> Generator[Guarded]:
    """The three services with keys, ready."""
    keys = make_keys(cwd / "keys")
    map_file = written(cropped(), cwd / "crop.ang")
    at = dict(zip(NAMES, free_endpoints(3), strict=True))
    others = ["--instrument", at["instrument"], "--instrument-key", "instrument"]
    others += ["--model", at["model"], "--model-key", "model", "--sessions", str(cwd / "sessions")]
    options = {"instrument": ["--map", str(map_file)], "model": [], "controller": others}
    running = {
        name: Grainloop(
            "serve", name, "--endpoint", at[name], "--key", name, "--keys", str(keys.path), *options[name], cwd=cwd
        )
        for name in NAMES
    }
    try:
        for name, one in running.items():
            one.wait_for(f"ready {name}", "stdout")
        yield Guarded(at, running, keys, cwd / "sessions")
    finally:
        for one in running.values():
            one.process.terminate()
        for one in running.values():
            one.process.communicate(timeout=WORD_S)


async def bombard(cwd: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Junk on all ports for `seconds`; says whether all services answer afterwards and what memory they took."""
    with guarded(cwd) as lab:
        rng = random.Random(seed)  # noqa: S311
        endpoints = list(lab.at.values())
        for name in NAMES:
            await lab.health(name)
        await asyncio.to_thread(throw_junk, endpoints, seconds / 10, rng)
        before = lab.memory_mb()
        thrown = await asyncio.to_thread(throw_junk, endpoints, seconds, rng)
        after = lab.memory_mb()
        healthy = {name: await lab.health(name) for name in NAMES}
    memory = {name: {"before_mb": round(before[name], 2), "after_mb": round(after[name], 2)} for name in NAMES}
    return {"seed": seed, "seconds": seconds, "connections": thrown, "healthy": healthy, "memory": memory}
