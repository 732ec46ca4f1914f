"""The end of a job's log, from Cloud Logging.

It is read for a job that failed and whose step did not report why: Cloud Logging allows 60
reads a minute in a project, for all clients together.
https://cloud.google.com/logging/quotas#api-limits

What entries look like was recorded of real jobs: the public history of `gretjia/omega`, folder
`archive/audit/v62`. A container that fails is mostly started a second time on its machine, where
it writes until Vertex AI ends it; the label `log.file.name` counts its starts, from `0.log`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.transport import OK, RestService
from zenml_vertex.errors import VertexApiError

_GOOGLE = "https://logging.googleapis.com"
_REFUSALS = (401, 403)
# A traceback of ZenML's has a hundred lines where its import fails.
MAX_LINES = 200
_FIRST_START = "0.log"
_NODE, _START = "compute.googleapis.com/resource_name", "log.file.name"
# What Google's agent has sent of an empty line: the container runtime's header alone.
_RUNTIME_HEADER = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z (?:stdout|stderr) [FP]"
)

Entry = Mapping[str, Any]


class VertexLogs:
    """Reads the logs of jobs; implements `following.protocols.Logs`.

    Args:
        identity: Who reads; needs `logging.logEntries.list` (roles/logging.viewer).
        endpoint: Where Vertex AI is; an emulator serves the logs of its jobs itself.
    """

    def __init__(self, identity: Identity, endpoint: Endpoint) -> None:
        self._project = identity.project
        self._service = RestService("Cloud Logging", endpoint.choose_address(_GOOGLE), identity)

    def fetch_tail(self, name: str, task_name: str, created: datetime | None = None) -> list[str]:
        """The last lines of the first start of a replica's container, the oldest first.

        The first start on the machine that it last ran on: what a second one writes says nothing
        about why the first one ended.

        Args:
            name: Resource name of the job.
            task_name: The replica, such as `workerpool0-0`.
            created: When the job was created, which bounds the search; None if not known.

        Raises:
            VertexApiError: If they cannot be read.
            CredentialsError: If no access token is available.
        """
        job_id = name.rsplit("/", 1)[-1]
        terms = [
            'resource.type="ml_job"',
            f'resource.labels.job_id="{job_id}"',
            f'resource.labels.task_name="{task_name}"',
            *([f'timestamp>="{created.isoformat()}"'] if created else []),
        ]
        entries = self._read(name, terms)
        first = choose_first_start(entries)
        if len(entries) == MAX_LINES and not (
            len(first) == MAX_LINES and _is_of_first_start(first)
        ):
            # Others have taken a part of the page, or all of it.
            node = json.dumps(_read_label(first[0], _NODE))
            more = [f'labels."{_START}"="{_FIRST_START}"', f'labels."{_NODE}"={node}']
            first = self._read(name, [*terms, *more]) or first
        texts = [read_line(entry) for entry in first]
        return [text for text in texts if not _RUNTIME_HEADER.fullmatch(text.strip())]

    def _read(self, name: str, terms: Sequence[str]) -> list[Entry]:
        """The newest entries of a job for which all terms are true, the oldest first."""
        query = {
            "resourceNames": [f"projects/{self._project}"],
            "filter": " AND ".join(terms),
            "orderBy": "timestamp desc",
            "pageSize": MAX_LINES,
        }
        action = f"reading the log of {name}"
        answer = self._service.call("POST", "/v2/entries:list", action, body=query)
        if answer.status_code != OK:
            cure = (
                " Reading logs needs the role roles/logging.viewer."
                if answer.status_code in _REFUSALS
                else ""
            )
            raise VertexApiError(
                f"{self._service.describe(answer, action)}{cure}", code=answer.status_code
            )
        content = self._service.read(answer, action)
        return list(reversed(self._service.read_items(content, "entries", action)))


def choose_first_start(entries: Sequence[Entry]) -> list[Entry]:
    """Those of a replica's entries that are of the first start on its last machine.

    Entries without the labels count as of one start.

    Args:
        entries: The entries, the oldest first.
    """
    if not entries:
        return []
    node = _read_label(entries[-1], _NODE)
    of_node = [entry for entry in entries if _read_label(entry, _NODE) == node]
    starts = {_read_label(entry, _START) for entry in of_node}
    first = min(starts, key=lambda name: (len(name), name))
    return [entry for entry in of_node if _read_label(entry, _START) == first]


def _is_of_first_start(entries: Sequence[Entry]) -> bool:
    return _read_label(entries[0], _START) in {"", _FIRST_START}


def read_line(entry: Entry) -> str:
    """The text of a log entry; an object that is not a message in itself, as JSON."""
    payload = entry.get("jsonPayload")
    if not isinstance(payload, dict):
        return str(entry.get("textPayload") or "")
    said = payload.get("message", payload)
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)


def _read_label(entry: Entry, name: str) -> str:
    labels = entry.get("labels")
    return str(labels.get(name, "")) if isinstance(labels, dict) else ""
