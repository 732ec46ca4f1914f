"""ZenML's step operator entrypoint, behind a claim: a step's code runs once.

The container's command names this class, see `VertexStepOperator.entrypoint_config_class`.
"""

import logging
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from requests.exceptions import RequestException
from zenml.client import Client
from zenml.config.source import Source
from zenml.enums import ExecutionStatus
from zenml.exceptions import CustomFlavorImportError
from zenml.orchestrators.publish_utils import publish_step_run_status_update
from zenml.step_operators.step_operator_entrypoint_configuration import (
    STEP_RUN_ID_OPTION,
    StepOperatorEntrypointConfiguration,
)

from zenml_vertex.clock import SystemClock
from zenml_vertex.container.artifact_store_claim import open_claim
from zenml_vertex.container.claim import StepClaim
from zenml_vertex.container.exit_timer import end_process_later
from zenml_vertex.container.finish_note import RUN_VARIABLE, leave_note
from zenml_vertex.container.own_failure import describe_exception
from zenml_vertex.container.server_outages import outlast_outages
from zenml_vertex.container.step_function import guard_step_function, restore_removed
from zenml_vertex.job.identity import Replica
from zenml_vertex.job.step_status import interpret_status

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.config import DockerSettings
    from zenml.config.step_configurations import Step
    from zenml.models import PipelineSnapshotResponse, StepRunResponse

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")


class _LeftToAnotherContainerError(Exception):
    """This container does not run the step."""


class VertexStepEntrypointConfiguration(StepOperatorEntrypointConfiguration):
    """Runs a step in its container, unless another start of the container did or does."""

    _artifact_store: "BaseArtifactStore | None" = None
    # The container's environment variables when it started.
    _environment: "Mapping[str, str]" = os.environ
    # Of the thread that claims the step run.
    _claiming: "Future[StepClaim | None] | None" = None
    # Whether its result has been asked for.
    _is_settled = False
    # The step's status as this container's first look at it found it, until it is used.
    _first_status: ExecutionStatus | None = None
    # Once this container holds it; None also if there is none.
    _claim: StepClaim | None = None

    # As for the flavor: ZenML would take a package in a checkout for the user's own code.
    __zenml_source__ = Source.from_import_path(f"{__module__}.VertexStepEntrypointConfiguration")

    def run(self) -> None:
        """Run the step, or leave it to the container that runs it already.

        Either way the container exits with status 0: the ZenML server has the result of the
        step.
        """
        # The step's code may change its own.
        self._environment = dict(os.environ)
        outlast_outages(SystemClock())
        with self._renewing, suppress(_LeftToAnotherContainerError):
            self._run_and_exit()

    def prepare_code_environment(self) -> None:
        """Begin to claim the step run, and go on: what ZenML does meanwhile runs no user code."""
        with suppress(CustomFlavorImportError):
            self._begin_to_claim()
        super().prepare_code_environment()

    @property
    def step_run(self) -> "StepRunResponse":
        """The step run, once this container may run it.

        Raises:
            _LeftToAnotherContainerError: If the step has finished, or another container runs it.
        """
        if not self._is_settled:
            self._is_settled = True
            self._settle_claim()
        return super().step_run

    @property
    def docker_settings(self) -> "DockerSettings":
        """The step's Docker settings, which ZenML reads before it downloads code."""
        # Not by `self.step`, which waits for the claim.
        return self._first_look.config.docker_settings

    @cached_property
    def _first_look(self) -> "StepRunResponse":
        """The step run as it was when this container started."""
        step_run = Client().zen_store.get_run_step(self._step_run_id)
        if not self.snapshot.is_dynamic:
            # ZenML would ask the same. In a dynamic pipeline it says that the step runs.
            self._step_run = step_run
        return step_run

    def _load_active_artifact_store(self) -> "BaseArtifactStore":
        """Load the artifact store once, for ZenML's download of code and for the claim."""
        if self._artifact_store is None:
            self._artifact_store = super()._load_active_artifact_store()
        return self._artifact_store

    def _begin_to_claim(self) -> "Future[StepClaim | None]":
        """Begin to claim the step run in a thread, unless one does already.

        The artifact store is loaded in this one, as ZenML does a moment later: of two threads that
        import the same modules, one would see halves of them.

        Raises:
            CustomFlavorImportError: If the artifact store's code has yet to be downloaded.
        """
        if self._claiming is None:
            try:
                store = self._load_active_artifact_store()
                self._first_status = self._first_look.status
            except CustomFlavorImportError:
                raise
            except Exception as error:  # noqa: BLE001 - raised where the claim is needed
                self._claiming = Future()
                self._claiming.set_exception(error)
            else:
                self._claiming = run_in_thread(partial(self._claim_step, store))
        return self._claiming

    def _claim_step(self, store: "BaseArtifactStore") -> StepClaim | None:
        """Claim the step run; None if it is left to another container.

        The claim is renewed at once: to download code and import it may take minutes.
        """
        claim = StepClaim(
            store=open_claim(store, Replica.read(str(self._step_run_id), self._environment)),
            clock=SystemClock(),
            holder=str(uuid.uuid4()),
            is_finished=self._is_finished,
        )
        if not claim.acquire():
            return None
        self._renewing.enter_context(claim.renewed())
        return claim

    def _settle_claim(self) -> None:
        try:
            claim = self._begin_to_claim().result()
        except Exception as error:  # noqa: BLE001 - a step can run without a claim
            logger.warning(
                "Could not store a claim in the artifact store (%s). If Vertex AI starts the "
                "container a second time, the step's code runs a second time.",
                type(error).__name__,
            )
            return
        if claim is None:
            raise _LeftToAnotherContainerError
        self._claim = claim

    def _run_and_exit(self) -> None:
        status = 1
        try:
            super().run()
            status = 0
        except _LeftToAnotherContainerError:
            status = 0
            raise
        except BaseException as error:
            # The step's module may have removed some as it was imported.
            restore_removed(self._environment)
            self._report_end(error)
            raise
        finally:
            end_process_later(status, self._environment)
            self._leave_note()

    def _leave_note(self) -> None:
        """Have the client ask the ZenML server for the step's result now."""
        run_id = self._environment.get(RUN_VARIABLE)
        if not run_id:
            return
        try:
            attempt = Replica.read(str(self._step_run_id), self._environment).attempt
            leave_note(Client().active_stack.artifact_store, run_id, attempt)
        except Exception as error:  # noqa: BLE001 - the client asks by itself, only less often
            logger.debug("Could not leave a note for the client: %s", type(error).__name__)

    def _report_end(self, error: BaseException) -> None:
        """Report what ZenML's entrypoint leaves to its client.

        That a step which was told to stop has, and what ended one outside its function.
        """
        try:
            meaning = interpret_status(self._read_status().value)
            if meaning.ends_as:
                publish_step_run_status_update(self._step_run_id, ExecutionStatus(meaning.ends_as))
            elif meaning.is_active and self._is_alone():
                publish_step_run_status_update(
                    self._step_run_id,
                    ExecutionStatus.FAILED,
                    exception_info=describe_exception(error),
                )
        except Exception as unreported:  # noqa: BLE001 - the step's own error is on its way
            logger.warning(
                "Could not report that the step has ended: %s", type(unreported).__name__
            )

    def _is_alone(self) -> bool:
        """Whether no other container runs the step; waits while one does."""
        if not self._is_settled:
            self._is_settled = True
            try:
                self._settle_claim()
            except _LeftToAnotherContainerError:
                return False
        return self._is_still_ours()

    def _run_step(self, step: "Step", snapshot: "PipelineSnapshotResponse") -> None:
        """Run the step's code; checks the claim once more, in case two containers start at once."""
        if self._is_still_ours():
            guard_step_function()
            super()._run_step(step=step, snapshot=snapshot)

    def _is_still_ours(self) -> bool:
        try:
            return self._claim is None or self._claim.is_held() or self._claim.acquire()
        except Exception as error:  # noqa: BLE001 - as above
            logger.debug("Could not read the claim again: %s", type(error).__name__)
            return True

    @cached_property
    def _renewing(self) -> ExitStack:
        """Renews the claim until the container has done its work."""
        return ExitStack()

    @property
    def _step_run_id(self) -> UUID:
        return UUID(self.entrypoint_args[STEP_RUN_ID_OPTION])

    def _is_finished(self) -> bool:
        try:
            status, self._first_status = self._first_status or self._read_status(), None
        except RequestException:
            return False
        return not interpret_status(status.value).is_active

    def _read_status(self) -> ExecutionStatus:
        step_run: Any = Client().get_run_step(self._step_run_id, hydrate=False)
        status: ExecutionStatus = step_run.status
        return status


def run_in_thread(work: Callable[[], _Result]) -> "Future[_Result]":
    """Run work in a thread that does not keep the process alive."""
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, name="zenml-vertex-claim", daemon=True).start()
    return future
