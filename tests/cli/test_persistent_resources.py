"""`zenml-vertex persistent-resource`, in this process and against the emulator."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.support.components import make_operator
from tests.support.emulators import PARENT
from tests.support.warm import SECONDS, Warm, open_warm
from vertex_emulator import ManualClock
from vertex_emulator.faults import PermissionWithdrawn, ResourceStockout
from zenml_vertex.cli import main
from zenml_vertex.clock import SystemClock
from zenml_vertex.steps.connections import ConnectionPool

NAME = f"{PARENT}/persistentResources/warm"
HOURS = 3600


@pytest.fixture
def warm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Warm]:
    """An emulator whose clock begins ten hours ago, and moves while the commands wait."""
    clock = ManualClock(datetime.now(timezone.utc) - timedelta(hours=10))
    with open_warm(clock=clock) as warm:
        monkeypatch.setenv("AIPLATFORM_EMULATOR_HOST", warm.emulator.url)
        monkeypatch.setattr(SystemClock, "sleep", lambda _, seconds: clock.advance(seconds))
        # What a ZenML server would have: the component that the commands work with.
        operator = make_operator(
            pool=ConnectionPool(SystemClock(), run_at_exit=lambda _: None),
            project="my-project",
            machine_type="n1-standard-8",
            boot_disk_size_gb=200,
        )
        monkeypatch.setattr(
            "zenml_vertex.cli.step_operators.load_step_operator", lambda _: operator
        )
        yield warm


def run(*arguments: str, typed: str = "") -> Result:
    """Call a command, in the region of the tests."""
    command = ["persistent-resource", *arguments, "--region", "us-central1"]
    return CliRunner().invoke(main, command, input=typed, prog_name="zenml-vertex")


def test_a_resource_is_created_from_a_step_operator(warm: Warm) -> None:
    """It has the machine and the disk of the component, and the progress is shown until it runs."""
    result = run("create", "warm", "--replicas", "2")
    assert result.exit_code == 0, result.output
    assert "Create PersistentResource request received." in result.output
    assert "Your persistent resource is ready." in result.output
    assert "warm  RUNNING       2 x n1-standard-8, 0 of 2 in use, created " in result.output
    assert "zenml step-operator update vertex --persistent_resource_id=warm\n" in result.output
    assert f"zenml-vertex persistent-resource delete {warm_name(warm)}" in result.output
    (pool,) = warm.call("GET", "/warm")["resourcePools"]
    assert pool["machineSpec"] == {"machineType": "n1-standard-8"}
    assert pool["diskSpec"] == {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 200}


def warm_name(warm: Warm) -> str:
    """The name by which the commands call the resource: with the ID of the project."""
    del warm
    return NAME


def test_options_say_more_than_the_settings(warm: Warm) -> None:
    """Another machine, and a pool that scales; `--no-wait` leaves it, and says how to look."""
    result = run(
        "create", "warm", "--machine-type", "n1-standard-4", "--accelerator-type", "t4",
        "--accelerator-count", "1", "--min-replicas", "1", "--max-replicas", "3", "--no-wait",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert f"{NAME} is being created. Look again with: zenml-vertex persistent-" in result.output
    (pool,) = warm.call("GET", "/warm")["resourcePools"]
    assert pool["machineSpec"] == {
        "machineType": "n1-standard-4",
        "acceleratorType": "NVIDIA_TESLA_T4",
        "acceleratorCount": 1,
    }
    assert pool["autoscalingSpec"] == {"minReplicaCount": "1", "maxReplicaCount": "3"}


def test_a_resource_that_differs_from_its_jobs_says_so(warm: Warm) -> None:
    """With another machine than the settings', the next command has the jobs take it over."""
    del warm
    result = run("create", "warm", "--machine-type", "n1-standard-4")
    assert result.exit_code == 0, result.output
    assert (
        "update vertex --persistent_resource_id=warm --persistent_resource_match=adopt\n"
        in result.output
    )


def test_a_resource_is_created_from_a_step(warm: Warm, tmp_path: Path) -> None:
    """The step's own settings and its ResourceSettings are over those of the component."""
    file = tmp_path / "pipeline.py"
    file.write_text(
        "from zenml import step\n"
        "from zenml.config import ResourceSettings\n"
        "from zenml_vertex import VertexStepOperatorSettings\n"
        "@step(step_operator='vertex', settings={\n"
        "    'step_operator': VertexStepOperatorSettings(accelerator_type='T4'),\n"
        "    'resources': ResourceSettings(gpu_count=2)})\n"
        "def train() -> None: ...\n"
    )
    result = run("create", "warm", "--from-step", f"{file}::train", "--no-wait")
    assert result.exit_code == 0, result.output
    (pool,) = warm.call("GET", "/warm")["resourcePools"]
    assert pool["machineSpec"] == {
        "machineType": "n1-standard-8",
        "acceleratorType": "NVIDIA_TESLA_T4",
        "acceleratorCount": 2,
    }
    assert pool["diskSpec"]["bootDiskSizeGb"] == 200
    for wrong, words in (
        (f"{file}::tran", "has no step `tran`. Its steps are: train."),
        (f"{tmp_path}/none.py::train", "does not exist"),
        ("train", "write FILE::STEP"),
    ):
        result = run("create", "cold", "--from-step", wrong)
        assert result.exit_code != 0
        assert words in result.output


def test_a_create_that_fails_says_why(warm: Warm) -> None:
    """A lack of machines is told in Vertex AI's words; a wrong setting before anything is sent."""
    with warm.emulator.faults.planned(ResourceStockout(resource_id="warm")):
        result = run("create", "warm")
    assert result.exit_code == 1
    assert "Error: Vertex AI has given up with code 8: " in result.output
    result = run("create", "Warm")
    assert result.exit_code == 1
    assert "is not the name of a persistent resource" in result.output
    result = run("create", "other", "--accelerator-count", "1")
    assert result.exit_code == 1
    assert "`accelerator_type` is not set" in result.output
    result = run("create", "warm")
    assert "already exists" in result.output


def test_ctrl_c_leaves_a_create(warm: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resource goes on being created, and the command to look again is said."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SystemClock, "sleep", interrupt)
        result = run("create", "warm")
    assert result.exit_code == 130
    assert f"{NAME} goes on being created. Look again with: zenml-vertex pers" in result.output
    warm.clock.advance(SECONDS.provisioning)
    assert warm.state() == "RUNNING"


def test_who_uses_a_resource_is_shown(warm: Warm) -> None:
    """The jobs on it, what a job must have, and nothing of idleness while there are jobs."""
    warm.make()
    name = warm.submit()
    result = run("show", "warm")
    assert result.exit_code == 0, result.output
    assert "warm  RUNNING       1 x n1-standard-4, 1 of 1 in use, created 10 h" in result.output
    assert "Pool n1-standard-4: 1 x n1-standard-4, disk pd-ssd of 100 GB, 1 in use" in result.output
    assert "Service account: jobs on it must not name one of their own" in result.output
    assert f"{name.rpartition('/')[2]}  " in result.output
    assert "`a job`, created 9 h" in result.output
    assert "dle for" not in result.output


def test_how_long_a_resource_is_idle_is_shown(warm: Warm) -> None:
    """Since the end of its last job, with its machine hours; by its whole name, and as JSON."""
    warm.make()
    warm.submit()
    warm.clock.advance(6 * HOURS)
    result = run("show", NAME)
    assert result.exit_code == 0, result.output
    assert "Idle for 9 h 5" in result.output
    assert ", 9.9 machine hours. Told by the custom jobs that there still are" in result.output
    result = run("show", "warm", "--output", "json")
    shown = json.loads(result.output)
    assert shown["persistentResource"]["state"] == "RUNNING"
    assert shown["jobs"] == []
    assert shown["idleSeconds"] == pytest.approx(shown["idleMachineHours"] * HOURS, abs=5)


def test_resources_are_listed(warm: Warm) -> None:
    """One line each, or JSON; none is said as such."""
    assert run("list").output.endswith(f"No persistent resources in {PARENT}.\n")
    warm.make()
    warm.make("hot", {"machineSpec": {"machineType": "n1-standard-8"}, "replicaCount": "2"})
    lines = run("list").output.splitlines()
    assert [line.split()[0] for line in lines if "RUNNING" in line] == ["hot", "warm"]
    listed = json.loads(run("list", "--output", "json").output)
    assert [one["persistentResource"]["displayName"] for one in listed] == ["hot", "warm"]


def test_a_delete_asks_and_says_which_jobs_are_cancelled(warm: Warm) -> None:
    """Nothing is deleted without a yes; afterwards the jobs are cancelled and it is gone."""
    warm.make()
    job = warm.submit()
    result = run("delete", "warm", typed="n\n")
    assert result.exit_code == 1
    assert "Vertex AI will cancel 1 job on it." in result.output
    assert "Nothing was deleted." in result.output
    result = run("delete", "warm", typed="y\n")
    assert result.exit_code == 0, result.output
    assert "warm  deleted" in result.output
    assert warm.states(job) == ["CANCELLED"]
    result = run("delete", "warm", "--yes")
    assert result.exit_code == 1
    assert f"There is no persistent resource `warm` in {PARENT}." in result.output


def test_idle_resources_are_deleted_with_what_they_cost(warm: Warm) -> None:
    """Those without a job for so long go, with their machine hours; those in use stay."""
    two = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": "2"}
    warm.make("idle", two)
    warm.make("used")
    warm.make("busy")
    warm.submit("idle")
    warm.submit("used")
    warm.clock.advance(7 * HOURS)
    warm.submit("used")
    warm.clock.advance(2.5 * HOURS)
    job = warm.submit("busy")
    result = run("delete", "--idle", "2h", "--yes")
    assert result.exit_code == 0, result.output
    assert "idle  RUNNING       2 x n1-standard-4, 0 of 2 in use, " in result.output
    assert "19.5 machine hours" in result.output or "19.6 machine hours" in result.output
    assert "idle  deleted" in result.output
    assert "used  deleted" in result.output
    assert "busy" not in result.output
    assert warm.emulator.job(job).state.name != "CANCELLED"
    result = run("delete", "--idle", "1d")
    assert result.output.endswith(
        f"No persistent resource in {PARENT} has been idle for so long.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("delete",), "Name resources by their IDs"),
        (("delete", "warm", "--idle", "2h"), "Name resources by their IDs"),
        (("delete", "--idle", "soon"), "is not a duration: write, for example, 90m, 2h or 1d."),
    ],
)
def test_a_delete_of_nothing_or_everything_is_refused(
    warm: Warm, arguments: tuple[str, ...], words: str
) -> None:
    """Without a name or a time, nothing is deleted; both contradict each other."""
    del warm
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.output


def test_a_resource_is_rebooted(warm: Warm) -> None:
    """After a yes, it is waited until it runs again; one with jobs is refused in a sentence."""
    warm.make()
    result = run("reboot", "warm", "--yes")
    assert result.exit_code == 0, result.output
    assert warm.state() == "RUNNING"
    warm.submit()
    result = run("reboot", "warm", "--yes")
    assert result.exit_code == 1
    assert "has jobs that have not ended and cannot be rebooted" in result.output


def test_a_missing_permission_is_a_line(warm: Warm) -> None:
    """An error of Vertex AI is one line with the permission, and no traceback."""
    with warm.emulator.faults.planned(PermissionWithdrawn("list_persistent_resources")):
        result = run("list")
    assert result.exit_code == 1
    assert "is aiplatform.persistentResources.list." in click.unstyle(result.output)
    assert "Traceback" not in result.output
