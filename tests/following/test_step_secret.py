"""The secret of a step run, from before its job is created until after it has ended."""

from dataclasses import dataclass, field

import pytest

from tests.support.fakes import PARENT, CreateFault, InMemoryJobs, InMemoryStepRuns, ManualClock
from tests.support.worlds import JOB, STEP_RUN
from zenml_vertex.errors import PermissionDenied, QuotaExceeded, RequestRejected, ServiceUnavailable
from zenml_vertex.following.progress import StepLog
from zenml_vertex.following.step_secret import StepSecret
from zenml_vertex.following.submission import Submission
from zenml_vertex.job.identity import Attempt
from zenml_vertex.job.secrets import SecretJson, SecretName

ATTEMPT = Attempt(STEP_RUN)
NAME = SecretName.of("p", ATTEMPT)
PAYLOAD = b'{"TOKEN":"hidden"}'


@dataclass
class InMemorySecrets:
    """Secret Manager in memory."""

    kept: dict[str, list[bytes]] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)
    # Whether the call that fails has had its effect.
    has_effect: bool = False

    def store(self, name: str, secret: SecretJson, payload: bytes) -> None:
        assert secret == {"ttl": "60s"}
        if not self.errors or self.has_effect:
            self.kept.setdefault(name, []).append(payload)
        self._fail()

    def delete(self, name: str) -> None:
        self._fail()
        self.kept.pop(name, None)

    def list(self, project: str) -> tuple[SecretJson, ...]:
        raise NotImplementedError(project)

    def _fail(self) -> None:
        if self.errors:
            raise self.errors.pop(0)


class World:
    """A submission and its secret."""

    def __init__(self, *, is_used: bool = True) -> None:
        self.jobs = InMemoryJobs()
        self.secrets = InMemorySecrets()
        self.clock = ManualClock()
        self.seen: list[bool] = []
        log = StepLog("train")
        self.secret = StepSecret(self.secrets, self.clock, log, NAME, is_used=is_used)
        if is_used:
            self.secret.prepare({"ttl": "60s"}, PAYLOAD)
        self.submission = Submission(
            self.jobs, InMemoryStepRuns(), self.clock, PARENT, ATTEMPT, log, str
        )

    def submit(self) -> None:
        """Submit the step run as the step operator does."""
        with self.secret:
            self.submission.submit(lambda: JOB, {}, before_create=self._store)

    def _store(self) -> None:
        assert self.jobs.created == []
        self.secret.store()


def test_a_secret_is_stored_before_its_job() -> None:
    """A container that starts at once finds its secret, which stays when the job is submitted."""
    world = World()
    world.submit()
    assert world.secrets.kept == {str(NAME): [PAYLOAD]}
    assert len(world.jobs.created) == 1


@pytest.mark.parametrize("error", [RequestRejected("no", code=400), KeyboardInterrupt()])
def test_a_secret_is_destroyed_when_its_job_cannot_be_created(error: BaseException) -> None:
    """A secret without a job held a valid token for days, for everybody who may read secrets."""
    world = World()
    world.jobs.create_faults = [CreateFault(error, has_effect=False)]
    with pytest.raises(type(error)):
        world.submit()
    assert world.secrets.kept == {}


def test_a_store_that_fails_creates_no_job() -> None:
    """A job without its secret would wait for it at its user's expense."""
    world = World()
    world.secrets.errors = [PermissionDenied("no", code=403)]
    with pytest.raises(PermissionDenied):
        world.submit()
    assert world.jobs.created == []
    assert world.clock.sleeps == []


def test_a_store_whose_response_is_lost_is_repeated() -> None:
    """The version that the job reads is there, whether or not the lost store had its effect."""
    for has_effect in (True, False):
        world = World()
        world.secrets.errors = [ServiceUnavailable("lost")]
        world.secrets.has_effect = has_effect
        world.submit()
        assert world.secrets.kept[str(NAME)][0] == PAYLOAD
        assert len(world.jobs.created) == 1


def test_a_secret_that_cannot_be_destroyed_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """The step's result stands, and the log has the command that destroys the secret."""
    world = World()
    world.submit()
    world.secrets.errors = [PermissionDenied("no", code=403)]
    assert not world.secret.destroy()
    assert NAME.delete_command in caplog.text
    assert "The secret expires by itself." in caplog.text
    assert world.secret.destroy()
    assert world.secrets.kept == {}


@pytest.mark.parametrize("kind", [ServiceUnavailable, QuotaExceeded])
def test_other_steps_do_not_wait_long_for_a_secret(kind: type[ServiceUnavailable]) -> None:
    """All steps of a dynamic pipeline end on one thread, which a failing delete held up."""
    world = World()
    world.submit()
    world.secrets.errors = [kind("no") for _ in range(100)]
    assert not world.secret.destroy()
    assert sum(world.clock.sleeps) <= 5
    assert len(world.clock.sleeps) >= 2


def test_a_step_without_a_secret_makes_no_call() -> None:
    """With `inline`, Secret Manager is not asked for anything, also after an error."""
    world = World(is_used=False)
    world.secrets.errors = [AssertionError("a call")]
    world.jobs.create_faults = [CreateFault(RequestRejected("no", code=400), has_effect=False)]
    with pytest.raises(RequestRejected):
        world.submit()
    assert world.secret.destroy()


def test_a_secret_is_in_no_repr() -> None:
    """An error report that shows local variables does not show the environment."""
    assert "hidden" not in repr(World().secret)
