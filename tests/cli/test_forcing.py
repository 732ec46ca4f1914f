"""`zenml-vertex jobs attach` and `settle` with `--force`: a person knows more than a lease says."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from click.testing import CliRunner
from zenml.enums import ExecutionStatus, StackComponentType

from zenml_vertex.cli import main
from zenml_vertex.clock import read_time
from zenml_vertex.following.clients import LEASE_PREFIX, Following, Lease
from zenml_vertex.following.metadata import JOB_NAME_KEY
from zenml_vertex.job.raised import Raised
from zenml_vertex.processes import Process
from zenml_vertex.steps import attaching, leftover_notes, open_steps, settling
from zenml_vertex.steps.open_steps import OpenStep

RUN = UUID(int=5)


class World:
    """A run of which everything is signed by a client that seems to live."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = read_time()
        client = Process("client", "laptop", 7, "", "")
        lease = Lease(client, now, now + timedelta(minutes=30))
        self.run: Any = SimpleNamespace(
            id=RUN,
            project_id=RUN,
            status=ExecutionStatus.RUNNING,
            stack=SimpleNamespace(components={
                StackComponentType.ORCHESTRATOR: [SimpleNamespace(flavor_name="local")]
            }),
            snapshot=None,
            run_metadata={f"{LEASE_PREFIX}client": lease.to_metadata()},
        )  # fmt: skip
        self.step_run: Any = SimpleNamespace(
            id=UUID(int=6), name="train", status=ExecutionStatus.STOPPED, end_time=None,
            run_metadata={}, created=now.replace(tzinfo=None),
        )  # fmt: skip
        self.open = [OpenStep(cast("Any", self.step_run), cast("Any", self.run), Following(lease))]
        self.seen: list[OpenStep] = []
        self.result = "completed"
        self.raised: Raised | None = None
        # Who gets the steps in place of this process.
        self.winner: Lease | None = None
        # Runs that are over -> how many notes they have.
        self.notes: dict[str, int] = {}
        monkeypatch.setitem(sys.modules, "zenml_vertex.cli.step_operators", SimpleNamespace(
            load_step_operator=lambda _: SimpleNamespace(
                flavor="vertex",
                step_runs=SimpleNamespace(read_raised=lambda _: self.raised),
            )
        ))  # fmt: skip
        monkeypatch.setattr(open_steps, "Client", lambda: SimpleNamespace(
            get_pipeline_run=lambda _: self.run
        ))  # fmt: skip
        monkeypatch.setattr(open_steps, "iter_step_runs", lambda **_: [self.step_run])
        monkeypatch.setattr(open_steps, "iter_open", lambda *_: self.open)
        monkeypatch.setattr(open_steps, "iter_open_runs", list)
        monkeypatch.setattr(open_steps, "publish_pipeline_run_status_update", self._end_run)
        monkeypatch.setattr(settling, "settle", lambda _, __, steps, ___: self._see(steps))
        monkeypatch.setattr(attaching.Attachment, "follow", lambda _, steps: self._see(steps))
        monkeypatch.setattr(
            attaching.Attachment, "claim", lambda _, steps: [(step, self.winner) for step in steps]
        )
        monkeypatch.setattr(
            leftover_notes, "remove_notes", lambda run_id: self.notes.pop(run_id, 0)
        )
        monkeypatch.setattr(leftover_notes, "find_ended_runs", lambda: list(self.notes))

    def call(self, *arguments: str, exits: int = 0) -> str:
        """Run a command."""
        result = CliRunner().invoke(main, ["jobs", *arguments])
        assert result.exit_code == exits, result.output
        return result.output

    def _see(self, steps: Iterable[OpenStep]) -> Iterator[tuple[OpenStep, str]]:
        for step in steps:
            self.seen.append(step)
            yield step, self.result

    def _end_run(self, _: UUID, status: ExecutionStatus, __: str) -> object:
        self.run.status = status
        return self.run


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A run whose client seems to live."""
    return World(monkeypatch)


@pytest.mark.parametrize("command", ["attach", "settle"])
def test_a_person_can_override_a_lease(world: World, command: str) -> None:
    """One line in a step, and nobody could end it: its forged client never died.

    Who seems to follow it is said, with the option and without it.
    """
    followed = f"step `train` of run {RUN}  followed by process 7 on laptop, seen "
    output = world.call(command, str(RUN))
    assert followed in output
    assert "If you know that it is gone, add `--force`." in output
    assert (world.seen, world.run.status) == ([], ExecutionStatus.RUNNING)

    output = world.call(command, str(RUN), "--force")
    assert followed in output
    assert " ago; overridden\n" in output
    assert (world.seen, world.run.status) == (world.open, ExecutionStatus.STOPPED)
    assert f"Run {RUN}  stopped\n" in output


def test_a_run_whose_steps_have_ended_is_ended_by_force(world: World) -> None:
    """A forged lease on the run kept it open for good."""
    world.open = []
    assert "There is nothing to settle." in world.call("settle", str(RUN))
    assert f"Run {RUN}  stopped\n" in world.call("settle", str(RUN), "--force")


def test_attach_says_at_once_what_it_takes_over(world: World) -> None:
    """It was silent until a job changed; and to find nothing to do was an error, unlike in settle.

    What a living client follows is left to it, and said.
    """
    output = world.call("attach", str(RUN))
    assert "There is nothing to attach to" in output
    assert "taken over" not in output
    output = world.call("attach", str(RUN), "--force")
    line = f"step `train` of run {RUN}  "
    assert output.index(f"{line}taken over\n") < output.index(f"{line}completed\n")


def test_attach_names_the_job_and_why_its_step_failed(world: World) -> None:
    """It said `failed` and no more, and the first client, which would have said why, is gone."""
    world.result = "failed"
    world.raised = Raised("ValueError", "no such column", "train.py, line 12")
    world.step_run.run_metadata = {JOB_NAME_KEY: "projects/p/locations/r/customJobs/4"}
    output = world.call("attach", str(RUN), "--force", exits=1)
    line = f"step `train` of run {RUN}  "
    assert f"{line}taken over, job projects/p/locations/r/customJobs/4\n" in output
    assert f"{line}failed: ValueError: no such column (train.py, line 12).\n" in output


@pytest.mark.parametrize("command", ["attach", "settle"])
def test_force_needs_the_name_of_a_run(world: World, command: str) -> None:
    """Nobody overrides the leases of everybody."""
    assert "--force goes with one pipeline run: name it." in world.call(
        command, "--all", "--force", exits=2
    )
    assert world.seen == []


@pytest.mark.parametrize("command", ["attach", "settle"])
def test_what_is_left_to_living_clients_is_named(world: World, command: str) -> None:
    """`--all` said that there was nothing to do, and not of whom.

    A step that nobody has submitted yet is not said to be of an earlier version.
    """
    fresh = replace(world.open[0], following=Following())
    world.open += [replace(world.open[0])] * 5 + [fresh]
    output = world.call(command, "--all")
    step = f"step `train` of run {RUN}"
    assert (
        f"Left to their clients: {step}, {step}, {step}, {step}, 2 more "
        "(followed by process 7 on laptop, seen "
    ) in output
    assert f"; {step} (followed by a client that has not submitted it yet).\n" in output
    assert world.seen == []


def test_a_step_that_another_attach_gets_is_left_to_it(world: World) -> None:
    """Whoever comes second says who follows, and leaves; that is no failure."""
    world.winner = world.open[0].following.lease
    output = world.call("attach", str(RUN), "--force")
    line = (
        f"step `train` of run {RUN}  left to process 7 on laptop, which has just attached to it\n"
    )
    assert line in output
    assert (world.seen, world.run.status) == ([], ExecutionStatus.RUNNING)


@pytest.mark.parametrize(
    ("step", "is_dynamic", "status", "following"),
    [
        (
            ExecutionStatus.FAILED,
            True,
            "failed",
            f"To have its results: `zenml pipeline runs retry {RUN}` runs",
        ),
        (
            ExecutionStatus.STOPPED,
            True,
            "stopped",
            "To have its results, start the pipeline again:",
        ),
        (ExecutionStatus.FAILED, False, "failed", "To have its results, start the pipeline again:"),
    ],
)
def test_what_comes_after_a_run_that_has_ended_is_said(
    world: World, step: ExecutionStatus, is_dynamic: bool, status: str, following: str
) -> None:
    """`Run ... failed` was the last word. ZenML retries failed runs, and only dynamic ones."""
    world.step_run.status = step
    world.run.snapshot = SimpleNamespace(is_dynamic=is_dynamic)
    output = world.call("settle", str(RUN), "--force")
    assert f"Run {RUN}  {status}\n{following}" in output
    world.open, world.run.status = [], ExecutionStatus.RUNNING
    assert f"Run {RUN}  {status}\n{following}" in world.call("settle", str(RUN), "--force")


def test_nothing_comes_after_a_run_that_has_completed(world: World) -> None:
    """Whoever has the results needs no advice."""
    world.run.status = ExecutionStatus.COMPLETED
    assert "results" not in world.call("settle", str(RUN), "--force")


def test_notes_of_runs_that_are_over_are_removed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stayed in the bucket after each client that was killed.

    Those of a run that goes on are left; an artifact store that cannot be asked is no failure.
    """
    world.notes = {str(RUN): 3}
    assert "removed" not in world.call("settle", str(RUN))
    assert "3 notes were removed" in world.call("settle", str(RUN), "--force")
    world.notes = {"another": 1}
    assert "1 note was removed" in world.call("settle", "--all")

    def fail() -> None:
        raise OSError("s3cret")

    monkeypatch.setattr(leftover_notes, "find_ended_runs", fail)
    output = world.call("settle", "--all")
    assert "Notes in the artifact store could not be removed (OSError)." in output
    assert "s3cret" not in output
