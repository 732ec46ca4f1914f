"""A kind of resource that the emulator does not serve: what a new one needs."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support.emulators import PARENT
from tests.support.toys import SECONDS_TO_BUILD, ToyApi
from vertex_emulator import ManualClock, MemoryStore, ScriptedRuntime, VertexEmulator
from vertex_emulator.core.errors import Json
from vertex_emulator.faults import ErrorAnswer, FaultError, FaultPlan, PermissionWithdrawn


@pytest.fixture
def clock() -> ManualClock:
    """The clock of an emulator with toys."""
    return ManualClock()


@pytest.fixture
def emulator(clock: ManualClock) -> Iterator[VertexEmulator]:
    """An emulator with toys."""
    with VertexEmulator(
        clock=clock, runtime=ScriptedRuntime(), store=MemoryStore(), services=[ToyApi]
    ) as emulator:
        yield emulator


def call(emulator: VertexEmulator, method: str, path: str, **options: Any) -> requests.Response:
    """Send a request."""
    return requests.request(method, f"{emulator.url}/v1/{path}", timeout=10, **options)


def create(emulator: VertexEmulator, toy_id: str, colour: str = "red") -> Json:
    """Create a toy and return the operation."""
    answer = call(emulator, "POST", f"{PARENT}/toys?toyId={toy_id}", json={"colour": colour})
    assert answer.status_code == 200, answer.text
    operation: Json = answer.json()
    return operation


def test_an_operation_is_done_when_its_resource_is(
    emulator: VertexEmulator, clock: ManualClock
) -> None:
    """A create returns an operation, which the route of all operations reads until it is done."""
    operation = create(emulator, "one")
    assert "done" not in operation
    assert call(emulator, "GET", operation["name"]).json() == operation
    assert call(emulator, "GET", f"{PARENT}/toys/one").json()["state"] == "BUILDING"
    clock.advance(SECONDS_TO_BUILD)
    ended = call(emulator, "GET", operation["name"]).json()
    toy = call(emulator, "GET", f"{PARENT}/toys/one").json()
    assert toy["state"] == "READY"
    assert ended["done"] is True
    assert ended["response"] == {"@type": "example/Toy", **toy}
    before, after = (one["metadata"]["genericMetadata"] for one in (operation, ended))
    assert before["createTime"] == before["updateTime"] == after["createTime"] < after["updateTime"]


def test_an_operation_can_fail(emulator: VertexEmulator, clock: ManualClock) -> None:
    """A failed operation has a `google.rpc.Status` instead of a response."""
    operation = create(emulator, "one", "none")
    clock.advance(SECONDS_TO_BUILD)
    ended = call(emulator, "GET", operation["name"]).json()
    assert ended["error"] == {"code": 3, "message": "A toy needs a colour."}
    assert (ended["done"], ended.get("response")) == (True, None)


def test_an_operation_survives_a_crash(tmp_path: Any) -> None:
    """An operation that had begun before a crash is finished by the next emulator."""
    clock = ManualClock()
    options: Any = {"clock": clock, "data_dir": tmp_path, "runtime": ScriptedRuntime()}
    with VertexEmulator(**options, services=[ToyApi]) as first:
        operation = create(first, "one")
        done = call(first, "DELETE", f"{PARENT}/toys/one").json()
        operation = create(first, "one", "blue")
        first.crash()
    with VertexEmulator(**options, services=[ToyApi]) as second:
        assert call(second, "GET", done["name"]).json() == done
        assert call(second, "GET", operation["name"]).json() == operation
        clock.advance(SECONDS_TO_BUILD)
        assert call(second, "GET", operation["name"]).json()["done"] is True
        assert call(second, "GET", f"{PARENT}/toys/one").json()["colour"] == "blue"


def test_the_fault_plan_knows_its_methods(emulator: VertexEmulator) -> None:
    """A declared method can be hit, also by `*`, and a 403 names the declared permission."""
    with emulator.faults.planned(ErrorAnswer("get_toy", 503), ErrorAnswer("*", 429, call=2)):
        assert call(emulator, "GET", f"{PARENT}/toys/one").status_code == 503
        assert call(emulator, "GET", f"{PARENT}/toys/one").status_code == 429
    with emulator.faults.planned(PermissionWithdrawn("get_toy")):
        error = call(emulator, "GET", f"{PARENT}/toys/one").json()["error"]
    assert error["message"] == (
        "Permission 'toys.toys.get' denied on resource '//toys.example/toys/one' "
        "(or it may not exist)."
    )
    with pytest.raises(FaultError, match=r"must be one of create, .*create_toy, get_toy, .*\*"):
        emulator.faults.plan(ErrorAnswer("delete_toy", 503))


def test_a_reset_removes_its_resources(emulator: VertexEmulator) -> None:
    """A reset removes toys and their operations, and the routes still serve."""
    operation = create(emulator, "one")
    emulator.reset()
    assert call(emulator, "GET", f"{PARENT}/toys/one").status_code == 404
    assert call(emulator, "GET", operation["name"]).status_code == 404
    create(emulator, "one")


def test_a_prepared_plan_is_checked() -> None:
    """An emulator refuses a plan made beforehand if it names a method without a route."""
    plan = FaultPlan()
    plan.plan(ErrorAnswer("get_toy", 503))
    with pytest.raises(FaultError, match="got 'get_toy'"):
        VertexEmulator(faults=plan)
    with VertexEmulator(faults=plan, services=[ToyApi]) as emulator:
        assert call(emulator, "GET", f"{PARENT}/toys/one").status_code == 503
