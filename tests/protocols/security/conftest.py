"""Keys for tests: a service and one key per role, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from grainloop.protocols.security import Access, Credentials, KeyFolder, KeyPair, Role
from grainloop.protocols.security.keys import make_key


@dataclass(frozen=True)
class Lab:
    """A folder of keys with a service, and the keys of people."""

    folder: KeyFolder
    service: KeyPair
    people: dict[str, KeyPair]

    @property
    def access(self) -> Access:
        return self.folder.access("service")

    def credentials(self, who: str) -> Credentials:
        return Credentials(self.people[who], self.service.public)

    def revoke(self, who: str) -> None:
        self.folder.revoke(who)


def lab_in(path: Path) -> Lab:
    folder = KeyFolder(path)
    service = folder.create("service")
    people = {name: make_key(name) for name in (*Role, "stranger")}
    for role in Role:
        folder.authorise(people[role].public, role, role)
    return Lab(folder, service, people)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return lab_in(tmp_path / "keys")
