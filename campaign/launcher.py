"""The order in which ZenML calls a step operator, as its launcher and its dynamic runner do.

https://github.com/zenml-io/zenml/blob/0.98.0/src/zenml/orchestrators/step_launcher.py:
`launch`, `_run_step_with_step_operator`, `_finalize_remote_step`; and
https://github.com/zenml-io/zenml/blob/0.98.0/src/zenml/execution/pipeline/dynamic/runner.py:
`_monitoring_loop`, `_stop_isolated_step`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from requests.exceptions import RequestException
from zenml.enums import ExecutionStatus
from zenml.exceptions import IllegalOperationError, RunStoppedException
from zenml.models import StepRunResponse, StepRunUpdate
from zenml.orchestrators.publish_utils import step_exception_info

from campaign.process import Process
from campaign.trial import SiblingFails
from campaign.zenml_server import STEP_RUN_ID, ZenMLClient

logger = logging.getLogger(__name__)

MONITORING_SECONDS = 10.0
_ACTIVE = (
    ExecutionStatus.INITIALIZING,
    ExecutionStatus.PROVISIONING,
    ExecutionStatus.RUNNING,
)
_UNFINISHED = (ExecutionStatus.PROVISIONING, ExecutionStatus.RUNNING, ExecutionStatus.QUEUED)


class StepOperator(Protocol):
    """What ZenML calls of a step operator."""

    def wait(self, step_run: StepRunResponse) -> ExecutionStatus: ...

    def get_status(self, step_run: StepRunResponse) -> ExecutionStatus: ...

    def cancel(self, step_run: StepRunResponse) -> None: ...

    def cleanup_step_submission(self, step_run: StepRunResponse) -> None: ...


@dataclass(slots=True)
class Launcher:
    """ZenML in one process."""

    process: Process
    client: ZenMLClient
    operator: StepOperator
    # Submits a step run with the operator.
    submit: Callable[[StepRunResponse], None]
    sibling: SiblingFails | None = None
    # Statuses that the operator returned at the end of a step.
    returned: list[str] = field(default_factory=list)
    # When it returned the last one, by the process's clock.
    returned_at: float = 0.0
    # Whether ZenML cancelled the step.
    has_cancelled: bool = False

    def run_static(self, step_run: StepRunResponse) -> None:
        """Submit a step run, wait for it, and clean up.

        Raises:
            BaseException: Whatever ends the step.
        """
        try:
            self._call("submit", self.submit, step_run)
            try:
                status: ExecutionStatus = self._call("wait", self.operator.wait, step_run)
                self.note_returned(status)
                self._finalize(status, step_run)
            finally:
                self._clean_up(step_run)
        except RunStoppedException:
            raise
        except Exception:
            self._publish_failure()
            raise
        except KeyboardInterrupt:
            self._publish_failure()
            raise

    def run_dynamic(self, step_run: StepRunResponse) -> None:
        """Submit a step run, and monitor it.

        Raises:
            BaseException: Whatever ends the step.
        """
        self.submit_dynamic(step_run)
        self.monitor(step_run)

    def submit_dynamic(self, step_run: StepRunResponse) -> None:
        """Submit a step run.

        Raises:
            BaseException: Whatever ends the step.
        """
        try:
            self._call("submit", self.submit, step_run)
        except RunStoppedException:
            raise
        except Exception:
            self._publish_failure()
            raise

    def monitor(self, step_run: StepRunResponse) -> None:
        """Get the status of a step run until it is finished."""
        start = self.process.time()
        while not self.monitor_once(step_run):
            elapsed = self.process.time() - start
            if self.sibling and not self.has_cancelled and elapsed >= self.sibling.seconds:
                self.has_cancelled = True
                try:
                    self._call("cancel", self.operator.cancel, step_run)
                except Exception:
                    logger.exception("Failed to stop step")
            self.process.phase = "runner"
            self.process.sleep(MONITORING_SECONDS)

    def monitor_once(self, step_run: StepRunResponse) -> bool:
        """One round of the monitoring loop; whether the step is finished."""
        infra: ExecutionStatus | None = None
        try:
            infra = self._call("get_status", self.operator.get_status, step_run)
        except Exception:
            logger.exception("Failed to get infra status")
        if infra in _ACTIVE:
            return False
        self.process.phase = "runner"
        status = self._read_status()
        if infra is None and status in _ACTIVE:
            return False
        if infra is not None:
            self.note_returned(infra)
        if status == ExecutionStatus.STOPPING:
            self._publish(ExecutionStatus.STOPPED)
        elif infra in (ExecutionStatus.FAILED, ExecutionStatus.STOPPED) and status in _ACTIVE:
            self._publish(ExecutionStatus.FAILED)
        elif (infra, status) == (ExecutionStatus.COMPLETED, ExecutionStatus.RUNNING) and (
            step_run.config.command is not None
        ):
            self._publish(ExecutionStatus.COMPLETED)
        self._clean_up(step_run)
        return True

    def note_returned(self, status: ExecutionStatus) -> None:
        """Record the status that the operator has returned at the end of a step."""
        self.returned.append(status.value)
        self.returned_at = self.process.time()

    def _read_status(self) -> ExecutionStatus:
        return self._retry(lambda: self.client.get_run_step(STEP_RUN_ID)).status

    def _publish(self, status: ExecutionStatus) -> None:
        update = StepRunUpdate(status=status)
        try:
            self._retry(lambda: self.client.update_run_step(STEP_RUN_ID, update))
        except IllegalOperationError:
            logger.exception("The status could not be published")

    def _retry(self, call: Callable[[], StepRunResponse]) -> StepRunResponse:
        """Call the server until it answers, as ZenML's client does."""
        while True:
            try:
                return call()
            except (RequestException, RuntimeError) as error:
                logger.warning("%s", error)
                self.process.sleep(MONITORING_SECONDS)

    def _finalize(self, status: ExecutionStatus, step_run: StepRunResponse) -> None:
        self.process.phase = "launcher"
        if not status.is_successful:
            raise RuntimeError(f"Step `train` failed with status `{status}`.")
        if step_run.config.command is not None:
            update = StepRunUpdate(status=ExecutionStatus.COMPLETED)
            self._retry(lambda: self.client.update_run_step(STEP_RUN_ID, update))

    def _publish_failure(self) -> None:
        self.process.phase = "launcher"
        status = self._read_status()
        if status == ExecutionStatus.STOPPING:
            self._publish(ExecutionStatus.STOPPED)
        elif status in _UNFINISHED:
            self._publish(ExecutionStatus.FAILED)

    def _clean_up(self, step_run: StepRunResponse) -> None:
        try:
            self._call("cleanup", self.operator.cleanup_step_submission, step_run)
        except Exception:
            # ZenML also catches what its own signal handler raises here.
            logger.exception("Failed to clean up")

    def _call(self, phase: str, call: Callable[..., Any], *args: Any) -> Any:
        step_exception_info.set(None)
        self.process.phase = phase
        return call(*args)
