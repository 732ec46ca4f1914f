"""The bodies of requests: how large, in which encoding, and of which type they may be."""

import zlib
from collections.abc import Mapping

from starlette.requests import Request

from vertex_emulator.core.errors import ApiError, invalid_argument

MAX_BODY_BYTES = 10 * 1024 * 1024
"""Far above any job, compressed or not; Google's own limit for a request is not documented."""

FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_GZIP = {"gzip", "x-gzip"}
# zlib: a header of gzip is expected.
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


async def read_body(request: Request) -> bytes:
    """The whole body, uncompressed; one that is too large is read to its end, but not kept.

    Raises:
        ApiError: INVALID_ARGUMENT for one that is too large, or that is compressed in a way
            that is not served.
    """
    body = bytearray()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            body += chunk
    if size > MAX_BODY_BYTES:
        raise _too_large()
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return bytes(body)
    if encoding not in _GZIP:
        raise invalid_argument(
            f"The body can be compressed with `Content-Encoding: gzip` only; it is `{encoding}`."
        )
    return _unpack(bytes(body))


def media_type(headers: Mapping[str, str]) -> str:
    """What the body is declared as, in lower case and without parameters; empty for nothing."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def refuse_forms(headers: Mapping[str, str], body: bytes) -> None:
    """Refuse a body that is not declared as JSON: what a page can send is a form or plain text.

    Raises:
        ApiError: INVALID_ARGUMENT.
    """
    declared = headers.get("content-type", "")
    if (declared or body) and media_type(headers) != _JSON:
        raise invalid_argument(
            f"The body must be JSON, with the header `Content-Type: {_JSON}`"
            + (f"; it is `{declared}`." if declared else ".")
        )


def _unpack(body: bytes) -> bytes:
    """What a gzip file holds, which may be a thousand times larger than the file."""
    member = zlib.decompressobj(_GZIP_WINDOW)
    try:
        unpacked = member.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as exc:
        raise invalid_argument("The body is not a gzip file.") from exc
    if len(unpacked) > MAX_BODY_BYTES:
        raise _too_large()
    if not member.eof or member.unused_data:
        raise invalid_argument("The body is not one complete gzip file.")
    return unpacked


def _too_large() -> ApiError:
    return invalid_argument(f"Request payload size exceeds the limit: {MAX_BODY_BYTES} bytes.")
