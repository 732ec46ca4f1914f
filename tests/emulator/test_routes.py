"""Routes: what one declaration defines, and what all routes have in common."""

from collections import Counter

from vertex_emulator import MemoryStore, VertexEmulator
from vertex_emulator.http.callers import Caller
from vertex_emulator.http.messages import ApiRequest
from vertex_emulator.http.routes import Api, FaultTarget, Route, Service, route


def declared_routes() -> tuple[Route, ...]:
    """Return the routes of an emulator that does not run."""
    emulator = VertexEmulator(store=MemoryStore())
    try:
        return emulator.routes
    finally:
        emulator.stop()


def test_every_route_of_an_api_has_a_method_and_a_permission() -> None:
    """Each route of a Google API has a fault plan method and a permission that can be missing."""
    routes = [route for route in declared_routes() if route.service.host]
    assert len(routes) >= 9
    assert [route.path for route in routes if not (route.fault_method and route.permission)] == []


def test_no_route_is_declared_twice() -> None:
    """Each method and path has one handler."""
    times = Counter((route.method, route.path) for route in declared_routes())
    assert [key for key, number in times.items() if number > 1] == []


def test_a_handler_can_serve_several_routes() -> None:
    """Routes keep their declared order, and each has its own fault method."""

    class CatApi(Api):
        service = Service("Cats", host="cats.example")

        @route("GET", "/cats", fault_method="list_cats")
        @route("GET", "/kittens", "simplified", "Young ones.")
        def list_cats(self, request: ApiRequest) -> list[str]:
            return [request.path["version"]]

        @route("POST", "/cats", permission="cats.create")
        def create_cat(self, request: ApiRequest) -> None: ...

    routes = CatApi().routes
    assert [(one.method, one.path, one.fault_method) for one in routes] == [
        ("GET", "/cats", "list_cats"),
        ("GET", "/kittens", None),
        ("POST", "/cats", None),
    ]
    assert (routes[1].support, routes[1].note) == ("simplified", "Young ones.")
    request = ApiRequest(path={"version": "v1"}, query={}, headers={}, body=b"")
    assert routes[0].handler(request) == ["v1"]


def test_a_target_names_the_call_and_its_caller() -> None:
    """A fault target joins what the service tells with the route and the caller's identity."""

    class DogApi(Api):
        service = Service("Dogs", host="dogs.example")

        @route("GET", "/dogs/{dog}", fault_method="get_dog", permission="dogs.get")
        def get_dog(self, request: ApiRequest) -> None: ...

        def describe_target(self, request: ApiRequest) -> FaultTarget:
            return FaultTarget(resource=f"dogs/{request.path['dog']}", labels={"a": "b"})

    (one,) = DogApi().routes
    request = ApiRequest(
        path={"dog": "1"}, query={}, headers={}, body=b"", caller=Caller("a@example.com")
    )
    assert one.target_of(request) == FaultTarget(
        method="get_dog",
        identity="a@example.com",
        bears_token=True,
        host="dogs.example",
        permission="dogs.get",
        resource="dogs/1",
        labels={"a": "b"},
    )
