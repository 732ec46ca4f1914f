"""The step operator: ZenML's verbs, each a few lines that call the rooms that do the work.

ZenML calls `get_docker_builds` when it compiles a pipeline, then for each step
`submit`, and `wait` (static pipelines) or `get_status` again and again (dynamic
ones), `cancel` when a step must end early, and `cleanup_step_submission` at last.

This module is imported in every step container: Google's client is loaded when a
job is submitted or asked about, and not before.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from zenml.config.build_configuration import BuildConfiguration
from zenml.enums import ExecutionStatus
from zenml.exceptions import RunInterruptedException, RunStoppedException
from zenml.stack import Stack, StackValidator
from zenml.step_operators import BaseStepOperator

from zenml_vertex import __version__
from zenml_vertex.cloud import client_required
from zenml_vertex.config import VertexStepOperatorConfig, VertexStepOperatorSettings
from zenml_vertex.errors import ConfigurationError, VertexStepOperatorError
from zenml_vertex.following.ending import cancel_and_verify, cancel_job
from zenml_vertex.following.protocols import SystemClock
from zenml_vertex.following.reporting import (
    BUILTIN_JOB_NAME_KEY,
    JOB_NAME_KEY,
    build_job_metadata,
)
from zenml_vertex.following.submission import submit_job
from zenml_vertex.following.watcher import JobWatcher
from zenml_vertex.job.identity import JobName, build_display_name, build_labels
from zenml_vertex.job.request import build_custom_job
from zenml_vertex.job.rules import advise, check_job
from zenml_vertex.stack_rules import find_stack_problem
from zenml_vertex.step_runs import ZenMLStepRuns

if TYPE_CHECKING:
    from uuid import UUID

    from zenml.config.base_settings import BaseSettings
    from zenml.config.step_configurations import Step
    from zenml.config.step_run_info import StepRunInfo
    from zenml.models import PipelineSnapshotBase, StepRunResponse

    from zenml_vertex.cloud.connection import Connection
    from zenml_vertex.cloud.credentials import ConnectorAccess

logger = logging.getLogger(__name__)

# The built-in operator's key, so that an image it has built is found again.
DOCKER_IMAGE_KEY = "vertex_step_operator"

_INTERRUPTIONS = (KeyboardInterrupt, RunInterruptedException, RunStoppedException, SystemExit)


class VertexStepOperator(BaseStepOperator):
    """Runs a step as a Vertex AI CustomJob."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock = SystemClock()
        self._step_runs = ZenMLStepRuns(self.id)
        self._connections: dict[tuple[str | None, ...], Connection] = {}
        self._watchers: dict[UUID, JobWatcher] = {}
        self._advice_given: set[str] = set()
        # A dynamic pipeline submits on ten threads and asks on another.
        self._lock = threading.RLock()

    @property
    def config(self) -> VertexStepOperatorConfig:
        """What the component was registered with."""
        return cast("VertexStepOperatorConfig", self._config)

    @property
    def settings_class(self) -> "type[BaseSettings] | None":
        """What a step may set."""
        return VertexStepOperatorSettings

    @property
    def requirements(self) -> set[str]:
        """What the images of a stack with this component need: this package, nothing of Google."""
        return {f"zenml-vertex=={__version__}"}

    @property
    def validator(self) -> StackValidator | None:
        """Refuses a stack whose parts a Vertex AI job could not reach."""

        def validate(stack: Stack) -> tuple[bool, str]:
            problem = find_stack_problem(stack)
            return problem is None, problem or ""

        return StackValidator(custom_validation_function=validate)

    def get_docker_builds(self, snapshot: "PipelineSnapshotBase") -> list[BuildConfiguration]:
        """One image per step that runs here, after a look at what each of them asks for.

        ZenML calls this before it builds anything, so this is where a mistake in
        the settings is cheapest.

        Raises:
            ConfigurationError: If a step's settings cannot work.
            CredentialsError: If the component's project is not its connector's.
        """
        steps = {
            name: step
            for name, step in snapshot.step_configurations.items()
            if step.config.uses_step_operator(self.name)
        }
        for name, step in steps.items():
            self._check_settings(step, name)
        return [
            BuildConfiguration(
                key=DOCKER_IMAGE_KEY, settings=step.config.docker_settings, step_name=name
            )
            for name, step in steps.items()
        ]

    def submit(
        self, info: "StepRunInfo", entrypoint_command: list[str], environment: dict[str, str]
    ) -> None:
        """Create the job of a step run and record its name there.

        Args:
            info: The step run.
            entrypoint_command: Command of the container.
            environment: Environment variables of the container.

        Raises:
            ConfigurationError: If the settings cannot work.
            CredentialsError: If there is no identity, or no project.
            VertexApiError: If Vertex AI does not take the job.
            RunStoppedException: After Ctrl-C or SIGTERM; no job is left behind.
        """
        with self._stopping_when_interrupted(info.step_run_id):
            settings = self._check_settings(info, info.pipeline_step_name)
            connection = self._connect(settings)
            job = build_custom_job(
                settings,
                display_name=build_display_name(info.run_name, info.pipeline_step_name),
                image=_find_image(info),
                command=entrypoint_command,
                environment=environment,
                labels=build_labels(
                    run_id=str(info.run_id),
                    step_run_id=str(info.step_run_id),
                    step_name=info.pipeline_step_name,
                    pipeline_name=info.pipeline.name,
                    version=__version__,
                ),
                gpu_count=info.config.resource_settings.gpu_count,
            )
            info.force_write_logs()
            name = submit_job(
                connection.jobs,
                self._step_runs,
                parent=connection.parent,
                job=job,
                step_run_id=str(info.step_run_id),
            )
            info.step_run.run_metadata.update(build_job_metadata(name))
            logger.info(
                "Vertex AI job %s runs step `%s`: %s",
                name,
                info.pipeline_step_name,
                name.console_url,
            )

    def get_status(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """The status of a submitted step run now; dynamic pipelines ask for it.

        Returns:
            PROVISIONING, RUNNING, COMPLETED, FAILED or STOPPED. In the last two
            cases the step run on the server says why.

        Raises:
            VertexStepOperatorError: If it cannot be told now; ZenML then asks again.
        """
        watcher = self._watch(step_run)
        return ExecutionStatus(watcher.look()) if watcher else self._fail_without_job(step_run)

    def wait(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """Follow a submitted step run to its end; static pipelines call it.

        Whatever interrupts it ends the job too.

        Returns:
            COMPLETED, FAILED or STOPPED.

        Raises:
            RunStoppedException: After Ctrl-C, SIGTERM or a stop of the run. ZenML
                retries a step after any other exception.
        """
        watcher = self._watch(step_run)
        if watcher is None:
            return self._fail_without_job(step_run)
        with self._stopping_when_interrupted(step_run.id):
            try:
                return ExecutionStatus(watcher.follow())
            except BaseException as error:
                logger.info(
                    "%s: cancelling Vertex AI job %s.", type(error).__name__, watcher.name.job_id
                )
                cancel_and_verify(watcher.jobs, watcher.name, self._clock)
                watcher.is_over = True
                raise

    def cancel(self, step_run: "StepRunResponse") -> None:
        """Ask for the job of a step run to be cancelled; `get_status` tells when it is over."""
        watcher = self._watch(step_run)
        if watcher:
            logger.info("Cancelling Vertex AI job %s.", watcher.name.job_id)
            cancel_job(watcher.jobs, watcher.name)

    def cleanup_step_submission(self, step_run: "StepRunResponse") -> None:
        """Make sure that the job of a finished step run does not go on without it.

        A step that succeeded ends its container by itself.
        """
        watcher = self._watchers.pop(step_run.id, None)
        if watcher is None or watcher.is_over:
            return
        with self._stopping_when_interrupted(step_run.id):
            status = self._step_runs.status(str(step_run.id))
            if not ExecutionStatus(status).is_successful:
                cancel_job(watcher.jobs, watcher.name)

    @contextmanager
    def _stopping_when_interrupted(self, step_run_id: "UUID") -> Iterator[None]:
        """Let an interruption be the end of the step, however often Ctrl-C is pressed.

        `RunStoppedException` is the only exception after which ZenML does not retry
        the step, which would start another job.
        """
        try:
            yield
        except _INTERRUPTIONS as interruption:
            reason = type(interruption).__name__
            try:
                self._step_runs.stop(str(step_run_id), f"The step was interrupted ({reason}).")
            except VertexStepOperatorError as error:
                logger.warning("The step run could not be marked as stopped: %s", error)
            finally:
                # ZenML shows the whole chain, and where it was interrupted helps nobody.
                raise RunStoppedException(f"The step was interrupted ({reason}).") from None

    def _check_settings(
        self, container: "Step | StepRunInfo", step_name: str
    ) -> VertexStepOperatorSettings:
        """The settings of a step over the component's, after every check that needs no network."""
        from zenml_vertex.cloud.key_file import find_key_file_problem

        settings = cast("VertexStepOperatorSettings", self.get_settings(container))
        resources = container.config.resource_settings
        check_job(settings, gpu_count=resources.gpu_count, where=f"step `{step_name}`")
        if settings.service_account_path and not self.connector:
            problem = find_key_file_problem(settings.service_account_path)
            if problem:
                raise ConfigurationError([problem], where=f"step `{step_name}`")
        self._check_connector(settings)
        advice = advise(settings, gpu_count=resources.gpu_count)
        if resources.cpu_count or resources.memory:
            advice.append(
                "`cpu_count` and `memory` of ResourceSettings choose no machine here. Write "
                "machine_type='n1-standard-8', or what fits."
            )
        for text in advice:
            self._advise_once(f"Step `{step_name}`: {text}")
        return settings

    def _check_connector(self, settings: VertexStepOperatorSettings) -> None:
        if self.connector and settings.project:
            with client_required():
                from zenml_vertex.cloud.credentials import check_connector_project

            check_connector_project(settings.project, self._access_connector().project)

    def _advise_once(self, text: str) -> None:
        if text not in self._advice_given:
            self._advice_given.add(text)
            logger.warning("%s", text)

    def _connect(
        self, settings: VertexStepOperatorSettings, region: str | None = None
    ) -> "Connection":
        """A connection for these settings; one per region, project and identity."""
        with client_required():
            from zenml_vertex.cloud.connection import connect

        place = region or settings.region or self.config.region
        key = (place, settings.project, settings.service_account_path, settings.api_endpoint)
        with self._lock:
            if key not in self._connections:
                self._connections[key] = connect(
                    region=place,
                    project=settings.project,
                    key_file=settings.service_account_path,
                    api_endpoint=settings.api_endpoint,
                    connector=self._access_connector() if self.connector else None,
                )
            return self._connections[key]

    def _access_connector(self) -> "ConnectorAccess":
        with client_required():
            from zenml_vertex.cloud.connector import access_connector

        return access_connector(self)

    def _watch(self, step_run: "StepRunResponse") -> JobWatcher | None:
        """The watcher of a step run's job; None if no job was recorded on it.

        The dynamic runner asks the stack's default step operator also for steps of
        another one, so the job's own name says in which region it is.
        """
        with self._lock:
            if step_run.id not in self._watchers:
                recorded = _find_job_name(step_run)
                if recorded is None:
                    return None
                name = JobName.parse(recorded)
                settings = cast("VertexStepOperatorSettings", self.get_settings(step_run))
                self._watchers[step_run.id] = JobWatcher(
                    jobs=self._connect(settings, name.location).jobs,
                    step_runs=self._step_runs,
                    clock=self._clock,
                    name=name,
                    step_run_id=str(step_run.id),
                    reports_itself=step_run.config.command is None,
                )
            return self._watchers[step_run.id]

    def _fail_without_job(self, step_run: "StepRunResponse") -> ExecutionStatus:
        message = (
            f"Step `{step_run.name}` has no Vertex AI job: the process that should have submitted "
            "it ended before it did. Run the step again."
        )
        logger.error("%s", message)
        self._step_runs.fail(str(step_run.id), message)
        return ExecutionStatus.FAILED


def _find_job_name(step_run: "StepRunResponse") -> str | None:
    metadata = step_run.run_metadata
    found = metadata.get(JOB_NAME_KEY) or metadata.get(BUILTIN_JOB_NAME_KEY)
    return str(found) if found else None


def _find_image(info: "StepRunInfo") -> str:
    """The image of a step.

    Raises:
        VertexStepOperatorError: If none was built, and none is named.
    """
    docker_settings = info.config.docker_settings
    if docker_settings.skip_build and docker_settings.parent_image:
        # A dynamic pipeline may have no build at all then, and ZenML asks for one.
        return docker_settings.parent_image
    try:
        return info.get_image(key=DOCKER_IMAGE_KEY)
    except (KeyError, RuntimeError) as error:
        raise VertexStepOperatorError(
            f"No image for step `{info.pipeline_step_name}`: {error} In a dynamic pipeline, name "
            "the step in `@pipeline(depends_on=[...])` so that its image is built."
        ) from error
