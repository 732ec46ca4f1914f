"""Prints src/vertex_emulator/as_google/methods.json from Google's clients.

Run it as `python -m tests.support.generate_methods > src/vertex_emulator/as_google/methods.json`.
The emulator itself imports none of these clients.

A client's transport for gRPC says what each method is called and which messages it has, its
transport for REST says the routes.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, descriptor_pb2, empty_pb2, json_format
from google.rpc import error_details_pb2, status_pb2
from typing_extensions import Self

_VERSIONS = ("v1", "v1beta1")
_CUSTOM_JOBS = ("Create", "Get", "List", "Cancel", "Delete")
# Service -> its methods, those of resources that the emulator has or is to have.
_METHODS = {
    "job_service": tuple(
        f"{verb}CustomJob{'s' if verb == 'List' else ''}" for verb in _CUSTOM_JOBS
    ),
    "persistent_resource_service": (
        "CreatePersistentResource",
        "GetPersistentResource",
        "ListPersistentResources",
        "DeletePersistentResource",
        "UpdatePersistentResource",
        "RebootPersistentResource",
    ),
}
# Cloud Logging has one version, and no client over REST that would say its routes:
# google/logging/v2/logging.proto.
_LOGGING = {"WriteLogEntries": "/v2/entries:write", "ListLogEntries": "/v2/entries:list"}
# What stands in the `Any` of an operation, by its name in both versions.
_METADATA = (
    "GenericOperationMetadata",
    "DeleteOperationMetadata",
    "CreatePersistentResourceOperationMetadata",
    "UpdatePersistentResourceOperationMetadata",
    "RebootPersistentResourceOperationMetadata",
)
# One service for every API; google/longrunning/operations.proto has routes of its own form.
_NAME = "/v1/{name=projects/**}"
_OPERATIONS = {
    "GetOperation": (operations_pb2.GetOperationRequest, operations_pb2.Operation, "GET", _NAME),
    "ListOperations": (
        operations_pb2.ListOperationsRequest,
        operations_pb2.ListOperationsResponse,
        "GET",
        f"{_NAME}/operations",
    ),
    "DeleteOperation": (operations_pb2.DeleteOperationRequest, empty_pb2.Empty, "DELETE", _NAME),
    "CancelOperation": (
        operations_pb2.CancelOperationRequest,
        empty_pb2.Empty,
        "POST",
        f"{_NAME}:cancel",
    ),
    "WaitOperation": (
        operations_pb2.WaitOperationRequest,
        operations_pb2.Operation,
        "POST",
        f"{_NAME}:wait",
    ),
}


class _Recorder(grpc.Channel):  # type: ignore[misc]
    """A channel that learns which methods a client has, and calls none."""

    def __init__(self) -> None:
        self.messages: dict[str, tuple[Any, Any]] = {}

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool = False,
    ) -> Callable[..., Any]:
        self.messages[method] = (
            _descriptor_of(request_serializer),
            _descriptor_of(response_deserializer),
        )
        return lambda *_args, **_options: None

    def unary_stream(self, *_args: Any, **_options: Any) -> Any:
        return lambda *_args, **_options: None

    stream_unary = stream_stream = subscribe = unsubscribe = unary_stream

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        pass


@dataclass(frozen=True)
class _File:
    """What is needed of a file of messages."""

    descriptor: Any
    # Messages and enums by their names.
    kept: set[str] = field(default_factory=set)
    # The files that these need.
    needed: set[str] = field(default_factory=set)


def build_methods() -> str:
    """Build the file: methods, and the descriptors of everything that they exchange."""
    methods: dict[str, Any] = {}
    needed: list[Any] = [any_pb2.Any.DESCRIPTOR, status_pb2.Status.DESCRIPTOR]
    needed += error_details_pb2.DESCRIPTOR.message_types_by_name.values()
    for version in _VERSIONS:
        package = f"google.cloud.aiplatform_{version}"
        for service, names in _METHODS.items():
            transports = f"{package}.services.{service}.transports"
            for name in names:
                path, request, answer = _find_messages(transports, service, name)
                needed += [request, answer]
                methods[path] = _describe(request, answer, _find_bindings(transports, name))
        types = import_module(package)
        needed += [getattr(types, name).pb().DESCRIPTOR for name in _METADATA]
    for name, route in _LOGGING.items():
        transports = "google.cloud.logging_v2.services.logging_service_v2.transports"
        path, request, answer = _find_messages(transports, "logging_service_v2", name)
        needed += [request, answer]
        methods[path] = _describe(request, answer, [{"verb": "POST", "path": route, "body": "*"}])
    partial = import_module("google.cloud.logging_v2.types").WriteLogEntriesPartialErrors
    needed.append(partial.pb().DESCRIPTOR)
    for name, (request, answer, verb, path) in _OPERATIONS.items():
        needed += [request.DESCRIPTOR, answer.DESCRIPTOR]
        body = {"body": "*"} if verb == "POST" else {}
        methods[f"/google.longrunning.Operations/{name}"] = _describe(
            request.DESCRIPTOR, answer.DESCRIPTOR, [{"verb": verb, "path": path, **body}]
        )
    return _write({"methods": methods, "files": _collect_files(needed)})


def _find_messages(transports: str, service: str, method: str) -> tuple[str, Any, Any]:
    """The path of a method, and the descriptors of its request and answer."""
    camel = "".join(part.capitalize() for part in service.split("_"))
    transport = getattr(import_module(f"{transports}.grpc"), f"{camel}GrpcTransport")
    channel = _Recorder()
    # What it asks for in the beginning is all methods, or none.
    made: Any = transport(channel=channel)
    made._logged_channel = channel
    made._stubs.clear()
    channel.messages.clear()
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in method)
    getattr(made, snake.lstrip("_"))
    ((path, messages),) = channel.messages.items()
    return path, *messages


def _find_bindings(transports: str, method: str) -> list[dict[str, str]]:
    module = import_module(f"{transports}.rest_base")
    (base,) = (
        member
        for name, member in vars(module).items()
        if name.startswith("_Base") and name.endswith("RestTransport")
    )
    return [
        {
            "verb": option["method"].upper(),
            "path": option["uri"],
            **({"body": option["body"]} if "body" in option else {}),
        }
        for option in getattr(base, f"_Base{method}")._get_http_options()
    ]


def _descriptor_of(serializer: Any) -> Any:
    """The message of a `serialize` or `FromString`, of Google's two kinds of classes."""
    kind = serializer.__self__
    return kind.pb().DESCRIPTOR if hasattr(kind, "pb") else kind.DESCRIPTOR


def _describe(request: Any, answer: Any, bindings: list[dict[str, str]]) -> Mapping[str, Any]:
    return {"request": request.full_name, "answer": answer.full_name, "bindings": bindings}


def _collect_files(needed: Iterable[Any]) -> list[dict[str, Any]]:
    """The files of messages and of all that they are made of, without what is not needed."""
    files: dict[str, _File] = {}
    seen: set[str] = set()

    def add(descriptor: Any) -> None:
        descriptor = _find_outermost(descriptor)
        if descriptor.full_name in seen:
            return
        seen.add(descriptor.full_name)
        file = files.setdefault(descriptor.file.name, _File(descriptor.file))
        file.kept.add(descriptor.name)
        for used in _find_used(descriptor):
            file.needed.add(used.file.name)
            add(used)

    for descriptor in needed:
        add(descriptor)
    trimmed = {name: _trim(file) for name, file in files.items()}
    return [json_format.MessageToDict(file) for file in _sort(trimmed)]


def _find_outermost(descriptor: Any) -> Any:
    while descriptor.containing_type is not None:
        descriptor = descriptor.containing_type
    return descriptor


def _find_used(descriptor: Any) -> Iterable[Any]:
    if not hasattr(descriptor, "fields"):
        return
    for member in descriptor.fields:
        if member.message_type is not None:
            yield member.message_type
        if member.enum_type is not None:
            yield member.enum_type
    for nested in descriptor.nested_types:
        yield from _find_used(nested)


def _trim(file: "_File") -> descriptor_pb2.FileDescriptorProto:
    whole = descriptor_pb2.FileDescriptorProto()
    file.descriptor.CopyToProto(whole)
    trimmed = descriptor_pb2.FileDescriptorProto(
        name=whole.name,
        package=whole.package,
        syntax=whole.syntax,
        dependency=sorted(file.needed - {whole.name}),
        message_type=[message for message in whole.message_type if message.name in file.kept],
        enum_type=[enum for enum in whole.enum_type if enum.name in file.kept],
    )
    for message in trimmed.message_type:
        _drop_options(message)
    for enum in trimmed.enum_type:
        enum.ClearField("options")
    return trimmed


def _drop_options(message: Any) -> None:
    """Leave out what says nothing about JSON; that a message is an entry of a map does."""
    if not message.options.map_entry:
        message.ClearField("options")
    for member in message.field:
        member.ClearField("options")
    for enum in message.enum_type:
        enum.ClearField("options")
    for nested in message.nested_type:
        _drop_options(nested)


def _sort(files: Mapping[str, Any]) -> list[Any]:
    """Files after those that they need."""
    ordered: dict[str, Any] = {}

    def add(name: str) -> None:
        if name not in ordered:
            for needed in files[name].dependency:
                add(needed)
            ordered[name] = files[name]

    for name in sorted(files):
        add(name)
    return list(ordered.values())


def _write(content: Mapping[str, Any]) -> str:
    """As JSON, with a line for each method and each message."""
    methods = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(method)}"
        for name, method in sorted(content["methods"].items())
    )
    files = ",\n".join(_write_file(file) for file in content["files"])
    return f'{{\n "methods": {{\n{methods}\n }},\n "files": [\n{files}\n ]\n}}\n'


def _write_file(file: Mapping[str, Any]) -> str:
    head = {key: value for key, value in file.items() if key not in {"messageType", "enumType"}}
    lines = [f"  {json.dumps(head)[:-1]}"]
    for key in ("messageType", "enumType"):
        if key in file:
            items = ",\n".join(f"    {json.dumps(item)}" for item in file[key])
            lines.append(f'   "{key}": [\n{items}\n   ]')
    return ",\n".join(lines) + "}"


def main() -> None:
    """Print the file."""
    sys.stdout.write(build_methods())


if __name__ == "__main__":
    main()
