"""Toys: a kind of resource that the emulator does not have, as its authors would add one."""

from vertex_emulator.core.errors import ApiError, Json
from vertex_emulator.core.names import parse_parent
from vertex_emulator.core.operation_documents import EMPTY, Progress
from vertex_emulator.core.operations import Kind
from vertex_emulator.http.messages import ApiRequest
from vertex_emulator.http.routes import LOCATION, Api, FaultTarget, Service, route
from vertex_emulator.services import Foundation

SECONDS_TO_BUILD = 60
SECONDS_TO_PAINTING = 20
_TOYS = f"{LOCATION}/toys"
_KIND = "toys.create"


class ToyApi(Api):
    """Toys: creating one takes a minute, deleting one no time."""

    service = Service("Toys", host="toys.example")

    def __init__(self, foundation: Foundation) -> None:
        self._store = foundation.store
        self._operations = foundation.operations
        self._operations.define(_KIND, Kind(end=self._end, cancel=self._cancel))

    @route(
        "POST",
        _TOYS,
        fault_method="create_toy",
        permission="toys.toys.create",
        parameters=("toyId",),
    )
    def create_toy(self, request: ApiRequest) -> Json:
        parent = str(parse_parent(request.path["project"], request.path["location"]))
        name = f"{parent}/toys/{request.query['toyId']}"
        toy = {"name": name, "colour": request.read_json()["colour"], "state": "BUILDING"}
        self._store.put(name, toy)
        return self._operations.begin(
            parent,
            "example.CreateToyOperationMetadata",
            owner=name,
            kind=_KIND,
            target=name,
            seconds=SECONDS_TO_BUILD,
            progress=(Progress(0, "Sawing."), Progress(SECONDS_TO_PAINTING, "Painting.")),
        )

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

    def reset(self) -> None:
        for name, _ in list(self._store.items("toys")):
            self._store.remove(name)

    def _end(self, operation: Json, name: str) -> None:
        toy = self._store.get(name)
        if toy is None or toy["colour"] == "none":
            error = {"code": 3, "message": "A toy needs a colour."}
            self._operations.fail(operation["name"], error)
            return
        built = {**toy, "state": "READY"}
        self._store.put(name, built)
        response = {"@type": "example/Toy", **built}
        self._operations.finish(operation["name"], response, message="It is ready.")

    def _cancel(self, operation: Json, name: str) -> None:
        del operation
        self._store.remove(name)

    def _find(self, request: ApiRequest) -> Json:
        parent = parse_parent(request.path["project"], request.path["location"])
        toy = self._store.get(f"{parent}/toys/{request.path['toy']}")
        if toy is None:
            raise ApiError("NOT_FOUND", f"The Toy {request.path['toy']} does not exist.")
        return toy
