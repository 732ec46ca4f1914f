"""What each route does with a request: one method for each name in the route table."""

import importlib.metadata
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.errors import ApiError, invalid_argument
from vertex_emulator.core.names import Parent, parse_parent, parse_project
from vertex_emulator.core.proto_json import load_body
from vertex_emulator.faults.as_json import fault_from_json, planned_to_json
from vertex_emulator.faults.injection import FaultInjector
from vertex_emulator.faults.kinds import FaultError
from vertex_emulator.faults.plan import FaultPlan
from vertex_emulator.http.calls import Calls
from vertex_emulator.http.messages import ApiRequest, Reply
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
class Services:
    """What the endpoints call."""

    jobs: JobService
    driver: Driver
    logs: JobLogs
    tokens: Tokens
    calls: Calls
    clock: Clock
    faults: FaultPlan
    injector: FaultInjector

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

    def create_job(self, request: ApiRequest) -> Any:
        return self._services.jobs.create(
            _parent(request), load_body(request.body), version=request.path["version"]
        )

    def list_jobs(self, request: ApiRequest) -> Any:
        return self._services.jobs.list(_parent(request), request.query)

    def get_job(self, request: ApiRequest) -> Any:
        return self._services.jobs.get(_parent(request), request.path["job"])

    def cancel_job(self, request: ApiRequest) -> Any:
        load_body(request.body)
        return self._services.jobs.cancel(_parent(request), request.path["job"])

    def delete_job(self, request: ApiRequest) -> Any:
        return self._services.jobs.delete(
            _parent(request), request.path["job"], version=request.path["version"]
        )

    def get_operation(self, request: ApiRequest) -> Any:
        return self._services.jobs.get_operation(_parent(request), request.path["operation"])

    def list_entries(self, request: ApiRequest) -> Any:
        query = read_query(load_body(request.body))
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

    def exchange_token(self, request: ApiRequest) -> Any:
        try:
            form = dict(parse_qsl(request.body.decode("utf-8")))
            return self._services.tokens.exchange(form)
        except OAuthError as refusal:
            return Reply(refusal.to_json(), status=400)
        except UnicodeDecodeError:
            return Reply({"error": "invalid_request"}, status=400)

    def ping_metadata(self, request: ApiRequest) -> Any:
        del request
        return Reply("computeMetadata/\n", headers=_METADATA_HEADERS)

    def read_metadata(self, request: ApiRequest) -> Any:
        if request.headers.get(metadata_server.HEADER.lower()) != metadata_server.FLAVOR:
            text = f"Missing {metadata_server.HEADER}:{metadata_server.FLAVOR} header."
            return Reply(text, status=403, headers=_METADATA_HEADERS)
        value = metadata_server.read_metadata(
            request.path["path"], request.query, self._services.tokens
        )
        if value is None:
            return Reply("not found", status=404, headers=_METADATA_HEADERS)
        return Reply(value, headers=_METADATA_HEADERS)

    def read_health(self, request: ApiRequest) -> Any:
        del request
        return {"status": "ok", "version": importlib.metadata.version("zenml-vertex")}

    def list_calls(self, request: ApiRequest) -> Any:
        del request
        return {"requests": [call.to_json() for call in self._services.calls]}

    def reset(self, request: ApiRequest) -> Any:
        del request
        self._services.reset()
        return {}

    def list_faults(self, request: ApiRequest) -> Any:
        del request
        return planned_to_json(self._services.faults.all())

    def plan_faults(self, request: ApiRequest) -> Any:
        body = load_body(request.body)
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

    def clear_faults(self, request: ApiRequest) -> Any:
        del request
        self._services.faults.clear()
        return {}

    def withdraw_fault(self, request: ApiRequest) -> Any:
        if not self._services.faults.withdraw(request.path["fault"]):
            raise ApiError("NOT_FOUND", "There is no such fault.")
        return {}


def _parent(request: ApiRequest) -> Parent:
    return parse_parent(request.path["project"], request.path["location"])
