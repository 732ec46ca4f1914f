"""The secret of one step run: stored before its job is created, destroyed when it has ended."""

from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from zenml_vertex.clock import Clock
from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.following.outages import OutageLog
from zenml_vertex.following.patience import Retrying, Task
from zenml_vertex.following.progress import StepLog
from zenml_vertex.following.protocols import Secrets
from zenml_vertex.job.secrets import SecretJson, SecretName

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(slots=True)
class StepSecret:
    """The secret of a step run; as a context manager, it is destroyed after an error.

    Args:
        secrets: Secret Manager.
        clock: Where time comes from.
        log: The lines about the step.
        name: The secret.
        is_used: Whether the step has one; without, every method does nothing.
    """

    secrets: Secrets
    clock: Clock
    log: StepLog
    name: SecretName
    is_used: bool
    _secret: SecretJson = field(default_factory=dict, init=False, repr=False)
    _payload: bytes | None = field(default=None, init=False, repr=False)
    _is_begun: bool = field(default=False, init=False)

    def prepare(self, secret: SecretJson, payload: bytes) -> None:
        """Say what `store` stores."""
        self._secret, self._payload = secret, payload

    def store(self) -> None:
        """Store what was prepared; repeating it stores the same again.

        Raises:
            VertexApiError: If it cannot be stored.
            CredentialsError: If no access token is available.
        """
        payload = self._payload
        if payload is None:
            return
        self._is_begun = True
        retry = Retrying(Task.STORE_SECRET, self.clock, outages=OutageLog(self.log))
        retry(lambda: self.secrets.store(str(self.name), self._secret, payload))

    def destroy(self) -> bool:
        """Destroy the secret; whether it is gone. If not, the log says how to destroy it."""
        if not self.is_used:
            return True
        retry = Retrying(Task.DESTROY_SECRET, self.clock, outages=OutageLog(self.log))
        try:
            retry(lambda: self.secrets.delete(str(self.name)))
        except VertexStepOperatorError as error:
            self.log.warn_secret_left(self.name.delete_command, error)
            return False
        return True

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self._is_begun:
            self.destroy()
