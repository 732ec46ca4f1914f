"""Parts of answers, and enums as numbers: the pure part."""

from typing import Any

import pytest

from vertex_emulator.core.answers import number_enums, read_paths, resolve_paths, select
from vertex_emulator.core.errors import ApiError
from vertex_emulator.core.messages import Field, Message
from vertex_emulator.jobs.schema import CUSTOM_JOB

PAGE = Message("Page", {"jobs": Field(CUSTOM_JOB, repeated=True), "nextPageToken": Field("string")})
JOB = {
    "name": "projects/1/locations/l/customJobs/2",
    "displayName": "a job",
    "labels": {"team": "ml", "state": "JOB_STATE_RUNNING"},
    "state": "JOB_STATE_FAILED",
    "error": {"code": 3, "message": "It failed."},
    "jobSpec": {
        "workerPoolSpecs": [
            {
                "machineSpec": {"machineType": "m", "acceleratorType": "NVIDIA_TESLA_T4"},
                "replicaCount": "1",
            },
            {},
        ],
        "scheduling": {"strategy": "SPOT"},
    },
}
ANSWER: Any = {"jobs": [JOB, {"name": "another"}], "nextPageToken": "t"}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", ANSWER),
        ("*", ANSWER),
        ("nextPageToken", {"nextPageToken": "t"}),
        ("next_page_token", {"nextPageToken": "t"}),
        ("jobs/name", {"jobs": [{"name": JOB["name"]}, {"name": "another"}]}),
        ("jobs.name", {"jobs": [{"name": JOB["name"]}, {"name": "another"}]}),
        ("jobs(name)", {"jobs": [{"name": JOB["name"]}, {"name": "another"}]}),
        ("*/name", {"jobs": [{"name": JOB["name"]}, {"name": "another"}]}),
        ("jobs(error/message, labels/team)", {
            "jobs": [{"labels": {"team": "ml"}, "error": {"message": "It failed."}}, {}]
        }),
        ("jobs(job_spec(worker_pool_specs(machine_spec.machine_type)))", {
            "jobs": [{"jobSpec": {"workerPoolSpecs": [{"machineSpec": {"machineType": "m"}}, {}]}},
                     {}]
        }),
        ("jobs/jobSpec/workerPoolSpecs/*/machineType", {
            "jobs": [{"jobSpec": {"workerPoolSpecs": [{"machineSpec": {"machineType": "m"}}, {}]}},
                     {}]
        }),
        (" jobs ( labels ) , jobs/labels/team ", {"jobs": [{"labels": JOB["labels"]}, {}]}),
        ("jobs/labels/team,jobs/labels", {"jobs": [{"labels": JOB["labels"]}, {}]}),
        ("nextPageToken,*", ANSWER),
    ],
)  # fmt: skip
def test_the_selected_fields_are_left(text: str, selected: Any) -> None:
    """Names in both spellings, nested ones with `/`, `.` and `(...)`, and `*` select fields."""
    assert select(ANSWER, resolve_paths(read_paths(text), PAGE)) == selected
    assert ANSWER["jobs"][0] is JOB


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("colour", ["colour"]),
        ("jobs/colour,jobs/name,size", ["jobs.colour", "size"]),
        ("nextPageToken/x", ["nextPageToken.x"]),
        ("jobs(jobSpec(scheduling/strategy/x))", ["jobs.jobSpec.scheduling.strategy.x"]),
        ("*/colour", ["*.colour"]),
    ],
)
def test_a_field_that_does_not_exist_is_refused(text: str, missing: list[str]) -> None:
    """Every path that leads nowhere is named, as public reports quote Google: none is silent."""
    with pytest.raises(ApiError) as caught:
        resolve_paths(read_paths(text), PAGE)
    assert caught.value.message == "Request contains an invalid argument."
    assert [(one.field, one.description) for one in caught.value.violations] == [
        (
            path,
            f"Error expanding 'fields' parameter. Cannot find matching fields for path '{path}'.",
        )
        for path in missing
    ]


@pytest.mark.parametrize(
    "text",
    [",", "a,", "a/", "a(", "a()", "a(b", "a)b", "a b", "/a", "(a)", "a;b", "a(b)c",
     "a" + "(a" * 50, "/".join("a" * 50), "ä"],
)  # fmt: skip
def test_an_unreadable_selection_is_refused(text: str) -> None:
    """A selection that is not well-formed, or nested too deep, is a bad request that quotes it."""
    with pytest.raises(ApiError, match="Invalid field selection `") as caught:
        read_paths(text)
    assert caught.value.status == "INVALID_ARGUMENT"


def test_an_answer_that_is_not_described_is_selected_by_its_names() -> None:
    """Without a description of the message, names are taken as they are written."""
    assert select({"a": {"b": 1, "c": 2}, "d": {"b": 3}}, read_paths("*/b")) == {
        "a": {"b": 1},
        "d": {"b": 3},
    }


def test_enums_are_numbers() -> None:
    """Every enum of a message becomes its number, and no text that only looks like one."""
    numbered = number_enums(ANSWER, PAGE)
    job = numbered["jobs"][0]
    assert job["state"] == 5
    assert job["labels"] == JOB["labels"]
    assert job["jobSpec"]["workerPoolSpecs"][0] == {
        "machineSpec": {"machineType": "m", "acceleratorType": 5},
        "replicaCount": "1",
    }
    assert job["jobSpec"]["scheduling"] == {"strategy": 4}
    assert JOB["state"] == "JOB_STATE_FAILED"
    # As a number that has no name travels already.
    assert number_enums({"state": 99}, CUSTOM_JOB) == {"state": 99}
