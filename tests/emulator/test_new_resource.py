"""A kind of resource that the emulator does not serve, defined here: what a new one needs."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from vertex_emulator import ManualClock, MemoryStore, ScriptedRuntime, VertexEmulator
from vertex_emulator.core.errors import ApiError, Json
from vertex_emulator.core.names import parse_parent
from vertex_emulator.core.operations import EMPTY
from vertex_emulator.faults import ErrorAnswer, FaultError, FaultPlan, PermissionWithdrawn
from vertex_emulator.http.messages import ApiRequest
from vertex_emulator.http.routes import LOCATION, Api, FaultTarget, Service, route
from vertex_emulator.server import Foundation

PARENT = "projects/my-project/locations/us-central1"
SECONDS_TO_BUILD = 60
_TOYS = f"{LOCATION}/toys"


class ToyApi(Api):
    """Toys: creating one takes a minute, deleting one no time."""

    service = Service("Toys", host="toys.example")

    def __init__(self, foundation: Foundation) -> None:
        self._store = foundation.store
        self._operations = foundation.operations
        self._timer = foundation.timer

    @route("POST", _TOYS, fault_method="create_toy", permission="toys.toys.create")
    def create_toy(self, request: ApiRequest) -> Json:
        parent = str(parse_parent(request.path["project"], request.path["location"]))
        operation = self._operations.begin(parent, "example.CreateToyOperationMetadata")
        toy = {
            "name": f"{parent}/toys/{request.query['toyId']}",
            "colour": request.read_json()["colour"],
            "state": "BUILDING",
            "operation": operation["name"],
        }
        self._store.put(toy["name"], toy)
        self._await(toy)
        return operation

    @route("GET", f"{_TOYS}/{{toy}}", fault_method="get_toy", permission="toys.toys.get")
    def get_toy(self, request: ApiRequest) -> Json:
        return self._find(request)

    @route("DELETE", f"{_TOYS}/{{toy}}")
    def delete_toy(self, request: ApiRequest) -> Json:
        name = self._find(request)["name"]
        operation = self._operations.begin(name.partition("/toys/")[0], "example.DeleteToy")
        self._store.remove(name)
        return self._operations.finish(operation["name"], EMPTY)

    def describe_target(self, request: ApiRequest) -> FaultTarget:
        return FaultTarget(resource=f"toys/{request.path.get('toy', '')}")

    def start(self) -> None:
        for _, toy in self._store.items("toys"):
            if toy["state"] == "BUILDING":
                self._await(toy)

    def reset(self) -> None:
        for name, _ in list(self._store.items("toys")):
            self._store.remove(name)

    def _await(self, toy: Json) -> None:
        moment = self._timer.now() + timedelta(seconds=SECONDS_TO_BUILD)
        self._timer.set(toy["name"], moment, lambda: self._end(toy))

    def _end(self, toy: Json) -> None:
        if toy["colour"] == "none":
            error = {"code": 3, "message": "A toy needs a colour."}
            self._operations.fail(toy["operation"], error)
            self._store.put(toy["name"], {**toy, "state": "ERROR"})
            return
        built = {**toy, "state": "READY"}
        self._store.put(toy["name"], built)
        self._operations.finish(toy["operation"], {"@type": "example/Toy", **built})

    def _find(self, request: ApiRequest) -> Json:
        parent = parse_parent(request.path["project"], request.path["location"])
        toy = self._store.get(f"{parent}/toys/{request.path['toy']}")
        if toy is None:
            raise ApiError("NOT_FOUND", f"The Toy {request.path['toy']} does not exist.")
        return toy


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
    """A create returns an operation, which the JobService's route reads until it is done."""
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
