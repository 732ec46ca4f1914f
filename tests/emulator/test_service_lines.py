"""What the service writes about a job, compared with the lines of recorded jobs."""

from typing import Any

import pytest

from vertex_emulator.faults import OutOfMemory
from vertex_emulator.runtimes.scripted import Script

# Of each recorded job, whatever its end: text, severity, and the state that its label has.
BEGINNING = [
    ("Waiting for job to be provisioned.", "INFO", "QUEUED"),
    (
        "Vertex AI is provisioning job running framework. First time usage might take couple of "
        "minutes, and subsequent runs can be much faster.",
        "INFO",
        None,
    ),
    ("Vertex AI is setting up this job.", "INFO", None),
    ("Waiting for training program to start.", "INFO", None),
    ("Job is preparing.", "INFO", "PREPARING"),
    ("Job is running.", "INFO", "RUNNING"),
]
TORN_DOWN = ("Finished tearing down training program.", "INFO", None)
LOW_ON_MEMORY = (
    "Replicas low on memory: workerpool0. Specify a machine with larger memory and try again."
)


def lines_of(simulation: Any, name: str) -> list[tuple[str, str, str | None]]:
    """Return the service's lines, each with its severity and the state that it announces."""
    return [
        (
            entry["textPayload"],
            entry["severity"],
            entry["labels"].get("ml.googleapis.com/job_state"),
        )
        for entry in simulation.emulator.log_entries(name)
        if entry["resource"]["labels"]["task_name"] == "service"
    ]


def test_a_job_that_succeeds(simulation: Any) -> None:
    """As job 6022297228557680640: only such a job announces that it is torn down."""
    name = simulation.create()
    simulation.clock.advance(1000)
    assert lines_of(simulation, name) == [
        *BEGINNING,
        ("Tearing down training program.", "INFO", None),
        TORN_DOWN,
        ("Job completed successfully.", "INFO", "SUCCEEDED"),
    ]


def test_a_job_that_fails(simulation: Any) -> None:
    """As job 8385422044799434752: the reason is an error, and that the job failed is not."""
    simulation.script = lambda _: Script(30.0, status=1)
    name = simulation.create()
    simulation.clock.advance(1000)
    job = simulation.get(name)
    job_id = name.rsplit("/", 1)[-1]
    number = name.split("/")[1]
    assert job.error.code == 3
    assert job.error.message == (
        "The replica workerpool0-0 exited with a non-zero status of 1. Termination reason: Error. "
        "To find out more about why your job exited please check the logs: "
        f"https://console.cloud.google.com/logs/viewer?project={number}&resource=ml_job%2Fjob_id"
        f"%2F{job_id}&advancedFilter=resource.type%3D%22ml_job%22%0Aresource.labels.job_id%3D%22"
        f"{job_id}%22"
    )
    assert lines_of(simulation, name) == [
        *BEGINNING,
        (job.error.message, "ERROR", None),
        TORN_DOWN,
        ("Job failed.", "INFO", "FAILED"),
    ]


def test_a_job_that_runs_out_of_memory(simulation: Any) -> None:
    """As job 3366793578792615936: code 8, in the words of the log's error."""
    simulation.emulator.faults.plan(OutOfMemory(after=10))
    name = simulation.create()
    simulation.clock.advance(1000)
    error = simulation.get(name).error
    assert (error.code, error.message) == (8, LOW_ON_MEMORY)
    assert lines_of(simulation, name) == [
        *BEGINNING,
        (LOW_ON_MEMORY, "ERROR", None),
        TORN_DOWN,
        ("Job failed.", "INFO", "FAILED"),
    ]


@pytest.mark.parametrize("timeout", [None, "10s"])
def test_a_job_that_is_cancelled(simulation: Any, timeout: str | None) -> None:
    """As job 4026903526469795840; one that reaches its timeout is assumed to say the same."""
    name = simulation.create(**({"scheduling": {"timeout": timeout}} if timeout else {}))
    simulation.clock.advance(200)
    if not timeout:
        simulation.client.cancel_custom_job(name=name, timeout=10)
    simulation.clock.advance(1000)
    error = simulation.get(name).error
    assert (error.code, error.message) == (1, "CANCELED")
    assert lines_of(simulation, name) == [
        *BEGINNING,
        TORN_DOWN,
        ("Job cancelled.", "INFO", "CANCELLED"),
    ]
