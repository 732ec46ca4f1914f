"""Cloud Logging's `entries:write`: the entries of a request. Pure.

https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/write
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import unquote

from vertex_emulator.core.errors import ApiError, Json, invalid_argument
from vertex_emulator.core.names import parse_project
from vertex_emulator.core.proto_json import read_message
from vertex_emulator.core.times import format_time, parse_time, to_utc
from vertex_emulator.logs.messages import WRITE_REQUEST

# https://cloud.google.com/logging/quotas
MAX_ENTRY_BYTES = 256 * 1024
RETENTION, MOST_AHEAD = timedelta(days=30), timedelta(days=1)
"""How old an entry can be in a log bucket whose retention nobody has changed, and how far ahead of
its time. One beyond is accepted, and no list has it."""

_KIB = 1024
_LOG_NAME = re.compile(r"projects/([^/]+)/logs/([^/]+)")
_LOG_ID = re.compile(r"[A-Za-z0-9/_.-]+")
_MOST_LOG_ID_CHARACTERS = 511
_PARTIAL_ERRORS = "type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors"
# google.rpc.Code
_CODES = {"INVALID_ARGUMENT": 3, "PERMISSION_DENIED": 7, "UNIMPLEMENTED": 12}


@dataclass(frozen=True, slots=True)
class Write:
    """What a request wants to be written."""

    # Number of the project -> its entries, in their order; without `insertId` where they had none.
    entries: Mapping[str, list[Json]]
    # Entries that cannot be written, by their index from 0.
    errors: Mapping[int, ApiError] = field(default_factory=dict)
    # Whether the others are written nevertheless.
    is_partial: bool = False
    is_dry_run: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether nothing is written."""
        return bool(self.errors) and not (self.is_partial and self.entries)

    def tell(self) -> None:
        """Tell which entries could not be written.

        Raises:
            ApiError: Of the first one, if there are any; with the others among its details if
                not all were refused.
        """
        if not self.errors:
            return
        first = self.errors[min(self.errors)]
        if self.is_refused:
            raise first
        by_index = {
            str(index): {"code": _CODES[error.status], "message": error.message}
            for index, error in self.errors.items()
        }
        details = [{"@type": _PARTIAL_ERRORS, "logEntryErrors": by_index}]
        raise ApiError(first.status, first.message, details=details)


def read_write(body: Json, now: datetime) -> Write:
    """The entries of a request, with what it leaves out but for their `insertId`.

    Args:
        body: The request.
        now: When it has come: the time of an entry that has none.

    Raises:
        ApiError: INVALID_ARGUMENT for a request that cannot be read.
    """
    request = read_message(body, WRITE_REQUEST, is_request=True)
    entries: dict[str, list[Json]] = {}
    errors: dict[int, ApiError] = {}
    for index, sent in enumerate(request.get("entries", [])):
        try:
            number, entry = _build_entry(sent, request, now)
        except ApiError as error:
            errors[index] = error
            if not request.get("partialSuccess", False):
                # It is the only one that the answer names.
                break
        else:
            entries.setdefault(number, []).append(entry)
    if not entries and not errors:
        raise invalid_argument("The `entries` of the request are empty.")
    return Write(
        entries,
        errors,
        is_partial=request.get("partialSuccess", False),
        is_dry_run=request.get("dryRun", False),
    )


def is_listed(entry: Json, now: datetime) -> bool:
    """Whether lists have an entry, whose time may be too far away."""
    return -RETENTION <= parse_time(entry["timestamp"]) - now <= MOST_AHEAD


def _build_entry(sent: Json, request: Json, now: datetime) -> tuple[str, Json]:
    """The number of an entry's project, and the entry.

    Raises:
        ApiError: If it cannot be written.
    """
    if "protoPayload" in sent:
        raise ApiError(
            "UNIMPLEMENTED",
            "The emulator keeps no `protoPayload`: write `textPayload` or `jsonPayload`.",
        )
    # A slash in front is taken away, for old clients.
    name = (sent.get("logName") or request.get("logName", "")).removeprefix("/")
    number = _read_log_name(name)
    resource = sent.get("resource") or request.get("resource", {})
    if not resource.get("type"):
        raise invalid_argument("The entry has no `resource` with a `type`, nor has the request.")
    labels = {**request.get("labels", {}), **sent.get("labels", {})}
    written = format_time(now)
    entry = {
        **sent,
        "logName": name,
        "resource": resource,
        "timestamp": to_utc(sent.get("timestamp", written)),
        "receiveTimestamp": written,
        **({"labels": labels} if labels else {}),
    }
    size = len(json.dumps(entry, ensure_ascii=False).encode())
    if size > MAX_ENTRY_BYTES:
        # As many reports have it.
        raise invalid_argument(
            f"Log entry with size {size / _KIB:.1f}K exceeds maximum size of "
            f"{MAX_ENTRY_BYTES / _KIB:.1f}K"
        )
    return number, entry


def _read_log_name(name: str) -> str:
    """The number of the project that a log belongs to.

    Raises:
        ApiError: INVALID_ARGUMENT, if it is not the name of a log.
    """
    parts = _LOG_NAME.fullmatch(name)
    if parts is None:
        raise invalid_argument(
            f"Invalid log name `{name[:200]}`: it must be `projects/PROJECT/logs/LOG_ID`, with the "
            "log's ID encoded as in a URL. The emulator has logs of projects only."
        )
    log_id = unquote(parts[2])
    if not _LOG_ID.fullmatch(log_id):
        # Two public reports have the beginning; one has all of it.
        raise invalid_argument(
            "Log name contains illegal character. Allowed characters are alphanumerics and ./_-"
        )
    if len(log_id) > _MOST_LOG_ID_CHARACTERS:
        raise invalid_argument(
            f"The ID of a log has at most {_MOST_LOG_ID_CHARACTERS} characters; this one has "
            f"{len(log_id)}."
        )
    return parse_project(parts[1])
