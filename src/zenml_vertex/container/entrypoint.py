"""ZenML's step operator entrypoint, behind a claim: a step's code runs once.

The container's command names this class, see `VertexStepOperator.entrypoint_config_class`.
"""

import logging
import os
import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from requests.exceptions import RequestException
from zenml.client import Client
from zenml.config.source import Source
from zenml.enums import ExecutionStatus
from zenml.orchestrators.publish_utils import publish_step_run_status_update
from zenml.step_operators.step_operator_entrypoint_configuration import (
    STEP_RUN_ID_OPTION,
    StepOperatorEntrypointConfiguration,
)

from zenml_vertex.clock import SystemClock
from zenml_vertex.container.artifact_store_claim import ArtifactStoreClaim
from zenml_vertex.container.claim import StepClaim
from zenml_vertex.container.exit_timer import end_process_later
from zenml_vertex.container.finish_note import RUN_VARIABLE, leave_note
from zenml_vertex.job.identity import Replica
from zenml_vertex.job.step_status import interpret_status

if TYPE_CHECKING:
    from zenml.config.step_configurations import Step
    from zenml.models import PipelineSnapshotResponse

logger = logging.getLogger(__name__)


class VertexStepEntrypointConfiguration(StepOperatorEntrypointConfiguration):
    """Runs a step in its container, unless another start of the container did or does."""

    # As for the flavor: ZenML would take a package in a checkout for the user's own code.
    __zenml_source__ = Source.from_import_path(f"{__module__}.VertexStepEntrypointConfiguration")

    def run(self) -> None:
        """Run the step, or leave it to the container that runs it already.

        Either way the container exits with status 0: the ZenML server has the result of the
        step.
        """
        try:
            is_ours = self._claim.acquire()
        except Exception as error:  # noqa: BLE001 - a step can run without a claim
            logger.warning(
                "Could not store a claim in the artifact store (%s). If Vertex AI starts the "
                "container a second time, the step's code runs a second time.",
                type(error).__name__,
            )
            self._run_and_exit()
            return
        if is_ours:
            with self._claim.renewed():
                self._run_and_exit()

    def _run_and_exit(self) -> None:
        status = 1
        try:
            super().run()
            status = 0
        except BaseException:
            self._report_stopped()
            raise
        finally:
            end_process_later(status)
            self._leave_note()

    def _leave_note(self) -> None:
        """Have the client ask the ZenML server for the step's result now."""
        run_id = os.environ.get(RUN_VARIABLE)
        if not run_id:
            return
        try:
            attempt = Replica.read(str(self._step_run_id), os.environ).attempt
            leave_note(Client().active_stack.artifact_store, run_id, attempt)
        except Exception as error:  # noqa: BLE001 - the client asks by itself, only less often
            logger.debug("Could not leave a note for the client: %s", type(error).__name__)

    def _report_stopped(self) -> None:
        """Report that a step that was told to stop has: ZenML leaves that to its client."""
        try:
            if after := interpret_status(self._read_status().value).ends_as:
                publish_step_run_status_update(self._step_run_id, ExecutionStatus(after))
        except Exception as error:  # noqa: BLE001 - the step's own error is on its way
            logger.warning("Could not report that the step has stopped: %s", type(error).__name__)

    def _run_step(self, step: "Step", snapshot: "PipelineSnapshotResponse") -> None:
        """Run the step's code; checks the claim once more, in case two containers start at once."""
        if self._is_still_ours():
            super()._run_step(step=step, snapshot=snapshot)

    def _is_still_ours(self) -> bool:
        try:
            return self._claim.is_held() or self._claim.acquire()
        except Exception as error:  # noqa: BLE001 - as above
            logger.debug("Could not read the claim again: %s", type(error).__name__)
            return True

    @cached_property
    def _claim(self) -> StepClaim:
        replica = Replica.read(str(self._step_run_id), os.environ)
        return StepClaim(
            store=ArtifactStoreClaim(Client().active_stack.artifact_store, replica),
            clock=SystemClock(),
            holder=str(uuid.uuid4()),
            is_finished=self._is_finished,
        )

    @property
    def _step_run_id(self) -> UUID:
        return UUID(self.entrypoint_args[STEP_RUN_ID_OPTION])

    def _is_finished(self) -> bool:
        try:
            status = self._read_status()
        except RequestException:
            return False
        return not interpret_status(status.value).is_active

    def _read_status(self) -> ExecutionStatus:
        # Not `self.step_run`, which marks the step as running.
        step_run: Any = Client().get_run_step(self._step_run_id, hydrate=False)
        status: ExecutionStatus = step_run.status
        return status
