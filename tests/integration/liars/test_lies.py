"""Every field of every reply is lied about, in every way that its type allows, and the lies are many."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field

from grainloop.protocols.arrays import FloatMap
from grainloop.protocols.values import Value
from tests.integration.liars.lies import NOT_ASKED, REPLIES, kind_of, kinds_of, leaves, lies_of, lies_to_tell

FEWEST = 400


def test_there_are_many_lies_and_about_a_third_is_told_each_time() -> None:
    lies = [str(lie) for service in REPLIES for lie in (f"{service}.{one}" for one in lies_of(service))]
    assert len(set(lies)) == len(lies)
    told = sum(len(lies_to_tell(service)) for service in REPLIES)
    assert told >= max(FEWEST, len(lies) * 0.3)


@pytest.mark.parametrize("service", REPLIES)
def test_every_field_of_every_reply_is_lied_about(service: str) -> None:
    lied = {(lie.kind, lie.path) for lie in lies_of(service)}
    asked = [kind for kind in kinds_of(service) if (service, kind_of(kind)) not in NOT_ASKED]
    fields = {(kind_of(kind), path) for kind in asked for path, _, _ in leaves(kind)}
    assert lied == fields
    for kind in asked:
        assert {path[0] for name, path in lied if name == kind_of(kind)} == set(kind.model_fields) - {"kind"}


class Inner(Value):
    deep: Annotated[float, Field(ge=0)] | None = None


class New(Value):
    kind: str = "new"
    map_: FloatMap
    inner: Inner
    many: tuple[Inner, ...] = ()


def test_a_new_field_is_lied_about_by_itself() -> None:
    found = {path for path, _, _ in leaves(New)}
    assert found == {("map_",), ("inner",), ("inner", "deep"), ("many",), ("many", 0), ("many", 0, "deep")}
