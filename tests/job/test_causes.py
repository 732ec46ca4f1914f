"""The catalogue of known causes, and the diagnoses and errors that are made from it."""

from typing import get_args

import pytest

from zenml_vertex.job.causes import CAUSES, Category, Cause, Source, find_cause
from zenml_vertex.job.diagnosis import (
    diagnose,
    gone,
    never_reported,
    not_understood,
    out_of_sight,
)


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
        ("Replica workerpool0-0 is low on memory.", "memory"),
        ("Replica exited with a non-zero status of 137.", "memory"),
        ("Replica exited with a non-zero status of 127.", "command"),
        ("Replica exited with a non-zero status of 139.", "crash"),
        ("Replica exited with a non-zero status of 134.", "crash"),
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


def test_every_end_without_success_has_a_category() -> None:
    """Every unsuccessful job has a category, even one that no text of the service explains."""
    assert diagnose({"state": "JOB_STATE_CANCELLED"}).category == "cancelled"
    assert diagnose({"state": "JOB_STATE_EXPIRED"}).category == "expired"
    assert diagnose({"state": "JOB_STATE_PARTIALLY_SUCCEEDED"}).category == "unknown"
    assert never_reported("JOB_STATE_SUCCEEDED").category == "unreported"
    assert gone("404").category == "deleted"
    assert out_of_sight("403").category == "unreachable"
    assert not_understood("99", "upgrade").category == "unknown"
    assert {cause.category for cause in CAUSES} <= set(get_args(Category))


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
