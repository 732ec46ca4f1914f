"""Records a job of the real service: its document and log, with names and words replaced.

`python -m tests.support.recordings.recorder projects/P/locations/L/customJobs/ID > FILE`, with
the credentials that Google's libraries find. The job is over, and torn down.
"""

import argparse
import json
import re
import sys
from dataclasses import dataclass
from typing import Any

import requests

from tests.support.recordings.trace import RUNTIME_HEADER, Json, is_of_service

PROJECT, NUMBER = "example-project", "123456789012"
# What the prebuilt images' own Python prints at each start, and what a traceback looks like.
_KEPT_LINES = (
    "Error in sitecustomize; set PYTHONVERBOSE for traceback:",
    "ModuleNotFoundError: No module named 'pythonjsonlogger'",
    "Traceback (most recent call last):",
)
_COMMANDS = {"command": ["/bin/bash", "-lc"], "args": ["true"]}
_KEPT_IMAGES = ("us-docker.pkg.dev/vertex-ai/", "gcr.io/cloud-aiplatform/")
# Fields of a job's spec whose texts are Vertex AI's own.
_KEPT_FIELDS = frozenset(
    {
        *("machineType", "acceleratorType", "bootDiskType", "replicaCount", "timeout"),
        *("strategy", "maxWaitDuration", "tpuTopology", "reservationAffinityType", "imageUri"),
    }
)
# Fields that name what is the project's own.
_LEFT_OUT = frozenset(
    {
        *("env", "serviceAccount", "network", "reservedIpRanges", "pscInterfaceConfig"),
        *("baseOutputDirectory", "tensorboard", "experiment", "experimentRun", "models"),
        *("persistentResourceId", "protectedArtifactLocationId", "nfsMounts", "lustreMounts"),
    }
)
# Of the program's own words, an error has at most these.
_PROGRAM_WORDS = re.compile(r"(?s)(Termination log message: |Traceback ).*?(?= To find out|\Z)")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_PAGE_SIZE = 1000
_SECONDS = 60


class LeakError(Exception):
    """Something that should have been replaced is left in a recording."""


@dataclass(frozen=True, slots=True)
class Service:
    """Where jobs and logs are read."""

    session: requests.Session
    jobs_url: str
    logs_url: str

    def get_job(self, name: str) -> Json:
        """A CustomJob."""
        answer = self.session.get(f"{self.jobs_url}/v1/{name}", timeout=_SECONDS)
        answer.raise_for_status()
        job: Json = answer.json()
        return job

    def list_entries(self, project: str, job_id: str) -> list[Json]:
        """All log entries of a job, the oldest first."""
        body: Json = {
            "resourceNames": [f"projects/{project}"],
            "filter": f'resource.type="ml_job" AND resource.labels.job_id="{job_id}"',
            "orderBy": "timestamp asc",
            "pageSize": _PAGE_SIZE,
        }
        entries: list[Json] = []
        while True:
            answer = self.session.post(
                f"{self.logs_url}/v2/entries:list", json=body, timeout=_SECONDS
            )
            answer.raise_for_status()
            page = answer.json()
            entries += page.get("entries", [])
            if not page.get("nextPageToken"):
                return entries
            body["pageToken"] = page["nextPageToken"]


def read_recording(service: Service, name: str) -> Json:
    """A job and its log as they are.

    Args:
        service: Where they are.
        name: Resource name of the job.
    """
    project, job_id = name.split("/")[1], name.rsplit("/", 1)[-1]
    return {"job": service.get_job(name), "entries": service.list_entries(project, job_id)}


def replace_words(recording: Json) -> Json:
    """A recording without the names and words of those whose job it was.

    Raises:
        LeakError: If the project or an address is left, rather than that it gets out.
    """
    job, entries = recording["job"], recording["entries"]
    number = job["name"].split("/")[1]
    projects = {entry["logName"].split("/")[1] for entry in entries}
    text = json.dumps(
        {"job": _replace_job(job), "entries": _replace_entries(entries)}, ensure_ascii=False
    ).replace(number, NUMBER)
    for project in projects:
        text = re.sub(rf"(?<![a-z0-9]){re.escape(project)}(?![a-z0-9])", PROJECT, text)
    for word in {number, *projects} - {NUMBER, PROJECT}:
        if word in text:
            raise LeakError(f"{word} is left in the recording of {job['name']}")
    if found := _ADDRESS.search(text):
        raise LeakError(f"{found[0]} is left in the recording of {job['name']}")
    replaced: Json = json.loads(text)
    return replaced


def _replace_job(job: Json) -> Json:
    replaced = {
        **job,
        "displayName": "recorded-job",
        "jobSpec": _replace_spec("", job["jobSpec"]),
    }
    if "error" in job:
        replaced["error"] = {**job["error"], "message": _replace_reason(job["error"]["message"])}
    for name in ("labels", "encryptionSpec", "webAccessUris"):
        replaced.pop(name, None)
    return replaced


def _replace_spec(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in _LEFT_OUT}
        return {key: _replace_spec(key, item) for key, item in kept.items()}
    if name in _COMMANDS:
        return _COMMANDS[name]
    if isinstance(value, list):
        return [_replace_spec(name, item) for item in value]
    if name == "imageUri" and not value.startswith(_KEPT_IMAGES):
        return "registry.example/image:1"
    is_own = isinstance(value, str) and name not in _KEPT_FIELDS
    return "replaced" if is_own else value


def _replace_entries(entries: list[Json]) -> list[Json]:
    nodes: dict[str, str] = {}
    replaced = []
    for number, entry in enumerate(entries, start=1):
        labels = dict(entry.get("labels") or {})
        node = labels.get("compute.googleapis.com/resource_name")
        if node:
            known = nodes.setdefault(node, f"{len(nodes) + 1:02d}")
            labels["compute.googleapis.com/resource_name"] = f"gk3-cml-node-{known}"
            labels["compute.googleapis.com/resource_id"] = f"10000000000000000{known}"
        replaced.append({**entry, "labels": labels, **_replace_payload(entry, number)})
    return replaced


def _replace_payload(entry: Json, number: int) -> Json:
    if "jsonPayload" in entry:
        values = enumerate(entry["jsonPayload"].values())
        return {
            "jsonPayload": {
                f"field{place}": value if isinstance(value, (int, float)) else "text"
                for place, value in values
            }
        }
    text = entry.get("textPayload", "")
    if is_of_service(entry):
        return {"textPayload": _replace_reason(text)}
    if text in _KEPT_LINES or RUNTIME_HEADER.fullmatch(text):
        return {"textPayload": text}
    return {"textPayload": f"line {number}"}


def _replace_reason(text: str) -> str:
    return _PROGRAM_WORDS.sub(r"\1replaced.", text)


def open_google(region: str) -> Service:
    """The real service, with the credentials that Google's libraries find."""
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    credentials, _ = google.auth.default(scopes=scopes)
    session = AuthorizedSession(credentials)
    host = f"https://{region}-aiplatform.googleapis.com"
    return Service(session, host, "https://logging.googleapis.com")


def main(arguments: list[str] | None = None) -> None:
    """Print the recording of a job."""
    parser = argparse.ArgumentParser(description="Print the recording of a job that is over.")
    parser.add_argument("name", help="projects/P/locations/L/customJobs/ID")
    parser.add_argument("--url", help="an emulator, instead of Google Cloud")
    asked = parser.parse_args(arguments)
    if asked.url:
        service = Service(requests.Session(), asked.url, asked.url)
    else:
        service = open_google(asked.name.split("/")[3])
    json.dump(
        replace_words(read_recording(service, asked.name)), sys.stdout, indent=1, ensure_ascii=False
    )
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
