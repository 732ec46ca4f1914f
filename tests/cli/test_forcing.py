"""`zenml-vertex jobs attach` and `settle` with `--force`: a person knows more than a lease says."""

import sys
from collections.abc import Iterable, Iterator
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
from zenml_vertex.steps import attaching, open_steps, settling
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
            run_metadata={},
        )  # fmt: skip
        self.open = [OpenStep(cast("Any", self.step_run), cast("Any", self.run), Following(lease))]
        self.seen: list[OpenStep] = []
        self.result = "completed"
        self.raised: Raised | None = None
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
        monkeypatch.setattr(open_steps, "publish_pipeline_run_status_update", self._end_run)
        monkeypatch.setattr(settling, "settle", lambda _, __, steps, ___: self._see(steps))
        monkeypatch.setattr(attaching.Attachment, "follow", lambda _, steps: self._see(steps))

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
