"""The gRPC methods of Google's services, and the messages that they exchange.

`methods.json` beside this module has them, generated from Google's clients: each method
with its request, its answer and its routes over HTTP, and the descriptors of these messages.
They are in a pool of their own: Google's client in the same process has its own ones.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from vertex_emulator.as_google.templates import Binding
from vertex_emulator.core.errors import Json, invalid_argument


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a service."""

    # Such as `/google.cloud.aiplatform.v1.JobService/CreateCustomJob`.
    name: str
    # Classes of the messages.
    request: Any
    answer: Any
    # Its routes over HTTP; the first one whose path fits is the method's.
    bindings: tuple[Binding, ...]


class Methods:
    """The methods that are served, and JSON for their messages; see `load_methods`.

    Args:
        content: What `methods.json` has.
    """

    def __init__(self, content: Json) -> None:
        self._pool: Any = descriptor_pool.DescriptorPool()
        for file in content["files"]:
            read = json_format.ParseDict(file, descriptor_pb2.FileDescriptorProto())
            self._pool.AddSerializedFile(read.SerializeToString())
        self._methods = {
            name: Method(
                name=name,
                request=self._class_of(method["request"]),
                answer=self._class_of(method["answer"]),
                bindings=tuple(Binding(**binding) for binding in method["bindings"]),
            )
            for name, method in content["methods"].items()
        }
        self._status = self._class_of("google.rpc.Status")

    def find(self, name: str) -> Method | None:
        """The method of a path; None if it is not served."""
        return self._methods.get(name)

    def write_json(self, message: Any) -> Json:
        """A message as the JSON of Google's APIs; fields without a value are left out.

        Raises:
            ApiError: INVALID_ARGUMENT for what JSON does not have, or a message in it of a kind
                that is not known here.
        """
        try:
            written: Json = json_format.MessageToDict(message, descriptor_pool=self._pool)
        except (TypeError, json_format.Error) as exc:
            raise invalid_argument(f"The emulator cannot read the request: {exc}") from exc
        return written

    def read_answer(self, method: Method, body: bytes) -> Any:
        """The message that a method answers.

        Args:
            method: The method.
            body: The answer over HTTP.

        Raises:
            ValueError: If it is not JSON of this message.
        """
        try:
            return self._read(method.answer, json.loads(body or b"{}"))
        except json_format.ParseError as exc:
            raise ValueError(f"it is not a {method.answer.DESCRIPTOR.full_name}: {exc}") from exc

    def write_status(self, code: int, error: Mapping[str, Any]) -> bytes:
        """A `google.rpc.Status` for the trailer `grpc-status-details-bin`.

        Args:
            code: Its `google.rpc.Code`.
            error: The error in the body of an answer over HTTP. Details of a kind that is not
                known here are left out.
        """
        status = self._status(code=code, message=str(error.get("message", "")))
        for detail in error.get("details", ()):
            try:
                self._read_into(status.details.add(), detail)
            except json_format.ParseError:
                del status.details[-1]
        serialized: bytes = status.SerializeToString()
        return serialized

    def _class_of(self, full_name: str) -> Any:
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(full_name))

    def _read(self, kind: Any, value: Any) -> Any:
        return self._read_into(kind(), value)

    def _read_into(self, message: Any, value: Any) -> Any:
        # What JSON has beyond the message, a client over gRPC could not read anyway.
        return json_format.ParseDict(
            value, message, ignore_unknown_fields=True, descriptor_pool=self._pool
        )


@lru_cache(maxsize=1)
def load_methods() -> Methods:
    """The methods, read once."""
    content = files(__package__).joinpath("methods.json").read_text("utf-8")
    return Methods(json.loads(content))
