"""What Cloud Logging is sent, and what it answers.

https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry,
https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries
"""

from vertex_emulator.core.messages import Enum, Field, Message
from vertex_emulator.logs.shapes import SEVERITIES

_OUTPUT = Field("output")
_TEXT, _TRUTH = Field("string"), Field("bool")
_PAYLOAD = "payload"

_RESOURCE = Message("google.api.MonitoredResource", {"type": _TEXT, "labels": Field("map")})

_HTTP_REQUEST = Message(
    "google.logging.type.HttpRequest",
    {
        "requestMethod": _TEXT,
        "requestUrl": _TEXT,
        "requestSize": Field("int64"),
        "status": Field("int32"),
        "responseSize": Field("int64"),
        "userAgent": _TEXT,
        "remoteIp": _TEXT,
        "serverIp": _TEXT,
        "referer": _TEXT,
        "latency": Field("duration"),
        "cacheLookup": _TRUTH,
        "cacheHit": _TRUTH,
        "cacheValidatedWithOriginServer": _TRUTH,
        "cacheFillBytes": Field("int64"),
        "protocol": _TEXT,
    },
)

_OPERATION = Message(
    "google.logging.v2.LogEntryOperation",
    {"id": _TEXT, "producer": _TEXT, "first": _TRUTH, "last": _TRUTH},
)

_SOURCE_LOCATION = Message(
    "google.logging.v2.LogEntrySourceLocation",
    {"file": _TEXT, "line": Field("int64"), "function": _TEXT},
)

_SPLIT = Message(
    "google.logging.v2.LogSplit",
    {"uid": _TEXT, "index": Field("int32"), "totalSplits": Field("int32")},
)

LOG_ENTRY = Message(
    "google.logging.v2.LogEntry",
    {
        "logName": _TEXT,
        "resource": Field(_RESOURCE),
        "timestamp": Field("timestamp"),
        "receiveTimestamp": _OUTPUT,
        "severity": Field(Enum("google.logging.type.LogSeverity", SEVERITIES)),
        "insertId": _TEXT,
        "httpRequest": Field(_HTTP_REQUEST),
        "labels": Field("map"),
        "metadata": _OUTPUT,
        "operation": Field(_OPERATION),
        "trace": _TEXT,
        "spanId": _TEXT,
        "traceSampled": _TRUTH,
        "sourceLocation": Field(_SOURCE_LOCATION),
        "split": Field(_SPLIT),
        "errorGroups": _OUTPUT,
        "protoPayload": Field("struct", oneof=_PAYLOAD),
        "textPayload": Field("string", oneof=_PAYLOAD),
        "jsonPayload": Field("struct", oneof=_PAYLOAD),
    },
)

ENTRIES_PAGE = Message(
    "google.logging.v2.ListLogEntriesResponse",
    {"entries": Field(LOG_ENTRY, repeated=True), "nextPageToken": _TEXT},
)

WRITE_REQUEST = Message(
    "google.logging.v2.WriteLogEntriesRequest",
    {
        "logName": _TEXT,
        "resource": Field(_RESOURCE),
        "labels": Field("map"),
        "entries": Field(LOG_ENTRY, repeated=True),
        "partialSuccess": _TRUTH,
        "dryRun": _TRUTH,
    },
)

WRITTEN = Message("google.logging.v2.WriteLogEntriesResponse", {})
