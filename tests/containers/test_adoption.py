"""Containers of the engine that outlive a `kill -9` of their emulator, and those after it."""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from tests.emulator.test_adoption import lines_of
from tests.emulator.test_command import Process, begin, wait_for_line, wait_for_state
from tests.support.containers.services import ContainerServices
from tests.support.emulators import NO_WAITING
from tests.support.pipelines import wait_until
from vertex_emulator import DockerRuntime, JobState, ManualClock, VertexEmulator
from vertex_emulator.jobs.transitions import DEFAULT_TIMEOUT

__all__ = ["begin"]
pytestmark = pytest.mark.docker

# Waits for SIGUSR1, twice, within a line each time.
CODE = r"""
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
print("up", flush=True)
for word in ("one", "two"):
    print("half of ", end="", flush=True)
    signal.sigwait([signal.SIGUSR1])
    print(word + "\n", flush=True)
    print("warning", file=sys.stderr, flush=True)
    sys.stdout.buffer.write(b"\xff\n" * 100)
    print("end of", word, flush=True)
sys.exit(int(sys.argv[1]))
"""


def test_a_killed_emulator_leads_its_containers_as_before(
    begin: Callable[..., Process],
    services: ContainerServices,
    engine: docker.DockerClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After two kills jobs end as if nothing had been: their lines once, in order, and no restart.

    One ends while no emulator is there, one later, one is cancelled, and one is removed by
    hand, which is an internal error. An emulator on another folder leaves them alone.
    """
    monkeypatch.setenv("DOCKER_HOST", services.docker_host)
    options = ("--runtime=docker", f"--data-dir={tmp_path / 'data'}")

    def job_of(status: str) -> dict[str, Any]:
        container = {"imageUri": services.parent_image, "command": ["python", "-c", CODE, status]}
        pool = {
            "machineSpec": {"machineType": "n1-standard-4"},
            "replicaCount": "1",
            "containerSpec": container,
        }
        spec = {"workerPoolSpecs": [pool], "scheduling": {"disableRetries": True}}
        return {"displayName": "j", "jobSpec": spec}

    def container_of(name: str) -> Any:
        label = f"zenml-vertex.emulator.job-id={name.rsplit('/', 1)[-1]}"
        (found,) = engine.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        return found

    first = begin(*options)
    statuses = {"away": "3", "later": "0", "cancelled": "0", "removed": "0"}
    names = {key: first.create(job_of(status)) for key, status in statuses.items()}
    for name in names.values():
        wait_for_line(first, name.rsplit("/", 1)[-1], "up")
    container_of(names["later"]).kill("SIGUSR1")
    wait_for_line(first, names["later"].rsplit("/", 1)[-1], "end of one")
    away = container_of(names["away"])
    first.end(signal.SIGKILL)
    away.kill("SIGUSR1")
    for piece in away.logs(stream=True, follow=True):
        if b"end of one" in piece:
            away.kill("SIGUSR1")
    away.wait(timeout=30)
    container_of(names["removed"]).remove(force=True)
    begin("--runtime=docker", f"--data-dir={tmp_path / 'other'}").end(signal.SIGTERM)

    second = begin(*options)
    assert wait_for_state(second, names["away"], "FAILED")["error"]["code"] == 3
    assert wait_for_state(second, names["removed"], "FAILED")["error"]["code"] == 13
    assert second.get(names["later"])["state"] == "JOB_STATE_RUNNING"
    second.end(signal.SIGKILL)

    third = begin(*options)
    requests.post(f"{third.url}/v1/{names['cancelled']}:cancel", json={}, timeout=10)
    wait_for_state(third, names["cancelled"], "CANCELLED")
    container_of(names["later"]).kill("SIGUSR1")
    wait_for_state(third, names["later"], "SUCCEEDED")
    part = ["", *["\ufffd"] * 100]
    expected = ["up", "half of one", *part, "end of one", "half of two", *part, "end of two"]
    for key in ("away", "later"):
        # Of an empty line, an entry has the container runtime's header.
        lines = [re.sub(r"^\S+Z stdout F$", "", line) for line in lines_of(third, names[key])]
        assert [line for line in lines if line != "warning"] == expected
        assert lines.count("warning") == 2
    assert third.end(signal.SIGTERM) == 0
    assert engine.containers.list(all=True, ignore_removed=True) == []


@pytest.mark.parametrize("has_ended", [False, True], ids=["runs on", "has ended"])
def test_a_timeout_that_passed_without_an_emulator_ends_what_runs(
    services: ContainerServices,
    engine: docker.DockerClient,
    submit: Callable[..., str],
    tmp_path: Path,
    has_ended: bool,
) -> None:
    """The next emulator ends the container of a job whose timeout has passed meanwhile.

    A container that had ended by itself ends its job as if it had been seen. Both emulators are in
    one process.
    """
    clock = ManualClock()

    def begin() -> VertexEmulator:
        runtime = DockerRuntime({"DOCKER_HOST": services.docker_host}, grace=1)
        folder = tmp_path / "data"
        return VertexEmulator(data_dir=folder, clock=clock, timings=NO_WAITING, runtime=runtime)

    with begin() as first:
        name = submit("python", "-c", CODE, "0", to=first)
        wait_until(lambda: "up" in first.log_lines(name))
        (container,) = engine.containers.list(ignore_removed=True)
        first.crash()
        if has_ended:
            container.kill("SIGUSR1")
            wait_until(lambda: b"end of one" in container.logs())
            container.kill("SIGUSR1")
            container.wait(timeout=30)
        clock.advance(DEFAULT_TIMEOUT.total_seconds() + 1)
        with begin() as second:
            clock.settle()
            job = second.wait_for_state(name, seconds=60)
            assert job.state is (JobState.SUCCEEDED if has_ended else JobState.CANCELLED)
        # It goes once the job's state is stored.
        assert engine.containers.list(all=True, ignore_removed=True) == []
