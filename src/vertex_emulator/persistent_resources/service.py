"""The PersistentResourceService: what each call does, without HTTP.

Vertex API reference, `projects.locations.persistentResources`. Operations, their names and texts
as recorded: https://github.com/GoogleCloudPlatform/k8s-config-connector, `_http.log` of
aiplatformpersistentresource; the texts of updates and reboots are made up.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

from vertex_emulator.core.errors import ApiError, Json, found_errors
from vertex_emulator.core.names import Parent
from vertex_emulator.core.operation_documents import EMPTY, Progress
from vertex_emulator.core.operations import Kind, Operations
from vertex_emulator.core.pages import Position, read_page_size, read_page_token, take_page
from vertex_emulator.core.proto_json import mask_message
from vertex_emulator.core.timer import Timer
from vertex_emulator.core.times import format_time
from vertex_emulator.jobs.driver import Driver
from vertex_emulator.jobs.events import CancelRequested, End, Restart
from vertex_emulator.jobs.states import JobState
from vertex_emulator.jobs.warm_machines import count_used
from vertex_emulator.persistent_resources import rules
from vertex_emulator.persistent_resources.fitting import not_found, not_in_state, refuse_too_few
from vertex_emulator.persistent_resources.incidents import Fail, ResourceAct
from vertex_emulator.persistent_resources.messages import read_resource, read_update_mask
from vertex_emulator.persistent_resources.resource import (
    COLLECTION,
    PersistentResource,
    fill_defaults,
)
from vertex_emulator.persistent_resources.scripts import ResourceScripts
from vertex_emulator.persistent_resources.states import ResourceState
from vertex_emulator.persistent_resources.table import ResourceTable
from vertex_emulator.persistent_resources.timings import ResourceTimings

# Not documented; that of jobs.
MAX_PAGE_SIZE = 100

_TYPE = "type.googleapis.com/google.cloud.aiplatform.{}.PersistentResource"
RECEIVED = "Create PersistentResource request received. Checking project configuration and quota..."
WAITING = "Waiting for persistent resource to be ready."
READY = "Your persistent resource is ready."
# The part of a create in which the project is checked; how long that takes is not known.
_CHECKING = 0.02
# google.rpc.Code
_NOT_FOUND = 5


class PersistentResourceService:
    """The calls of the service; safe to use from several threads.

    Args:
        table: Keeps the persistent resources.
        driver: Runs the jobs on them.
        operations: Where creating, updating and rebooting one goes on.
        timer: Where time comes from.
        timings: How long that takes.
        scripts: Where planned incidents come from.
    """

    def __init__(
        self,
        *,
        table: ResourceTable,
        driver: Driver,
        operations: Operations,
        timer: Timer,
        timings: ResourceTimings,
        scripts: ResourceScripts,
    ) -> None:
        self._table = table
        self._driver = driver
        self._operations = operations
        self._timer = timer
        self._timings = timings
        self._scripts = scripts
        # Taken before the driver's, never after it.
        self._lock = threading.RLock()
        self._is_crashed = False
        table.on_left = self._plan_deletion
        for verb in ("Create", "Update", "Reboot"):
            operations.define(_kind_of(verb), Kind(end=self._end_operation))
        operations.define(_kind_of("Delete"), Kind(end=self._say_deleted))

    def create(self, parent: Parent, resource_id: str, body: Json, *, version: str) -> Json:
        """Create a persistent resource, and return the operation.

        Raises:
            ApiError: INVALID_ARGUMENT for one that breaks rules, ALREADY_EXISTS,
                or UNIMPLEMENTED for what the emulator does not have.
        """
        request = read_resource(body, beta=version == "v1beta1")
        if violations := rules.find_violations(request, resource_id, parent.location):
            raise found_errors(violations)
        name = f"{parent}/{COLLECTION}/{resource_id}"
        now = self._timer.now()
        with self._lock:
            if self._table.get(name):
                # Neither documented nor recorded.
                text = f"The PersistentResource {name} already exists."
                raise ApiError("ALREADY_EXISTS", text)
            resource = PersistentResource(
                name=name,
                request=fill_defaults(request, resource_id),
                create_time=now,
                update_time=now,
                stage_time=now,
            )
            resource = replace(resource, script=self._scripts.write(resource))
            seconds = self._timings.provisioning
            progress = [Progress(0, RECEIVED)]
            if seconds:
                progress.append(Progress(seconds * _CHECKING, WAITING))
            return self._begin(resource, "Create", version, seconds, progress)

    def get(self, parent: Parent, resource_id: str) -> Json:
        """A persistent resource.

        Raises:
            ApiError: NOT_FOUND.
        """
        return self._show(self._find(parent, resource_id))

    def find_resource(self, resource_id: str) -> PersistentResource | None:
        """A persistent resource of any project and region by its ID, for the fault plan."""
        found = (one for one in self._table.all() if one.resource_id == resource_id)
        return next(found, None)

    def list(self, parent: Parent, query: Mapping[str, str]) -> Json:
        """A page of persistent resources, the newest first, which is assumed.

        Raises:
            ApiError: INVALID_ARGUMENT for an invalid page size or token.
        """
        size = read_page_size(query.get("pageSize") or 0, MAX_PAGE_SIZE, MAX_PAGE_SIZE)
        last = read_page_token(query.get("pageToken", ""), str(parent))
        there = (one for one in self._table.all() if one.parent == str(parent))
        newest = sorted(there, key=_position_of, reverse=True)
        rest = [one for one in newest if last is None or _position_of(one) < last]
        page, token = take_page(rest, size, _position_of, str(parent))
        answer: Json = {}
        if page:
            answer["persistentResources"] = [self._show(one) for one in page]
        if token:
            answer["nextPageToken"] = token
        return answer

    def update(
        self, parent: Parent, resource_id: str, mask: str, body: Json, *, version: str
    ) -> Json:
        """Change what the mask names, and return the operation.

        Raises:
            ApiError: NOT_FOUND, INVALID_ARGUMENT, or FAILED_PRECONDITION for a resource that is
                not RUNNING or whose jobs have more machines than it is to have.
        """
        wanted = read_resource(body, beta=version == "v1beta1")
        paths = read_update_mask(mask)
        with self._lock:
            resource = self._find(parent, resource_id)
            changed = {**resource.request}
            for path in paths:
                changed.pop(path[0], None)
            masked = mask_message(wanted, [path[:1] for path in paths])
            changed |= masked
            violations = rules.find_content_violations(changed, parent.location)
            if not violations:
                changed = fill_defaults(changed, resource_id)
                violations = [*rules.find_unchangeable(paths, resource.request, changed)]
            if violations:
                raise found_errors(violations)
            if resource.state is not ResourceState.RUNNING:
                raise not_in_state(resource, "be updated")
            updated = replace(resource, request=changed)
            self._refuse_too_few(updated)
            begun = replace(resource, state=ResourceState.UPDATING, update=changed)
            return self._begin(begun, "Update", version, self._timings.updating)

    def delete(self, parent: Parent, resource_id: str, *, version: str) -> Json:
        """Delete a persistent resource, cancel the jobs on it, and return the operation.

        It is done in the answer, as recorded. That it is STOPPING as long as jobs on it have
        not ended, and the operation with it, is assumed.

        Raises:
            ApiError: NOT_FOUND, or FAILED_PRECONDITION for one that is neither RUNNING nor in
                ERROR, which is assumed.
        """
        with self._lock:
            resource = self._find(parent, resource_id)
            if resource.state not in {ResourceState.RUNNING, ResourceState.ERROR}:
                raise not_in_state(resource, "be deleted")
            metadata = f"google.cloud.aiplatform.{version}.DeleteOperationMetadata"
            kind = _kind_of("Delete")
            operation = self._operations.begin(
                str(parent), metadata, kind=kind, target=resource.name
            )
            self._put(replace(resource, state=ResourceState.STOPPING, operation=operation["name"]))
            self._cancel_jobs(resource.name)
            return self._end_deletion(resource.name) or operation

    def reboot(self, parent: Parent, resource_id: str, *, version: str) -> Json:
        """Reboot a persistent resource, and return the operation.

        https://cloud.google.com/vertex-ai/docs/training/persistent-resource-reboot

        Raises:
            ApiError: NOT_FOUND, or FAILED_PRECONDITION for one that is neither RUNNING nor in
                ERROR, or that has jobs.
        """
        with self._lock:
            resource = self._find(parent, resource_id)
            if resource.state not in {ResourceState.RUNNING, ResourceState.ERROR}:
                raise not_in_state(resource, "be rebooted")
            if self._driver.find_on(resource.name):
                raise ApiError(
                    "FAILED_PRECONDITION",
                    f'The PersistentResource "{resource.name}" has jobs that have not '
                    "ended and cannot be rebooted.",
                )
            begun = replace(resource, state=ResourceState.REBOOTING)
            return self._begin(begun, "Reboot", version, self._timings.rebooting)

    def start(self) -> None:
        """Go on with what an earlier emulator has begun, once the driver has loaded both."""
        with self._lock:
            for resource in self._table.all():
                self._set_timer(resource)
                if resource.state is ResourceState.STOPPING:
                    # A crash may have come before all were.
                    self._cancel_jobs(resource.name)
                elif resource.state is ResourceState.ERROR:
                    self._fail_jobs(resource)
                # Its jobs may have ended just before a crash.
                self._plan_deletion(resource.name)

    def clear(self) -> None:
        """Forget every persistent resource."""
        with self._lock:
            for resource in self._table.all():
                self._timer.cancel((COLLECTION, resource.name))
                self._table.remove(resource.name)

    def crash(self) -> None:
        """Do nothing from now on."""
        self._is_crashed = True

    def add_script(self, name: str, acts: tuple[ResourceAct, ...]) -> None:
        """Add acts to the script of a persistent resource."""
        with self._lock:
            if resource := self._table.get(name):
                self._put(replace(resource, script=(*resource.script, *acts)))

    def _begin(
        self,
        resource: PersistentResource,
        verb: str,
        version: str,
        seconds: float,
        progress: Sequence[Progress] = (),
    ) -> Json:
        operation = self._operations.begin(
            resource.parent,
            f"google.cloud.aiplatform.{version}.{verb}PersistentResourceOperationMetadata",
            owner=resource.name,
            kind=_kind_of(verb),
            target=resource.name,
            seconds=seconds,
            progress=progress or (Progress(0, f"{verb} PersistentResource request received."),),
        )
        self._put(replace(resource, operation=operation["name"]))
        return operation

    def _end_operation(self, operation: Json, name: str) -> None:
        """The time of a create, update or reboot has come."""
        with self._lock:
            # What is planned for the same moment comes first.
            self._do_due(name)
            resource = self._table.get(name)
            if resource is None or resource.operation != operation["name"]:
                # Nothing happens to an operation that has ended.
                error = {"code": _NOT_FOUND, "message": not_found().message}
                self._operations.fail(operation["name"], error)
                return
            now = self._timer.now()
            first = resource.start_time is None
            running = replace(
                resource,
                state=ResourceState.RUNNING,
                request=resource.update or resource.request,
                update=None,
                error=None,
                start_time=resource.start_time or now,
                stage_time=now if first else resource.stage_time,
            )
            self._put(running)
            version = operation["metadata"]["@type"].split(".")[-2]
            response = {"@type": _TYPE.format(version), "name": name}
            self._operations.finish(operation["name"], response, message=READY)
        self._driver.admit(name)

    def _cancel_jobs(self, name: str) -> None:
        """Cancel the jobs on a resource, and those that wait for it."""
        for job in self._driver.find_on(name):
            self._driver.apply(job.job_id, CancelRequested())

    def _plan_deletion(self, name: str) -> None:
        """End a deletion soon: the driver calls this under its lock."""
        resource = self._table.get(name)
        if resource and resource.state is ResourceState.STOPPING:
            key = (COLLECTION, name, "deletion")
            self._timer.set(key, self._timer.now(), lambda: self._end_deletion(name))

    def _end_deletion(self, name: str) -> Json | None:
        """Remove a resource that is to be deleted, once no job is on it any more."""
        with self._lock:
            resource = self._table.get(name)
            is_due = resource and resource.state is ResourceState.STOPPING
            if not resource or not is_due or self._is_crashed or self._driver.find_on(name):
                return None
            self._timer.cancel((COLLECTION, name))
            self._table.remove(name)
            return self._operations.finish(resource.operation, EMPTY)

    def _say_deleted(self, operation: Json, name: str) -> None:
        """End a deletion whose resource was removed just before a crash."""
        with self._lock:
            if self._table.get(name) is None:
                self._operations.finish(operation["name"], EMPTY)

    def _do_due(self, name: str) -> None:
        """Do what the script of a resource has for now."""
        with self._lock:
            while not self._is_crashed and (resource := self._table.get(name)):
                found = resource.next_act()
                if found is None or found[1] > self._timer.now():
                    self._set_timer(resource)
                    return
                act = found[0]
                script = tuple(other for other in resource.script if other is not act)
                self._do(replace(resource, script=script), act)
                self._scripts.happened(act.fault)

    def _do(self, resource: PersistentResource, act: ResourceAct) -> None:
        incident = act.incident
        if not isinstance(incident, Fail):
            self._put(resource)
            restart = Restart(incident.cause, incident.limit, incident.error, at_once=True)
            for job in self._driver.find_on(resource.name):
                if job.holds_machines:
                    self._driver.apply(job.job_id, restart)
            return
        operation = resource.operation
        failed = replace(resource, state=ResourceState.ERROR, error=incident.error)
        self._put(replace(failed, operation="", update=None))
        if operation:
            self._operations.fail(operation, incident.error)
        self._fail_jobs(failed)

    def _fail_jobs(self, resource: PersistentResource) -> None:
        """Fail the jobs on a resource that is in ERROR."""
        end = End(JobState.FAILED, resource.error or {}, at_once=True)
        for job in self._driver.find_on(resource.name):
            self._driver.apply(job.job_id, end)

    def _put(self, resource: PersistentResource) -> None:
        self._table.put(replace(resource, update_time=self._timer.now()))
        self._set_timer(resource)

    def _set_timer(self, resource: PersistentResource) -> None:
        found = resource.next_act()
        moment = found[1] if found else None
        name = resource.name
        self._timer.set((COLLECTION, name), moment, lambda: self._do_due(name))

    def _show(self, resource: PersistentResource) -> Json:
        jobs = self._driver.find_on(resource.name)
        return resource.to_json(count_used(jobs, resource.pools))

    def _refuse_too_few(self, updated: PersistentResource) -> None:
        """Refuse an update that leaves fewer machines than jobs have; assumed."""
        jobs = self._driver.find_on(updated.name)
        before = self._table.get(updated.name)
        refuse_too_few(updated, count_used(jobs, before.pools if before else ()))

    def _find(self, parent: Parent, resource_id: str) -> PersistentResource:
        resource = self._table.get(f"{parent}/{COLLECTION}/{resource_id}")
        if resource is None:
            raise not_found()
        return resource


def _position_of(resource: PersistentResource) -> Position:
    return format_time(resource.create_time), resource.resource_id


def _kind_of(verb: str) -> str:
    return f"{COLLECTION}.{verb.lower()}"
