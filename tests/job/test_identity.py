"""Names and labels of jobs, attempts and replicas."""

import json
import shlex
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.following.metadata import build_job_metadata
from zenml_vertex.job.diagnosis import diagnose
from zenml_vertex.job.identity import (
    Attempt,
    JobName,
    Replica,
    build_display_name,
    build_labels,
    clean_label_value,
)


def test_a_resource_name_is_parsed_and_formatted() -> None:
    """A resource name is parsed into project, region and job ID, and formats back unchanged."""
    name = JobName.parse("projects/123/locations/europe-west4/customJobs/456")
    assert (name.project, name.location, name.job_id) == ("123", "europe-west4", "456")
    assert str(name) == "projects/123/locations/europe-west4/customJobs/456"
    assert name.parent == "projects/123/locations/europe-west4"


@pytest.mark.parametrize("text", ["", "456", "projects/1/locations/l/customJobs/", "a/b/c/d/e/f"])
def test_an_invalid_resource_name_is_refused(text: str) -> None:
    """Text that is not the resource name of a custom job is refused when it is parsed."""
    with pytest.raises(VertexStepOperatorError):
        JobName.parse(text)


@pytest.mark.parametrize("part", ["project", "location", "job"])
@pytest.mark.parametrize(
    "text",
    [
        "evil.example:8443?",
        "evil.example#",
        "user@evil.example",
        "evil.example\\",
        "..",
        "%2e%2e",
        "--impersonate-service-account=a",
        "a b",
        "a\n",
        "$(id)",
        "`id`",
        "\x1b[2J",
        "\u0661\u0662",
        "a" * 64,
    ],
)
def test_a_name_whose_parts_could_be_anything_else_is_refused(part: str, text: str) -> None:
    """A step that writes its job's name as metadata cannot make it a host, a path or an option.

    A location `evil.example:8443?` became the API's host, and got the submitter's token.
    """
    parts = {"project": "123", "location": "europe-west4", "job": "456", part: text}
    with pytest.raises(VertexStepOperatorError) as caught:
        JobName.parse(
            f"projects/{parts['project']}/locations/{parts['location']}/customJobs/{parts['job']}"
        )
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("project", ["123", "my-project-1", "example.com:my-project"])
def test_every_form_of_a_project_is_taken(project: str) -> None:
    """Numbers, IDs, and IDs that belong to a domain are projects."""
    text = f"projects/{project}/locations/northamerica-northeast1/customJobs/1234567890123456789"
    assert str(JobName.parse(text)) == text


@given(run_name=st.text(max_size=300), step_name=st.text(min_size=1, max_size=300))
def test_a_display_name_never_exceeds_128_characters(run_name: str, step_name: str) -> None:
    """A display name has at most 128 characters, however long the names of run and step are."""
    display_name = build_display_name(run_name, step_name)
    assert 1 <= len(display_name) <= 128
    assert step_name[:128] in display_name


@given(st.text(max_size=200))
def test_a_label_value_is_always_valid(text: str) -> None:
    """A label value has at most 63 characters, all of `[a-z0-9_-]`."""
    value = clean_label_value(text)
    assert len(value) <= 63
    assert set(value) <= set(string.ascii_lowercase + string.digits + "_-")


def test_labels_say_which_run_step_and_attempt_a_job_belongs_to() -> None:
    """A job's labels hold its run, step and attempt, so it can be found by each of them."""
    assert build_labels(
        server_id="B2A0C0F2-29C1-445A-909A-7E2F899A4049",
        run_id="0f8fad5b-d9cb-469f-a165-70867728950e",
        attempt=Attempt("7C9E6679-7425-40de-944b-e07fc1f90ae7", 2),
        step_name="Train Model",
        pipeline_name="digits",
        version="1.2.3",
        client="c0ffee",
    ) == {
        "source": "zenml-vertex-1_2_3",
        "zenml-server-id": "b2a0c0f2-29c1-445a-909a-7e2f899a4049",
        "zenml-run-id": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "zenml-step-run-id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "zenml-attempt": "2",
        "zenml-step": "train_model",
        "zenml-pipeline": "digits",
        "zenml-client": "c0ffee",
    }


def test_an_attempt_is_read_from_its_labels() -> None:
    """The attempt read from a job's labels is the one that wrote them, whatever its case."""
    attempt = Attempt("Step-Run", 2)
    labels = build_labels(
        server_id="s",
        run_id="r",
        attempt=attempt,
        step_name="n",
        pipeline_name="p",
        version="1",
        client="c",
    )
    assert Attempt.read(labels) == attempt.as_labelled
    assert Attempt.read(labels) != Attempt("Step-Run").as_labelled


def test_a_job_without_an_attempt_label_is_the_first_attempt() -> None:
    """A job of an earlier version, which wrote no attempt label, counts as the first attempt."""
    assert Attempt.read({"zenml-step-run-id": "a"}) == Attempt("a", 1)


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"zenml-attempt": "1"},
        {"zenml-step-run-id": "", "zenml-attempt": "1"},
        {"zenml-step-run-id": "a" * 64, "zenml-attempt": "1"},
        *(
            {"zenml-step-run-id": "a", "zenml-attempt": number}
            for number in ("first", "", "0", "-1", "1.5", "9" * 10, "9" * 5000)
        ),
    ],
)
def test_labels_without_a_valid_attempt_belong_to_no_attempt(labels: dict[str, str]) -> None:
    """Labels of another program, or with an attempt number that cannot be read, give no attempt."""
    assert Attempt.read(labels) is None


@pytest.mark.parametrize(
    ("task", "pool", "index"),
    [
        ({"type": "workerpool0", "index": 0, "trial": ""}, 0, 0),
        ({"type": "workerpool1", "index": 2}, 1, 2),
    ],
)
def test_a_container_knows_which_replica_it_is(
    task: dict[str, object], pool: int, index: int
) -> None:
    """A container knows its replica from Vertex AI's CLUSTER_SPEC, and its attempt from the job."""
    spec = json.dumps({"cluster": {}, "environment": "cloud", "task": task})
    replica = Replica.read("a", {"ZENML_VERTEX_ATTEMPT": "2", "CLUSTER_SPEC": spec})
    assert replica == Replica(Attempt("a", 2), pool, index)
    assert replica.task_name == f"workerpool{pool}-{index}"
    assert str(replica) == f"a-2-workerpool{pool}-{index}"


@pytest.mark.parametrize(
    "spec",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        "9" * 5000,
        "[" * 100_000,
        '{"task": {}}',
        '{"task": []}',
        '{"task": {"type": "chief", "index": 0}}',
        '{"task": {"type": "workerpool1"}}',
        '{"task": {"type": ["workerpool1"], "index": 1}}',
        f'{{"task": {{"type": "workerpool{"9" * 5000}", "index": 1}}}}',
        *(
            f'{{"task": {{"type": "workerpool1", "index": {index}}}}}'
            for index in (
                "Infinity",
                "NaN",
                "1e400",
                "1.5",
                "-1",
                "null",
                "true",
                "[1]",
                "9" * 5000,
            )
        ),
    ],
    ids=lambda spec: str(spec)[:50],
)
def test_a_container_without_replica_information_is_the_primary_replica(spec: str | None) -> None:
    """Without that information, a container is the primary replica of the first attempt."""
    environ = {} if spec is None else {"CLUSTER_SPEC": spec}
    assert Replica.read("a", environ) == Attempt("a").primary


@pytest.mark.parametrize("number", ["", "0", "-1", "first", "Infinity", "1.5", "9" * 5000])
def test_a_container_without_a_valid_attempt_number_is_the_first_attempt(number: str) -> None:
    """Whatever stands in the attempt's variable, a container can claim its step."""
    assert Replica.read("a", {"ZENML_VERTEX_ATTEMPT": number}) == Attempt("a").primary


def test_commands_have_the_projects_id_where_it_is_known() -> None:
    """Names have the project's number, which some commands of gcloud refuse; a create has the ID.

    A shell reads the command as it is meant.
    """
    name = JobName.parse("projects/123/locations/europe-west4/customJobs/45")
    known = name.created_in("projects/my-project/locations/europe-west4")
    assert known == name
    assert shlex.split(known.stream_logs_command)[-3:] == [
        "45",
        "--region=europe-west4",
        "--project=my-project",
    ]
    for nothing in (None, "", "my-project", {"a": 1}):
        assert name.created_in(nothing).build_command("cancel").endswith("--project=123")


def test_a_job_that_no_console_shows_has_no_links() -> None:
    """The diagnosis of an emulator's job, its metadata and its first line led to a dead page."""
    name = JobName.parse("projects/1/locations/r/customJobs/5")
    assert name.console_url in build_job_metadata(name).values()
    hidden = name.created_in("projects/demo/locations/r", has_console=False)
    assert (hidden, hidden.project_id) == (name, "demo")
    assert "https:" not in str(build_job_metadata(hidden))
    text = diagnose({"state": "JOB_STATE_EXPIRED"}).describe(hidden)
    assert "\nLogs: gcloud ai custom-jobs stream-logs 5 " in text
    assert "https:" not in text
