"""The step operator: ZenML's verbs, each a few lines that call the modules that do the work.

ZenML calls `get_docker_builds` when it compiles a pipeline, then for each step
`submit`, and `wait` (static pipelines) or `get_status` repeatedly (dynamic ones),
`cancel` when a step must end early, and finally `cleanup_step_submission`.

This module is imported by every process that loads a stack with the component, and in every
step's container. What only a process with steps needs is imported with the first of them, and
Google's client when a job is first submitted or read.
"""

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from zenml.config.build_configuration import BuildConfiguration
from zenml.enums import ExecutionStatus
from zenml.stack import StackValidator
from zenml.step_operators import BaseStepOperator

from zenml_vertex.clock import Clock, SystemClock
from zenml_vertex.cloud import client_required
from zenml_vertex.config import VertexStepOperatorConfig, VertexStepOperatorSettings
from zenml_vertex.steps.connections import SHARED, ConnectionKey, ConnectionPool

if TYPE_CHECKING:
    from zenml.config.base_settings import BaseSettings
    from zenml.config.step_run_info import StepRunInfo
    from zenml.models import PipelineSnapshotBase, StepRunResponse
    from zenml.step_operators.step_operator_entrypoint_configuration import (
        StepOperatorEntrypointConfiguration,
    )

    from zenml_vertex.cloud.connection import Connection
    from zenml_vertex.cloud.credentials import ConnectorAccess
    from zenml_vertex.following.watcher import Watcher
    from zenml_vertex.steps.preflight import Preflight
    from zenml_vertex.steps.records import ZenMLStepRuns
    from zenml_vertex.steps.running import RunningSteps
    from zenml_vertex.steps.written_settings import WrittenSettings


class VertexStepOperator(BaseStepOperator):
    """Runs a step as a Vertex AI CustomJob.

    Args:
        clock: Where time comes from; the machine's own by default, which ZenML uses.
        pool: Connections and watchers; those of the process by default.
    """

    def __init__(
        self, *args: Any, clock: Clock | None = None, pool: ConnectionPool = SHARED, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._clock = clock or SystemClock()
        self._pool = pool.open()
        self._preflight: Preflight | None = None
        self._step_runs: ZenMLStepRuns | None = None
        self._steps: RunningSteps | None = None
        # A dynamic pipeline submits on ten threads and asks on another.
        self._lock = threading.RLock()

    @property
    def config(self) -> VertexStepOperatorConfig:
        """What the component was registered with."""
        return cast("VertexStepOperatorConfig", self._config)

    @property
    def settings_class(self) -> "type[BaseSettings] | None":
        """What a step may set, as ZenML converts it; `get_settings` reads it."""
        from zenml_vertex.steps.written_settings import WrittenSettings

        return WrittenSettings

    def get_settings(self, container: Any) -> VertexStepOperatorSettings:
        """The settings of a step over those of the component.

        What is wrong with them is found by `to_job_fields`.

        Args:
            container: The step's configuration, or a run of it.
        """
        return cast("WrittenSettings", super().get_settings(container)).over(self.config).read()

    @property
    def entrypoint_config_class(self) -> "type[StepOperatorEntrypointConfiguration]":
        """What runs a step in its container: ZenML's own entrypoint, once."""
        from zenml_vertex.container.entrypoint import VertexStepEntrypointConfiguration

        return VertexStepEntrypointConfiguration

    @property
    def requirements(self) -> set[str]:
        """What the images of a stack with this component need: this package, without Google's."""
        from zenml_vertex.steps.own_package import find_image_parts

        return set(find_image_parts().requirements)

    @property
    def validator(self) -> StackValidator | None:
        """Refuses a stack whose parts a Vertex AI job could not reach."""
        from zenml_vertex.steps.preflight import build_stack_validator

        return build_stack_validator()

    def get_docker_builds(self, snapshot: "PipelineSnapshotBase") -> list[BuildConfiguration]:
        """One image for each step that runs here, after checking what each of them asks for.

        ZenML calls this before it builds anything, so this is where a mistake in the
        settings costs least.

        Raises:
            ConfigurationError: If a step's settings cannot work.
            CredentialsError: If the component's project is not its connector's.
        """
        from zenml_vertex.steps.images import build_configurations, is_making_images

        steps = {
            name: step
            for name, step in snapshot.step_configurations.items()
            if step.config.uses_step_operator(self.name)
        }
        self.preflight.say_which(steps, snapshot.step_configurations)
        for name, step in steps.items():
            self.preflight.check_build(step, name)
        builds = build_configurations(steps, makes_images=is_making_images())
        if steps:
            # Last: a thread that imports slows down other code that reads many files.
            self._pool.prepare()
        return builds

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
            VertexApiError: If Vertex AI rejects the job.
            RunStoppedException: After Ctrl-C or SIGTERM; no job is left behind.
        """
        self._running.submit(info, entrypoint_command, environment)

    def get_status(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """The current status of a submitted step run; dynamic pipelines ask for it.

        Returns:
            PROVISIONING, RUNNING, COMPLETED, FAILED or STOPPED. For the last two, the step
            run on the server has the reason.

        Raises:
            VertexStepOperatorError: If it is not known now; ZenML then asks again.
        """
        return self._running.get_status(step_run)

    def wait(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """Wait until a submitted step run has finished; static pipelines call it.

        An interruption cancels the job too, unless `on_client_exit` is `detach`.

        Returns:
            COMPLETED, FAILED or STOPPED.

        Raises:
            RunStoppedException: After Ctrl-C, SIGTERM or a stop of the run. ZenML
                retries a step after any other exception.
        """
        return self._running.wait(step_run)

    def take_over(self, step_run: "StepRunResponse") -> "Watcher | None":
        """Follow the job of a step run that another process submitted; None if none is listed.

        Raises:
            VertexStepOperatorError: If that cannot be found out now.
        """
        return self._running.take_over(step_run)

    def cancel(self, step_run: "StepRunResponse") -> None:
        """Ask for the job of a step run to be cancelled; `get_status` tells when it has ended.

        Raises:
            VertexApiError: If the job may still be running and cannot be cancelled.
        """
        self._running.cancel(step_run)

    def cleanup_step_submission(self, step_run: "StepRunResponse") -> None:
        """Make sure that the job of a finished step run ends.

        The container of a step that has reported its result exits by itself, and gets some
        time for that; any other job is cancelled. Both are followed in the background until
        they have ended, as long as this process lives. The step's secret is destroyed.
        """
        self._running.clean_up(step_run)

    def connect(self, *, project: str | None = None, region: str | None = None) -> "Connection":
        """A connection to Vertex AI with the component's own settings.

        Args:
            project: Another project.
            region: Another region.

        Raises:
            VertexStepOperatorError: If there is no identity, or no project.
        """
        key = self.choose_key(self.config)
        key = replace(key, project=project or key.project, region=region or key.region)
        return self._pool.connect(key, self.access_connector)

    @property
    def preflight(self) -> "Preflight":
        """What checks the component's steps."""
        from zenml_vertex.steps.preflight import Preflight

        with self._lock:
            if self._preflight is None:
                self._preflight = Preflight(self)
            return self._preflight

    @property
    def step_runs(self) -> "ZenMLStepRuns":
        """The ZenML server's record of step runs."""
        from zenml_vertex.steps.records import ZenMLStepRuns

        with self._lock:
            if self._step_runs is None:
                self._step_runs = ZenMLStepRuns(self.id)
            return self._step_runs

    @property
    def _running(self) -> "RunningSteps":
        """The steps that this process submits, follows and ends."""
        from zenml_vertex.steps.running import RunningSteps

        with self._lock:
            if self._steps is None:
                self._steps = RunningSteps(self, self._clock, self._pool)
            return self._steps

    def choose_key(self, settings: VertexStepOperatorSettings) -> ConnectionKey:
        """Which connection jobs with these settings need."""
        return ConnectionKey(
            region=settings.region or self.config.region,
            project=settings.project,
            key_file=settings.service_account_path,
            api_endpoint=settings.api_endpoint,
            connector=self.connector,
        )

    def access_connector(self) -> "ConnectorAccess":
        """The service connector that the component is linked to."""
        with client_required():
            from zenml_vertex.steps.connector import access_connector

        return access_connector(self)
