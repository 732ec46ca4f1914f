"""What `zenml-vertex jobs cancel` asks and does: jobs, secrets and the clock in memory."""

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from tests.support.fakes import PARENT, SERVER, InMemoryJobs, InMemoryStepRuns, ManualClock
from zenml_vertex.cli import main
from zenml_vertex.cli.jobs.ends import Ends
from zenml_vertex.clock import read_time
from zenml_vertex.errors import PermissionDenied, RequestRejected, ServerUnreachable
from zenml_vertex.following.clients import Lease
from zenml_vertex.following.metadata import CLIENT_KEY, PARENT_KEY
from zenml_vertex.following.protocols import StepRunRecord
from zenml_vertex.job.identity import SECRET_LABEL, SERVER_LABEL, STEP_LABEL, STEP_RUN_LABEL
from zenml_vertex.job.request import JobJson
from zenml_vertex.job.secrets import SecretJson
from zenml_vertex.processes import find_this_process

# Unknown to the ZenML server, so that `--orphans` finds their jobs.
STEP_RUNS = ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002")


ELSEWHERE = "projects/other-project/locations/us-east1"
FORBIDDEN = "projects/forbidden/locations/us-east1"


class StepRunsElsewhere(InMemoryStepRuns):
    """Step runs of which some say that their jobs are elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.elsewhere: list[object] = []

    def add(self, parent: str, project: str | None) -> None:
        """Add one with what its metadata says, and the project of its settings."""
        config = SimpleNamespace(step_operator=True)
        metadata = {PARENT_KEY: parent}
        self.elsewhere.append(
            SimpleNamespace(config=config, run_metadata=metadata, project_setting=project)
        )

    def iter_elsewhere(self, parent: str) -> Sequence[object]:
        """Those whose place is another one."""
        assert parent == PARENT
        return self.elsewhere


class World(InMemoryJobs):
    """Vertex AI with two running jobs, each with a secret."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.secrets = [f"projects/123/secrets/zenml-vertex-{run}-1" for run in STEP_RUNS]
        self.names = [
            self.script("JOB_STATE_RUNNING", labels={
                SERVER_LABEL: SERVER, STEP_LABEL: "train", STEP_RUN_LABEL: run, SECRET_LABEL: "yes",
            })
            for run in STEP_RUNS
        ]  # fmt: skip
        self.step_runs = StepRunsElsewhere()
        self.elsewhere = InMemoryJobs(ELSEWHERE)
        self.connected: list[str] = []
        operator = SimpleNamespace(
            connect=self._connect,
            step_runs=self.step_runs,
            name="vertex",
            get_settings=lambda step_run: SimpleNamespace(project=step_run.project_setting),
        )
        module = SimpleNamespace(load_step_operator=lambda _: operator)
        monkeypatch.setitem(sys.modules, "zenml_vertex.cli.step_operators", module)
        monkeypatch.setattr("zenml_vertex.clock.SystemClock", ManualClock)

    def cancel(self, name: str) -> None:
        if name in self.refused:
            raise RequestRejected("no", code=400)
        super().cancel(name)

    def _connect(self, project: str | None = None, region: str | None = None) -> object:
        parent = f"projects/{project or 123}/locations/{region or 'europe-west4'}"
        self.connected.append(parent)
        if parent == FORBIDDEN:
            raise PermissionDenied("not allowed", code=403)
        jobs = {PARENT: self, ELSEWHERE: self.elsewhere}.get(parent, InMemoryJobs(parent))
        return SimpleNamespace(
            jobs=jobs,
            parent=parent,
            region=region or "europe-west4",
            identity=SimpleNamespace(project=project or "123"),
            secrets=SimpleNamespace(delete=self.secrets.remove, list=self._list_secrets),
        )

    def show(self, *arguments: str) -> str:
        """Run `zenml-vertex jobs list`."""
        result = CliRunner().invoke(main, ["jobs", "list", *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    def run(self, *arguments: str, typed: str = "") -> Result:
        """Run `zenml-vertex jobs cancel`."""
        return CliRunner().invoke(main, ["jobs", "cancel", *arguments], input=typed)

    def _list_secrets(self, project: str) -> Sequence[SecretJson]:
        return [
            {"name": f"projects/{project}/secrets/zenml-vertex-{run}-1",
             "labels": {SERVER_LABEL: SERVER, STEP_LABEL: "train", STEP_RUN_LABEL: run}}
            for run in STEP_RUNS
            if project == "123"
        ]  # fmt: skip


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Two jobs with secrets."""
    return World(monkeypatch)


def test_jobs_of_clients_that_detached_are_shown_as_such_and_spared(world: World) -> None:
    """A step could write that its client detached, and `list --orphans` did not show its job.

    `cancel --orphans` still leaves such a job, and says so.
    """
    detached = {CLIENT_KEY: Lease.sign(read_time(), is_detached=True).to_metadata()}
    record = StepRunRecord("running", "failed", None, metadata=detached)
    world.step_runs.found[STEP_RUNS[0]] = record
    shown = world.show("--orphans")
    assert re.search(r"^1  RUNNING .* followed by nobody: .* detached$", shown, re.MULTILINE)
    assert re.search(r"^2  RUNNING .* orphan: its step run no longer", shown, re.MULTILINE)
    assert "`zenml-vertex jobs cancel --orphans --detached`" in shown
    output = world.run("--orphans", "--yes").output
    assert world.cancelled == [world.names[1]]
    assert "1 job of clients that detached is left: `--detached` adds it." in output


def test_the_question_tells_that_secrets_are_destroyed(world: World) -> None:
    """Who cancelled a job by its ID was not asked about its secret, which went with it."""
    result = world.run("1", typed="n\n")
    assert result.exit_code == 1
    assert "Cancel 1 job and destroy 1 secret? [y/N]" in result.output
    assert (world.cancelled, len(world.secrets)) == ([], 2)
    assert "Cancel 2 jobs and destroy 2 secrets? [y/N]" in world.run("1", "2", typed="y\n").output
    assert world.secrets == []


def test_a_script_that_cannot_answer_is_told_how_not_to_be_asked(world: World) -> None:
    """Without a terminal the command ended in `Aborted!`, on the line of its question."""
    result = world.run("1")
    assert result.exit_code == 1
    assert (
        "\nError: Nothing was cancelled. Where nobody can answer, add `--yes`.\n" in result.output
    )
    assert world.cancelled == []


@pytest.mark.parametrize("chosen", [["1", "2"], ["--orphans"]])
def test_the_secret_of_a_job_that_goes_on_is_kept(world: World, chosen: list[str]) -> None:
    """A job that could not be cancelled lost its secret, which its container may still read."""
    world.refused = {world.names[0]}
    kept = world.secrets[0]
    result = world.run(*chosen, "--yes")
    assert (result.exit_code, world.secrets) == (1, [kept])
    secret_id = kept.rpartition("/")[2]
    assert f"{secret_id}  is kept, because its job may still read it." in result.output
    assert f"gcloud secrets delete {secret_id} --project=123\n" in result.output
    assert "1  may still be running: see above\n2  CANCELLED\n" in result.output


def test_a_job_of_another_server_has_a_command_of_its_own(world: World) -> None:
    """What cancels a job that this ZenML server knows nothing of is a whole command."""
    world.script("JOB_STATE_RUNNING", labels={SERVER_LABEL: "another"})
    result = world.run("3", "--yes")
    command = "gcloud ai custom-jobs cancel 3 --project=123 --region=europe-west4"
    assert f"not of this ZenML server. To cancel it all the same, run: {command}\n" in result.output
    assert (result.exit_code, world.cancelled) == (1, [])


def test_jobs_are_found_where_step_runs_say_that_they_are(world: World) -> None:
    """Jobs of a step with its own `region` or `project` were invisible, even by their whole name.

    One that cannot be asked is named, and keeps no other from being shown.
    """
    labels = {SERVER_LABEL: SERVER, STEP_LABEL: "far", STEP_RUN_LABEL: STEP_RUNS[0]}
    name = world.elsewhere.script("JOB_STATE_RUNNING", labels=labels)
    assert "far" not in world.show()
    assert "There is no job 2 in projects/other-project/" in world.run(f"{name[:-1]}2").output
    result = world.run(name, "--yes")
    assert (result.exit_code, world.elsewhere.cancelled) == (0, [name])

    name = world.elsewhere.script("JOB_STATE_RUNNING", labels=labels)
    world.step_runs.add(ELSEWHERE, "other-project")
    world.step_runs.add(FORBIDDEN, "forbidden")
    shown = world.show("--orphans")
    assert f"in {ELSEWHERE}  orphan: its step run no longer exists" in shown
    assert f"Jobs in {FORBIDDEN} could not be listed: not allowed" in shown
    assert "1  RUNNING     step `train`" in shown
    assert world.run("--orphans", "--yes").exit_code == 0
    assert name in world.elsewhere.cancelled


def test_a_step_cannot_send_its_readers_into_a_project_of_its_choice(world: World) -> None:
    """Every `jobs list` and `jobs cancel` called the project that a step had written.

    It did so with the reader's credentials, and listed the secrets there. What is left out is
    named: an operator's project may have been another one when the step ran.
    """
    evil = "projects/evil-project/locations/us-east1"
    world.step_runs.add(evil, None)
    world.step_runs.add("projects/123/locations/us-east1", None)
    for number in range(30):
        world.step_runs.add(f"projects/p-{number:02}/locations/us-east1", f"p-{number:02}")
    shown = world.show("--orphans")
    assert evil not in world.connected
    assert f"Not looked in {evil}, which step runs name: their projects are in no sett" in shown
    assert "`--project evil-project --region us-east1` looks in the first." in shown
    assert "projects/123/locations/us-east1" in world.connected
    assert len(world.connected) == 21
    assert "Not looked in projects/p-19/locations/us-east1, " in shown
    assert " and 7 more places, which step runs name: one command looks in 20 places" in shown
    world.show("--project", "evil-project", "--region", "us-east1")
    assert evil in world.connected


@pytest.mark.parametrize(
    "options", [["--region", "us-east1"], ["--all-regions"]], ids=["region", "all"]
)
def test_options_say_where_to_look(world: World, options: list[str]) -> None:
    """A region can be named, or all of them, in the component's project or another."""
    labels = {SERVER_LABEL: SERVER, STEP_LABEL: "far", STEP_RUN_LABEL: STEP_RUNS[0]}
    world.elsewhere.script("JOB_STATE_RUNNING", labels=labels)
    assert "step `far`" in world.show("--project", "other-project", *options)
    here = world.show(*options)
    assert ("step `train`" in here, "step `far`" in here) == (options == ["--all-regions"], False)


def test_a_region_that_is_none_is_refused(world: World) -> None:
    """What an option has becomes part of a host's name."""
    result = world.run("1", "--region", "evil.example/#")
    assert (result.exit_code, world.cancelled) == (2, [])
    assert "`evil.example/#` is not a region." in result.output


def test_the_step_run_of_a_cancelled_orphan_is_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step runs of cancelled jobs stayed `running`; those that a client follows are left to it.

    A step run is stopped as soon as the cancel is accepted, and not when the job has ended.
    """
    here = find_this_process()
    now = read_time()
    later = now + timedelta(hours=1)
    signed = [Lease(replace(here, started=start), now, later) for start in ("1", here.started)]
    for step_run_id, lease in zip(STEP_RUNS, signed, strict=True):
        metadata = {CLIENT_KEY: lease.to_metadata()}
        world.step_runs.found[step_run_id] = StepRunRecord(
            "running", "running", None, f"run of {step_run_id}", metadata
        )
    finished: list[str] = []

    def finish_runs(run_ids: Iterable[str]) -> Ends:
        finished.extend(run_ids)
        return Ends()

    monkeypatch.setattr("zenml_vertex.cli.jobs.cancelling.finish_runs", finish_runs)
    orphan, followed = STEP_RUNS
    read = world.get

    def get(name: str) -> JobJson:
        assert world.step_runs.ended == {orphan: "stopped"}
        return read(name)

    monkeypatch.setattr(world, "get", get)
    assert world.run("1", "2", "--yes").exit_code == 0
    assert world.step_runs.ended == {orphan: "stopped"}
    assert (
        f"Job {world.names[0]} was cancelled with `zenml-vertex jobs cancel`."
        == (world.step_runs.messages[orphan])
    )
    assert (finished, followed in world.step_runs.ended) == ([f"run of {orphan}"], False)


def test_a_zenml_server_that_fails_keeps_no_job_from_being_cancelled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`jobs cancel` of several jobs ended half-way, and destroyed no secret.

    All jobs are cancelled, what the server could not be told is said with the command for it,
    and a server that is back when the jobs have ended is told then.
    """
    run_id = "00000000-0000-4000-8000-00000000000a"
    for step_run_id in STEP_RUNS:
        world.step_runs.found[step_run_id] = StepRunRecord(
            "running", "running", None, run_id, {CLIENT_KEY: "unreadable"}
        )
    down = ServerUnreachable("The ZenML server is down.")
    # The first is told later, the second never.
    failures = {STEP_RUNS[0]: 1, STEP_RUNS[1]: 2}

    def stop(step_run_id: str, message: str) -> str:
        failures[step_run_id] -= 1
        if failures[step_run_id] >= 0:
            raise down
        return InMemoryStepRuns.stop(world.step_runs, step_run_id, message)

    def finish_run(*_: object, **__: object) -> str:
        raise down

    monkeypatch.setattr(world.step_runs, "stop", stop)
    monkeypatch.setattr("zenml_vertex.steps.open_steps.finish_run", finish_run)
    result = world.run("1", "2", "--yes")
    assert (result.exit_code, world.cancelled, world.secrets) == (1, world.names, [])
    assert world.step_runs.ended == {STEP_RUNS[0]: "stopped"}
    cure = f"When the server answers, `zenml-vertex jobs settle {run_id}` ends it."
    assert f"2  its step run was not stopped: {down} {cure}\n" in result.output
    assert f"Run {run_id}  was not ended: {down} {cure}\n" in result.output
