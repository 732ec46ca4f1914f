"""What Cloud Logging answers.

https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry,
https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list
"""

from vertex_emulator.core.messages import Enum, Field, Message
from vertex_emulator.logs.shapes import SEVERITIES

_OUTPUT = Field("output")

_RESOURCE = Message(
    "google.api.MonitoredResource", {"type": Field("string"), "labels": Field("map")}
)

LOG_ENTRY = Message(
    "google.logging.v2.LogEntry",
    {
        "logName": Field("string"),
        "resource": Field(_RESOURCE),
        "timestamp": _OUTPUT,
        "receiveTimestamp": _OUTPUT,
        "severity": Field(Enum("google.logging.type.LogSeverity", SEVERITIES)),
        "insertId": Field("string"),
        "httpRequest": _OUTPUT,
        "labels": Field("map"),
        "metadata": _OUTPUT,
        "operation": _OUTPUT,
        "trace": Field("string"),
        "spanId": Field("string"),
        "traceSampled": Field("bool"),
        "sourceLocation": _OUTPUT,
        "split": _OUTPUT,
        "errorGroups": _OUTPUT,
        "protoPayload": _OUTPUT,
        "textPayload": _OUTPUT,
        "jsonPayload": _OUTPUT,
    },
)

ENTRIES_PAGE = Message(
    "google.logging.v2.ListLogEntriesResponse",
    {"entries": Field(LOG_ENTRY, repeated=True), "nextPageToken": Field("string")},
)
