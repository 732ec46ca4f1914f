"""What is believed of a job's name in the metadata of a step run, which its step can write."""

import logging
from typing import Any

import pytest

from tests.support.fakes import PARENT, CreateFault
from tests.support.worlds import JOB, LABELS, STEP_RUN, Submitted
from zenml_vertex.errors import PermissionDenied, ServiceUnavailable
from zenml_vertex.job.identity import SERVER_LABEL, STEP_RUN_LABEL

OURS = "zenml_vertex.job_name"
INTENT = {"zenml_vertex.parent": PARENT}
BUILTIN_LABELS = {"source": "zenml-0_98_0"}


def add_builtin_job(world: Submitted, display_name: str = "run-train", **labels: str) -> str:
    """Add a job as the built-in operator creates it."""
    job = {"state": "JOB_STATE_RUNNING", "displayName": display_name}
    return world.jobs.script(job, labels={**BUILTIN_LABELS, **labels})


@pytest.mark.parametrize(
    "name",
    [
        "projects/123/locations/evil.example:8443?/customJobs/1",
        "projects/123/locations/evil.example/customJobs/1",
        "projects/victim/locations/us-central1/customJobs/2",
        f"{PARENT}/customJobs/404",
        f"{PARENT}/customJobs/1/../2",
        "\x1b]0;title\x07",
        "",
        None,
        7,
        ["projects/123/locations/europe-west4/customJobs/2"],
        {"a": 1},
    ],
    ids=repr,
)
def test_a_step_cannot_choose_where_its_job_is_asked_for(
    name: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A step, or whoever holds the run's token, got the submitter's token for a host in the name.

    Project and region are those of the settings, and the step's own job is found by its labels.
    """
    world = Submitted()
    own = world.submit()
    world.jobs.script("JOB_STATE_RUNNING", labels={STEP_RUN_LABEL: "a-step-run-of-another-team"})
    asked: list[str] = []
    read = world.jobs.get

    def get(asked_name: str) -> Any:
        asked.append(asked_name)
        return read(asked_name)

    world.jobs.get = get  # type: ignore[method-assign, assignment]
    recorded = {**world.recorded, OURS: name, "job_name": name}
    assert world.open().resume(recorded) == own
    assert world.submit(recorded) == own
    assert len(world.jobs.created) == 1
    assert world.jobs.cancelled == []
    assert all(asked_name.startswith(f"{PARENT}/customJobs/") for asked_name in asked)
    assert "\x1b" not in caplog.text


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {STEP_RUN_LABEL: STEP_RUN},
        {**LABELS, STEP_RUN_LABEL: "0f8fad5b"},
        {**LABELS, SERVER_LABEL: "with-a-copy-of-the-database"},
        BUILTIN_LABELS,
    ],
    ids=repr,
)
@pytest.mark.parametrize("key", [OURS, "job_name"])
def test_a_step_cannot_pass_off_another_job_as_its_own(
    labels: dict[str, str], key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A step that named another team's job had it cancelled, or its status taken for the step's."""
    world = Submitted()
    theirs = world.jobs.script(
        {"state": "JOB_STATE_RUNNING", "displayName": "run-train"}, labels=labels
    )
    assert world.open().resume({**INTENT, key: theirs}) is None
    assert ("is not the job of this step run" in caplog.text) == (key == OURS)
    assert str(world.submit({**INTENT, key: theirs})) != theirs
    assert world.jobs.cancelled == []


@pytest.mark.parametrize("parent", ["projects/victim/locations/us-central1", "?", 7, None])
def test_a_step_cannot_choose_where_jobs_are_searched(parent: object) -> None:
    """A step that wrote the place of its job had jobs of that place adopted and cancelled."""
    world = Submitted()
    created = world.jobs.create(PARENT, JOB)
    found = world.open().resume({"zenml_vertex.parent": parent})
    assert str(found) == created["name"]
    assert found
    assert found.project_id == "123"


def test_a_job_without_the_servers_label_is_not_adopted() -> None:
    """A client of a copy of the server's database does not adopt, or cancel, the original's job."""
    world = Submitted(CreateFault(ServiceUnavailable("no answer"), has_effect=False))
    theirs = world.jobs.script("JOB_STATE_RUNNING", labels={**LABELS, SERVER_LABEL: "original"})
    assert str(world.submit()) != theirs
    assert world.jobs.cancelled == []


@pytest.mark.parametrize("is_submit", [True, False])
def test_a_job_of_the_builtin_operator_is_followed_too(*, is_submit: bool) -> None:
    """A job that ZenML's built-in operator submitted is followed instead of submitted again."""
    world = Submitted()
    name = add_builtin_job(world)
    recorded = {"job_name": name}
    found = world.submit(recorded) if is_submit else world.open().resume(recorded)
    assert str(found) == name
    assert world.jobs.created == []


@pytest.mark.parametrize(
    "changes",
    [
        {"display_name": "another_run-train"},
        {"display_name": "run-other"},
        {STEP_RUN_LABEL: STEP_RUN},
        {"source": "zenml-vertex-1_0"},
        {"source": ""},
    ],
    ids=repr,
)
def test_no_other_job_is_taken_for_the_builtin_operators(changes: dict[str, str]) -> None:
    """The key `job_name`, which steps use too, names no job but the built-in's for this step."""
    world = Submitted()
    recorded = {"job_name": add_builtin_job(world, **changes)}
    assert world.open().resume(recorded) is None
    assert world.jobs.created == []


def test_a_job_that_cannot_be_read_now_is_not_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """While Vertex AI does not answer, or permission is missing, there is an error and no new job.

    A name that is believed logs nothing.
    """
    caplog.set_level(logging.INFO)
    world = Submitted()
    name = world.submit()
    for error in (ServiceUnavailable("no answer", code=503), PermissionDenied("no", code=403)):
        world.jobs.scripts[str(name)] = [error]
        with pytest.raises(type(error)):
            world.open().resume(world.recorded)
    caplog.clear()
    world.jobs.scripts[str(name)] = ["JOB_STATE_RUNNING"]
    assert world.open().resume(world.recorded) == name
    assert caplog.text == ""
    assert len(world.jobs.created) == 1
