"""What is kept of a long-running operation, and what clients see of it. Pure.

`google.longrunning.Operation`, https://google.aip.dev/151. The names of operations and what
their metadata is: https://github.com/GoogleCloudPlatform/k8s-config-connector, `_http.log` of
aiplatformpersistentresource.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from vertex_emulator.core.errors import Json
from vertex_emulator.core.messages import Field, Message
from vertex_emulator.core.times import format_time, parse_time

COLLECTION = "operations"
EMPTY: Json = {"@type": "type.googleapis.com/google.protobuf.Empty"}
"""The response of an operation without a result."""

OPERATION = Message(
    "google.longrunning.Operation",
    {
        "name": Field("string"),
        "metadata": Field("output"),
        "done": Field("bool"),
        "error": Field("output"),
        "response": Field("output"),
    },
)
OPERATIONS_PAGE = Message(
    "google.longrunning.ListOperationsResponse",
    {"operations": Field(OPERATION, repeated=True), "nextPageToken": Field("string")},
)
EMPTY_MESSAGE = Message("google.protobuf.Empty", {})

# What the emulator keeps beside what clients see: the kind, what it is about, when it ends, and
# what it will say of itself until then.
_OWN = "emulator"
_OWN_KEYS = {"kind", "target", "end", "steps"}


@dataclass(frozen=True, slots=True)
class Progress:
    """What an operation says of itself from some moment on."""

    # Seconds from its begin; not negative.
    after: float
    # Its `progressMessage`.
    message: str


def write_operation(
    name: str,
    metadata_type: str,
    now: datetime,
    *,
    kind: str = "",
    target: str = "",
    seconds: float = 0.0,
    progress: Sequence[Progress] = (),
) -> Json:
    """An operation that begins now; the arguments are those of `Operations.begin`."""
    written = format_time(now)
    document: Json = {
        "name": name,
        "metadata": {
            "@type": f"type.googleapis.com/{metadata_type}",
            "genericMetadata": {"createTime": written, "updateTime": written},
        },
    }
    if kind:
        document[_OWN] = {
            "kind": kind,
            "target": target,
            "end": format_time(now + timedelta(seconds=seconds)),
            "steps": [
                {"time": format_time(now + timedelta(seconds=step.after)), "message": step.message}
                for step in progress
            ],
        }
    return say_progress(document, now)


def end_operation(document: Json, now: datetime, result: Json, message: str | None) -> Json:
    """An operation that ends now.

    Args:
        document: The operation as it is kept.
        now: The time.
        result: Its `response` or `error`.
        message: What it says of itself at last; None for no change.
    """
    said = show(say_progress(document, now))
    return {**said, "metadata": _update(said, now, message), "done": True, **result}


def say_progress(document: Json, now: datetime) -> Json:
    """An operation as it is kept, with what it says of itself now, if that is new."""
    steps = document[_OWN]["steps"] if _OWN in document else []
    due = [step for step in steps if parse_time(step["time"]) <= now]
    if not due:
        return document
    own = {**document[_OWN], "steps": [step for step in steps if step not in due]}
    return {**document, "metadata": _update(document, now, due[-1]["message"]), _OWN: own}


def show(document: Json) -> Json:
    """An operation as clients see it."""
    return {key: value for key, value in document.items() if key != _OWN}


def hide(document: Json) -> Json:
    """An operation that goes on, and that no client sees any more."""
    return {**document, _OWN: {**document[_OWN], "is_hidden": True}}


def is_hidden(document: Json) -> bool:
    """Whether no client sees it any more."""
    return bool(document.get(_OWN, {}).get("is_hidden"))


def is_timed(document: Json) -> bool:
    """Whether it is not done, and ends when its time has come."""
    return _OWN in document


def kind_of(document: Json) -> str:
    """The kind of an operation; empty for one that its service ends by itself."""
    return str(document.get(_OWN, {}).get("kind", ""))


def target_of(document: Json) -> str:
    """The resource that an operation is about; empty where that is not kept."""
    return str(document.get(_OWN, {}).get("target", ""))


def end_of(document: Json) -> datetime:
    """When a timed operation ends."""
    return parse_time(document[_OWN]["end"])


def next_moment(document: Json) -> datetime:
    """When there is something to do to a timed operation: it has news, or ends."""
    moments = [end_of(document)]
    return min(moments + [parse_time(step["time"]) for step in document[_OWN]["steps"]])


def position_of(operation: Json) -> tuple[str, str]:
    """Where an operation stands in a list: its time, and its name."""
    return operation["metadata"]["genericMetadata"]["createTime"], operation["name"]


def location_of(name: str) -> str:
    """The project and region of a resource: `projects/P/locations/L`."""
    return "/".join(name.split("/")[:4])


def is_operation(document: Json) -> bool:
    """Whether a document is an operation; it may have been damaged."""
    metadata: Any = document.get("metadata")
    generic = metadata.get("genericMetadata") if isinstance(metadata, dict) else None
    if not isinstance(document.get("name"), str) or not isinstance(generic, dict):
        return False
    if not isinstance(generic.get("createTime"), str):
        return False
    if _OWN not in document:
        return True
    try:
        next_moment(document)
    except (TypeError, KeyError, AttributeError, ValueError):
        return False
    return set(document[_OWN]) >= _OWN_KEYS


def _update(document: Json, now: datetime, message: str | None) -> Json:
    """The metadata of an operation that changes now."""
    metadata: Json = document["metadata"]
    generic = {**metadata["genericMetadata"], "updateTime": format_time(now)}
    said = {} if message is None else {"progressMessage": message}
    return {**metadata, "genericMetadata": generic, **said}
