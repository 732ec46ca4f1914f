"""The ZenML server's record of step runs: the adapter to ZenML's client."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any
from uuid import UUID

from zenml.client import Client
from zenml.constants import FILTERING_DATETIME_FORMAT
from zenml.enums import ExecutionStatus, MetadataResourceTypes
from zenml.exceptions import IllegalOperationError
from zenml.models import PipelineRunResponse, RunMetadataResource, StepRunResponse
from zenml.models.v2.misc.exception_info import ExceptionInfo
from zenml.orchestrators.publish_utils import (
    publish_pipeline_run_metadata,
    publish_step_run_metadata,
    publish_step_run_status_update,
    step_exception_info,
)

from zenml_vertex.errors import ServerUnreachable, StepRunNotFound, VertexStepOperatorError
from zenml_vertex.following.intents import Intent, Intents
from zenml_vertex.following.metadata import CLIENT_KEY, PARENT_KEY
from zenml_vertex.following.protocols import StepRunNews, StepRunRecord
from zenml_vertex.foreign_text import presentable
from zenml_vertex.job.raised import Raised, read_raised
from zenml_vertex.job.step_status import INACTIVE_STATUSES
from zenml_vertex.steps.server import describe_refusal, server_errors

# Far below the server's own limit for a page.
_PAGE_SIZE = 100
# Their IDs are in the address of a request, which proxies limit to 8 kB.
_FOUND_AT_ONCE = 50
# How much later a write can become visible than one that was made after it.
_COMMIT_LAG = timedelta(seconds=60)
# Vertex AI ends a job after a week, unless its `timeout` says otherwise.
_JOBS_LAST = timedelta(days=30)


class ZenMLStepRuns:
    """Step runs on the active ZenML server; implements `following.protocols.StepRuns`.

    Args:
        component_id: The step operator, to which the metadata belongs.
    """

    def __init__(self, component_id: UUID) -> None:
        self._component_id = component_id
        self._seen_until: dict[str, datetime] = {}
        self._intents = Intents(self._record_intents, _find_signed_by_others)

    @cached_property
    def server_id(self) -> str:
        """ID of the ZenML server."""
        with server_errors():
            return str(Client().zen_store.get_store_info().id)

    def read_metadata(self, step_run_id: str) -> Mapping[str, Any]:
        """The metadata of a step run as it is now."""
        with step_run_errors(step_run_id):
            return Client().get_run_step(UUID(step_run_id)).run_metadata

    def status(self, step_run_id: str) -> str:
        with step_run_errors(step_run_id):
            return Client().get_run_step(UUID(step_run_id), hydrate=False).status.value

    def statuses(self, run_id: str, step_run_ids: Sequence[str]) -> Mapping[str, StepRunNews]:
        if len(step_run_ids) == 1:
            (step_run_id,) = step_run_ids
            with step_run_errors(step_run_id):
                return {
                    step_run_id: _read_news(Client().get_run_step(UUID(step_run_id), hydrate=False))
                }
        with server_errors():
            found = list(_iter_news(UUID(run_id), self._seen_until.get(run_id)))
        if found:
            latest = max(step_run.updated for step_run in found)
            self._seen_until[run_id] = latest - _COMMIT_LAG
        return {str(step_run.id): _read_news(step_run) for step_run in found}

    def read_raised(self, step_run_id: str) -> Raised | None:
        with step_run_errors(step_run_id):
            info = Client().get_run_step(UUID(step_run_id)).exception_info
        if info is None:
            return None
        return read_raised(info.traceback, info.source, info.message, info.user_code_line)

    def read_run_name(self, run_id: UUID) -> str:
        """The name of a pipeline run."""
        with server_errors():
            return Client().get_pipeline_run(run_id, hydrate=False).name

    def find(self, step_run_id: str) -> StepRunRecord | None:
        try:
            with step_run_errors(step_run_id):
                step_run = Client().get_run_step(UUID(step_run_id))
                run = Client().get_pipeline_run(step_run.pipeline_run_id)
        except StepRunNotFound:
            return None
        return _read_record(step_run, run)

    def find_many(self, step_run_ids: Sequence[str]) -> Mapping[str, StepRunRecord | None]:
        found: dict[str, StepRunRecord | None] = {}
        for start in range(0, len(step_run_ids), _FOUND_AT_ONCE):
            ids = step_run_ids[start : start + _FOUND_AT_ONCE]
            with server_errors():
                listed = list(iter_step_runs(id=f"oneof:{json.dumps(ids)}", hydrate=True))
                if not listed:
                    continue
                of_these = sorted({str(step_run.pipeline_run_id) for step_run in listed})
                page = Client().list_pipeline_runs(
                    id=f"oneof:{json.dumps(of_these)}", size=_FOUND_AT_ONCE, hydrate=True
                )
            runs = {run.id: run for run in page.items}
            for step_run in listed:
                if run := runs.get(step_run.pipeline_run_id):
                    found[str(step_run.id)] = _read_record(step_run, run)
        # Lists have those of the active ZenML project only.
        return {each: found[each] if each in found else self.find(each) for each in step_run_ids}

    def iter_elsewhere(self, parent: str) -> Iterator[StepRunResponse]:
        """The step runs of the last weeks whose metadata names another place for their jobs.

        Whoever holds a run's token can write metadata.

        Args:
            parent: The project and region that is known.
        """
        since = datetime.now(timezone.utc) - _JOBS_LAST
        with server_errors():
            for project in Client().list_projects(size=_PAGE_SIZE).items:
                # The server keeps values as JSON.
                yield from iter_step_runs(
                    project=project.id,
                    run_metadata=[f"{PARENT_KEY}:notequals:{json.dumps(parent)}"],
                    created=f"gte:{since.strftime(FILTERING_DATETIME_FORMAT)}",
                    hydrate=True,
                )

    def announce(self, intent: Intent) -> bool:
        return self._intents.announce(intent)

    def _record_intents(self, step_run_ids: Sequence[str], metadata: Mapping[str, Any]) -> None:
        with step_run_errors(" or ".join(step_run_ids)):
            Client().create_run_metadata(
                dict(metadata),
                [
                    RunMetadataResource(id=UUID(each), type=MetadataResourceTypes.STEP_RUN)
                    for each in step_run_ids
                ],
                stack_component_id=self._component_id,
            )

    def record(self, step_run_id: str, metadata: Mapping[str, Any]) -> None:
        with step_run_errors(step_run_id):
            publish_step_run_metadata(UUID(step_run_id), {self._component_id: dict(metadata)})

    def record_on_run(self, run_id: str, metadata: Mapping[str, Any]) -> None:
        with server_errors():
            try:
                publish_pipeline_run_metadata(UUID(run_id), {self._component_id: dict(metadata)})
            except KeyError as error:
                # It was deleted, or it is a proxy that says so while the server restarts.
                raise ServerUnreachable(describe_refusal(error)) from presentable(error)

    def fail(self, step_run_id: str, message: str) -> str:
        return _end(step_run_id, ExecutionStatus.FAILED, message)

    def stop(self, step_run_id: str, message: str) -> str:
        return _end(step_run_id, ExecutionStatus.STOPPED, message)


def _find_signed_by_others(step_run_ids: Sequence[str], mark: str, project: str | None) -> set[str]:
    """Those of some step runs of a project that have been signed without a mark; mostly none.

    A list without entries costs the server half of what reading one step run does.
    """
    with server_errors():
        found = iter_step_runs(
            id=f"oneof:{json.dumps(step_run_ids)}",
            project=project,
            run_metadata=[f"{CLIENT_KEY}:notcontains:{mark}"],
        )
        return {str(step_run.id) for step_run in found}


def _read_record(step_run: StepRunResponse, run: PipelineRunResponse) -> StepRunRecord:
    return StepRunRecord(
        status=step_run.status.value,
        run_status=run.status.value,
        end_time=_read_end_time(step_run),
        run_id=str(run.id),
        metadata=step_run.run_metadata,
        run_metadata=run.run_metadata,
    )


def _read_news(step_run: StepRunResponse) -> StepRunNews:
    return StepRunNews(step_run.status.value, _read_end_time(step_run))


def _read_end_time(step_run: StepRunResponse) -> datetime | None:
    # The server keeps UTC without saying so.
    return step_run.end_time.replace(tzinfo=timezone.utc) if step_run.end_time else None


def _end(step_run_id: str, status: ExecutionStatus, message: str) -> str:
    with step_run_errors(step_run_id):
        try:
            step_run = publish_step_run_status_update(
                UUID(step_run_id),
                status,
                exception_info=ExceptionInfo(traceback=message, message=message),
            )
        except IllegalOperationError:
            # It has finished already: it has reported at last, or ZenML's client has sent
            # the request again after losing the first response.
            step_run = Client().get_run_step(UUID(step_run_id), hydrate=False)
    return step_run.status.value


def _iter_news(run_id: UUID, since: datetime | None) -> Iterator[StepRunResponse]:
    """The step runs of a pipeline run that have recently finished or been told to stop."""
    return iter_step_runs(
        pipeline_run_id=run_id,
        status=f"oneof:{json.dumps(INACTIVE_STATUSES)}",
        updated=f"gte:{since.strftime(FILTERING_DATETIME_FORMAT)}" if since else None,
    )


def iter_step_runs(**filters: Any) -> Iterator[StepRunResponse]:
    """Step runs, those that were updated last at the end.

    Args:
        filters: Those of ZenML's `list_run_steps`.
    """
    number = total = 1
    while number <= total:
        page = Client().list_run_steps(
            page=number, size=_PAGE_SIZE, sort_by="asc:updated", exclude_retried=False, **filters
        )
        yield from page.items
        number, total = number + 1, page.total_pages


@contextmanager
def explained() -> Iterator[None]:
    """Have ZenML publish the reason with a step run that fails before it has a job."""
    try:
        yield
    except VertexStepOperatorError as error:
        step_exception_info.set(ExceptionInfo(traceback=str(error), message=str(error)))
        raise


@contextmanager
def step_run_errors(step_run_id: str) -> Iterator[None]:
    """The same, and StepRunNotFound if the step run was deleted.

    ZenML's client takes every 404 for that, even the one of a proxy while the server
    restarts. So the server is asked for something that always exists.
    """
    with server_errors():
        try:
            yield
        except KeyError as error:
            try:
                Client().zen_store.get_user()
            except KeyError as nothing:
                raise ServerUnreachable(describe_refusal(nothing)) from presentable(error)
            raise StepRunNotFound(
                f"Step run {step_run_id} does not exist on the ZenML server. Was its pipeline run "
                "deleted? `zenml pipeline runs list` shows those that are left."
            ) from presentable(error)
