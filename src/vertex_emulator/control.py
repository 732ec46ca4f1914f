"""What each route does with a question: one method for each name in the route table."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.errors import ApiError, invalid_argument
from vertex_emulator.core.names import Parent, parse_parent, parse_project
from vertex_emulator.core.proto_json import load_body
from vertex_emulator.faults.as_json import fault_from_json, planned_to_json
from vertex_emulator.faults.errors import FaultError
from vertex_emulator.faults.injection import FaultEdge
from vertex_emulator.faults.plan import FaultPlan
from vertex_emulator.http.calls import Calls
from vertex_emulator.identity import metadata_server
from vertex_emulator.identity.tokens import OAuthError, Tokens
from vertex_emulator.jobs.driver import Driver
from vertex_emulator.jobs.service import JobService
from vertex_emulator.logs.entries import JobLogs
from vertex_emulator.logs.queries import list_entries, read_query, wanted_job_ids

_METADATA_HEADERS = {
    metadata_server.HEADER: metadata_server.FLAVOR,
    "Server": "Metadata Server for VM",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A request, as far as endpoints look at it.

    Args:
        path: Parts of the path by their names in the route.
        query: Parameters.
        headers: In lower case.
        body: Bytes of the body.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not simply JSON with 200.

    Args:
        content: Text, or an object to be written as JSON.
        status: HTTP status.
        headers: More headers.
    """

    content: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Services:
    """What the endpoints call."""

    jobs: JobService
    driver: Driver
    logs: JobLogs
    tokens: Tokens
    calls: Calls
    clock: Clock
    faults: FaultPlan
    edge: FaultEdge

    def reset(self) -> None:
        """End and forget all jobs, logs, tokens, calls and faults."""
        self.faults.clear()
        self.driver.clear()
        self.tokens.clear()
        self.calls.clear()


class Endpoints:
    """One method for each name in the route table."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def create_job(self, asked: Question) -> Any:
        return self._services.jobs.create(
            _parent(asked), load_body(asked.body), version=asked.path["version"]
        )

    def list_jobs(self, asked: Question) -> Any:
        return self._services.jobs.list(_parent(asked), asked.query)

    def get_job(self, asked: Question) -> Any:
        return self._services.jobs.get(_parent(asked), asked.path["job"])

    def cancel_job(self, asked: Question) -> Any:
        load_body(asked.body)
        return self._services.jobs.cancel(_parent(asked), asked.path["job"])

    def delete_job(self, asked: Question) -> Any:
        return self._services.jobs.delete(
            _parent(asked), asked.path["job"], version=asked.path["version"]
        )

    def get_operation(self, asked: Question) -> Any:
        return self._services.jobs.get_operation(_parent(asked), asked.path["operation"])

    def list_entries(self, asked: Question) -> Any:
        query = read_query(load_body(asked.body))
        names = query.get("resourceNames", []) + [
            f"projects/{project}" for project in query.get("projectIds", [])
        ]
        if not names:
            raise invalid_argument("The `resourceNames` of the request are empty.")
        numbers = {
            parse_project(parts[1])
            for name in names
            if (parts := name.split("/"))[0] == "projects" and len(parts) > 1
        }
        job_ids = wanted_job_ids(query.get("filter", ""))
        entries = [
            entry
            for job in self._services.driver.all()
            if job.number in numbers and (job_ids is None or job.job_id in job_ids)
            for entry in self._services.logs.entries_of(job.job_id)
        ]
        return list_entries(entries, query)

    def exchange_token(self, asked: Question) -> Any:
        try:
            form = dict(parse_qsl(asked.body.decode("utf-8")))
            return self._services.tokens.exchange(form)
        except OAuthError as refusal:
            return Reply(refusal.to_json(), status=400)
        except UnicodeDecodeError:
            return Reply({"error": "invalid_request"}, status=400)

    def ping_metadata(self, asked: Question) -> Any:
        del asked
        return Reply("computeMetadata/\n", headers=_METADATA_HEADERS)

    def read_metadata(self, asked: Question) -> Any:
        if asked.headers.get(metadata_server.HEADER.lower()) != metadata_server.FLAVOR:
            text = f"Missing {metadata_server.HEADER}:{metadata_server.FLAVOR} header."
            return Reply(text, status=403, headers=_METADATA_HEADERS)
        value = metadata_server.read_metadata(
            asked.path["path"], asked.query, self._services.tokens
        )
        if value is None:
            return Reply("not found", status=404, headers=_METADATA_HEADERS)
        return Reply(value, headers=_METADATA_HEADERS)

    def read_health(self, asked: Question) -> Any:
        del asked
        return {"status": "ok", "version": importlib.metadata.version("zenml-vertex")}

    def list_calls(self, asked: Question) -> Any:
        del asked
        return {"requests": [call.to_json() for call in self._services.calls]}

    def reset(self, asked: Question) -> Any:
        del asked
        self._services.reset()
        return {}

    def list_faults(self, asked: Question) -> Any:
        del asked
        return planned_to_json(self._services.faults.all())

    def plan_faults(self, asked: Question) -> Any:
        body = load_body(asked.body)
        wanted = body.get("faults")
        if not isinstance(wanted, list) or not wanted:
            raise invalid_argument('The body must be {"faults": [...]}, with one at least.')
        seed = body.get("seed")
        if not isinstance(seed, int | None) or isinstance(seed, bool):
            raise invalid_argument("seed: must be a whole number.")
        try:
            faults = [fault_from_json(item) for item in wanted]
            return planned_to_json(self._services.faults.plan_all(faults, seed=seed))
        except FaultError as error:
            raise invalid_argument(str(error)) from error

    def clear_faults(self, asked: Question) -> Any:
        del asked
        self._services.faults.clear()
        return {}

    def withdraw_fault(self, asked: Question) -> Any:
        if not self._services.faults.withdraw(asked.path["fault"]):
            raise ApiError("NOT_FOUND", "There is no such fault.")
        return {}


def _parent(asked: Question) -> Parent:
    return parse_parent(asked.path["project"], asked.path["location"])
