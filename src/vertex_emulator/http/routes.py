"""Routes, each declared in one place: beside the handler that answers it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar

from vertex_emulator.core.messages import Message
from vertex_emulator.http.messages import ApiRequest

VERSIONS = ("v1", "v1beta1")
"""What `{version}` in a path stands for."""

LOCATION = "/{version}/projects/{project}/locations/{location}"
"""The path of a project and region."""

Support = Literal["faithful", "simplified", "emulator only"]
"""`faithful` to what is documented, `simplified`, or a route of the emulator's own."""

Handler = Callable[[ApiRequest], Any]
_AnyHandler = TypeVar("_AnyHandler", bound=Callable[..., Any])
_DECLARED = "declared_routes"


@dataclass(frozen=True, slots=True)
class Service:
    """The service that a route belongs to."""

    # As the coverage page calls it.
    name: str
    # Host of one of Google's APIs: its callers bear access tokens and need permissions,
    # and the fault plan's `*` includes its methods. None for any other service.
    host: str | None = None
    # What else than loopback its callers know its host by.
    names: tuple[str, ...] = ()
    # Whether the bodies of its requests are JSON.
    takes_json: bool = True


EMULATOR = Service("The emulator itself")


@dataclass(frozen=True, slots=True)
class FaultTarget:
    """A call, as the fault plan sees it."""

    # What the fault plan calls the method: `create`, `entries:list`.
    method: str = ""
    # Who makes the call, as in `CallRecord`.
    identity: str = ""
    bears_token: bool = False
    # Host of the API; None for a service that `*` leaves out.
    host: str | None = None
    # IAM permission that the call needs.
    permission: str | None = None
    # Path of what the call is about: `projects/P/locations/L`.
    resource: str = ""
    # ID of the job that the call names.
    job_id: str | None = None
    # Labels and display name of the resource that the call names or creates.
    labels: Mapping[str, str] = field(default_factory=dict)
    display_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of a service."""

    # HTTP method.
    method: str
    # Pattern of the path, as Starlette reads it; `{version}` is one of `VERSIONS`.
    path: str
    support: Support
    # A remark for the coverage page.
    note: str
    # What the fault plan calls the method; None for one that no fault can hit.
    fault_method: str | None
    # IAM permission that the call needs, which a planned 403 names.
    permission: str | None
    # Its query parameters in lowerCamelCase, for one of Google's APIs.
    parameters: tuple[str, ...]
    # Message that it answers; None if that is not described.
    answer: Message | None
    service: Service
    handler: Handler
    describe: Callable[[ApiRequest], FaultTarget]

    def target_of(self, request: ApiRequest) -> FaultTarget:
        """What a call means to the fault plan."""
        return replace(
            self.describe(request),
            method=self.fault_method or "",
            identity=request.caller.identity,
            bears_token=request.caller.bears_token,
            host=self.service.host,
            permission=self.permission,
        )


def route(
    method: str,
    path: str,
    support: Support = "faithful",
    note: str = "",
    *,
    fault_method: str | None = None,
    permission: str | None = None,
    parameters: tuple[str, ...] = (),
    answer: Message | None = None,
) -> Callable[[_AnyHandler], _AnyHandler]:
    """Declare that a method of an `Api` answers a route; the arguments are `Route`'s fields.

    A handler may answer several routes.
    """
    declared = partial(
        Route,
        method=method,
        path=path,
        support=support,
        note=note,
        fault_method=fault_method,
        permission=permission,
        parameters=parameters,
        answer=answer,
    )

    def declare(handler: _AnyHandler) -> _AnyHandler:
        # Decorators are applied from the last to the first.
        setattr(handler, _DECLARED, (declared, *getattr(handler, _DECLARED, ())))
        return handler

    return declare


class Api:
    """Base class of the services: their routes, and what they do when the emulator starts or ends.

    Handlers are declared with `route`.
    """

    service: ClassVar[Service]

    @property
    def routes(self) -> tuple[Route, ...]:
        """Its routes, in the order of declaration."""
        return tuple(
            declared(
                service=self.service, handler=getattr(self, name), describe=self.describe_target
            )
            for name, member in vars(type(self)).items()
            for declared in getattr(member, _DECLARED, ())
        )

    def describe_target(self, request: ApiRequest) -> FaultTarget:
        """What a call is about, for the fault plan; as far as an invalid call can be read."""
        del request
        return FaultTarget()

    def start(self) -> None:
        """Load what is kept; called once, before the first request."""

    def reset(self) -> None:
        """Forget everything."""

    def crash(self) -> None:
        """Do nothing from now on, as if killed."""

    def stop(self) -> None:
        """End what still runs; called once, after the last request and the last timed call."""
