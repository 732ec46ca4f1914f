"""Google's services over gRPC: each call becomes the request over HTTP that Google's rules say.

So there is one implementation, one record of calls and one fault plan, whatever a client
speaks.
"""

import json
import logging
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NoReturn

import grpc

from vertex_emulator.as_google.methods import Method, Methods, load_methods
from vertex_emulator.as_google.templates import HttpCall, transcode
from vertex_emulator.core.errors import ApiError

logger = logging.getLogger(__name__)

# Calls at a time. A fault that answers nothing holds one until its client gives up.
_MOST_CALLS = 100
# Above what the emulator reads, so that its own answer is the one that a client gets.
_MOST_BYTES = 16 * 1024 * 1024
_MOST_SECONDS = 24 * 3600.0
_OK = 200
_DETAILS = "grpc-status-details-bin"
# What a client says about itself; the rest of gRPC's metadata belongs to its connection.
_PASSED_ON = ("authorization", "x-goog-")
# https://cloud.google.com/apis/design/errors, for an answer that does not name its code.
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    504: "DEADLINE_EXCEEDED",
}


class GrpcServer:
    """Serves gRPC on a Unix socket, in threads of its own.

    Args:
        path: The socket, in a folder that only this user can enter: whoever reaches it can
            run commands.
        address: Address of the emulator over HTTP.
        port: Its port.
    """

    def __init__(self, path: Path, address: str, port: int) -> None:
        self._threads = ThreadPoolExecutor(_MOST_CALLS, thread_name_prefix="emulator-grpc")
        self._server = grpc.server(
            self._threads,
            handlers=[_Services(partial(HTTPConnection, address, port))],
            options=[("grpc.max_receive_message_length", _MOST_BYTES)],
        )
        self._server.add_insecure_port(f"unix:{path}")

    def start(self) -> None:
        """Start serving."""
        self._server.start()

    def stop(self) -> None:
        """Cut every call and stop serving; returns when it is done."""
        self._server.stop(grace=None).wait()
        self._threads.shutdown(wait=False)


class _Services(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers the methods that are known, and refuses all others.

    Args:
        connect: Makes a connection to the emulator over HTTP, which is not open yet.
    """

    def __init__(self, connect: Callable[..., HTTPConnection]) -> None:
        self._connect = connect
        self._methods: Methods = load_methods()

    def service(self, handler_call_details: Any) -> Any:
        name = handler_call_details.method
        method = self._methods.find(name)
        if method is None:
            return grpc.unary_unary_rpc_method_handler(partial(_refuse, name))
        return grpc.unary_unary_rpc_method_handler(
            partial(self._answer, method),
            request_deserializer=method.request.FromString,
            response_serializer=method.answer.SerializeToString,
        )

    def _answer(self, method: Method, request: Any, context: Any) -> Any:
        try:
            call = transcode(self._methods.write_json(request), method.bindings)
        except ApiError as error:
            self._abort(context, error.http_status, error.to_json()["error"])
        status, body = self._send(call, context)
        if status != _OK:
            self._abort(context, status, _read_error(body))
        try:
            return self._methods.read_answer(method, body)
        except ValueError as error:
            logger.error("The answer to %s over HTTP: %s", method.name, error)  # noqa: TRY400
            _end(context, grpc.StatusCode.INTERNAL, "Internal error encountered.")

    def _send(self, call: HttpCall, context: Any) -> tuple[int, bytes]:
        """Make a call over HTTP; what ends it, ends the client's."""
        headers = {
            name: value
            for name, value in context.invocation_metadata()
            if name.startswith(_PASSED_ON) and isinstance(value, str)
        }
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        # Without a deadline, the time that remains is infinite, which no socket takes.
        connection = self._connect(timeout=min(context.time_remaining(), _MOST_SECONDS))
        try:
            connection.connect()
            # A client that hangs up, does so over HTTP too.
            if not context.add_callback(partial(_hang_up, connection.sock)):
                _end(context, grpc.StatusCode.CANCELLED, "The client has hung up.")
            connection.request(call.verb, call.target, call.body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except TimeoutError:
            _end(context, grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        except (OSError, HTTPException):
            _end(context, grpc.StatusCode.UNAVAILABLE, "Socket closed")
        finally:
            connection.close()

    def _abort(self, context: Any, http_status: int, error: Mapping[str, Any]) -> NoReturn:
        name = str(error.get("status") or _CODES.get(http_status, "UNAVAILABLE"))
        code = getattr(grpc.StatusCode, name, grpc.StatusCode.UNKNOWN)
        if error.get("details"):
            details = self._methods.write_status(code.value[0], error)
            context.set_trailing_metadata(((_DETAILS, details),))
        _end(context, code, str(error.get("message") or f"HTTP status {http_status}"))


def _refuse(name: str, request: bytes, context: Any) -> NoReturn:
    del request
    text = f"The emulator does not serve {name} over gRPC."
    _end(context, grpc.StatusCode.UNIMPLEMENTED, text)


def _end(context: Any, code: Any, text: str) -> NoReturn:
    """End a call with an error; gRPC does it by raising an exception of its own."""
    context.abort(code, text)
    raise AssertionError("a call that is aborted goes no further")


def _read_error(body: bytes) -> Mapping[str, Any]:
    """The error in the body of an answer; empty if it is somebody else's, such as a page."""
    with suppress(ValueError):
        content = json.loads(body)
        error = content.get("error") if isinstance(content, dict) else None
        if isinstance(error, dict):
            return error
    return {}


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
