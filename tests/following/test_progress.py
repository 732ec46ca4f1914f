"""Progress as the user reads it."""

from datetime import datetime, timezone

import pytest

from tests.support.fakes import CreateFault
from tests.support.worlds import RUN, START, STEP, Submitted, Watched
from zenml_vertex.errors import PermissionDenied, ServerUnreachable, ServiceUnavailable
from zenml_vertex.following.progress import ProgressLog, StepLog
from zenml_vertex.following.protocols import StepRunNews
from zenml_vertex.job.identity import RUN_LABEL, STEP_RUN_LABEL, JobName
from zenml_vertex.job.raised import Raised
from zenml_vertex.job.request import JobJson

NAME = JobName.parse("projects/123/locations/us-central1/customJobs/456")
CREATED = "2026-02-19T17:06:23.5Z"
STARTED = "2026-02-19T17:06:24Z"
ENDED = "2026-02-19T17:06:28.6Z"


def test_the_log_says_what_a_search_has_found(caplog: pytest.LogCaptureFixture) -> None:
    """A search that finds nothing is reported, after a lost request and after a Ctrl-C."""
    caplog.set_level("INFO")
    lost = ServiceUnavailable("Vertex AI gave no answer.", code=503)
    Submitted(CreateFault(lost, has_effect=False)).submit()
    assert "Step `train`: no job was found; creating it again." in caplog.text
    with pytest.raises(KeyboardInterrupt):
        Submitted(CreateFault(KeyboardInterrupt(), has_effect=False)).submit()
    assert "Step `train`: Ctrl-C: unclear whether a job was created" in caplog.text
    assert "Step `train`: no job was found." in caplog.text


def build_job(state: str, start: str | None = None, end: str | None = None) -> JobJson:
    """Build a job in a state, with its own times."""
    times = {"createTime": CREATED, "startTime": start, "endTime": end}
    return {"state": f"JOB_STATE_{state}", **{key: time for key, time in times.items() if time}}


@pytest.mark.parametrize(
    ("jobs", "lines"),
    [
        (
            [
                build_job("QUEUED"),
                build_job("PENDING"),
                build_job("PENDING"),
                build_job("RUNNING", STARTED),
                build_job("SUCCEEDED", STARTED, ENDED),
            ],
            [
                "QUEUED.",
                "PENDING.",
                "RUNNING, started 0.5 s after it was created.",
                "SUCCEEDED after running for 4.6 s.",
            ],
        ),
        # Between two polls.
        (
            [build_job("PENDING"), build_job("SUCCEEDED", STARTED, ENDED)],
            ["PENDING.", "SUCCEEDED, started 0.5 s after it was created, ran for 4.6 s."],
        ),
        ([build_job("FAILED", end=ENDED)], ["FAILED 5.1 s after it was created."]),
        # Cancelled before it ran.
        (
            [build_job("CANCELLED", "2026-02-19T17:06:23.62Z", ENDED)],
            ["CANCELLED 5.1 s after it was created."],
        ),
        (
            [build_job("RUNNING", STARTED), build_job("CANCELLED", STARTED, ENDED)],
            [
                "RUNNING, started 0.5 s after it was created.",
                "CANCELLED after running for 4.6 s.",
            ],
        ),
        # Started again on another machine.
        (
            [
                build_job("RUNNING", STARTED),
                build_job("PENDING", STARTED),
                build_job("RUNNING", STARTED),
            ],
            ["RUNNING, started 0.5 s after it was created.", "PENDING.", "RUNNING again."],
        ),
        # Times that are not there.
        ([{"state": "JOB_STATE_RUNNING"}], ["RUNNING."]),
        ([{"state": "JOB_STATE_FAILED", "endTime": 5}], ["FAILED."]),
    ],
)
def test_each_change_of_state_is_one_line_with_the_jobs_own_times(
    jobs: list[JobJson], lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A state is logged once, with the time that the job itself says it took."""
    caplog.set_level("INFO")
    progress = ProgressLog(StepLog("train").of(NAME))
    for job in jobs:
        progress.see(job)
    assert caplog.messages == [f"Step `train` (job 456): {line}" for line in lines]


def test_of_two_steps_each_line_tells_whose_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever happens to a job that is followed, the line about it names its step and its ID."""
    caplog.set_level("INFO")
    world = Watched()
    labels = {RUN_LABEL: RUN, STEP_RUN_LABEL: "raises"}
    world.follow(build_job("RUNNING", STARTED), step_run_id="raises")
    world.jobs.script("JOB_STATE_RUNNING", labels=labels)
    world.follow("JOB_STATE_PENDING", "99", step_run_id="lost")
    refused = PermissionDenied("Vertex AI answered 403.", code=403)
    world.follow(refused, refused, "JOB_STATE_FAILED", step_run_id="fails")
    world.follow("JOB_STATE_RUNNING", step_run_id="stops")
    world.report(at=START + 20, step_run_id="raises", status="failed")
    world.report(at=START + 20, step_run_id="stops", status="stopping")
    world.watcher.cancel("lost")
    for step_run_id in ("raises", "lost", "fails", "stops"):
        world.watcher.wait(step_run_id)
    text = "\n".join(caplog.messages)
    for job, what in {
        1: "RUNNING, started 0.5 s after it was created.",
        5: "the step is stopping; giving its container 5 min to exit.",
        3: "cancelling the job.",
        4: "Vertex AI answered 403. Trying again.",
    }.items():
        assert f"(job {job}): {what}" in text
    assert [line for line in caplog.messages if not line.startswith("Step `train` (job ")] == []


def test_a_retry_is_told_from_the_first_try() -> None:
    """A step that ZenML tries again has another job, and its lines say so."""
    assert str(StepLog("train").of(NAME)) == "Step `train` (job 456)"
    assert str(StepLog("train", retry=2).of(NAME)) == "Step `train`, retry 2 (job 456)"


@pytest.mark.parametrize("is_polled_first", [True, False])
@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            Raised("ValueError", "no data\nat all.", "train.py, line 12"),
            ": ValueError: no data at all (train.py, line 12). The traceback is in ZenML's",
        ),
        (None, ". If its code raised, the traceback is in ZenML's"),
        (ServerUnreachable("no answer"), ". If its code raised, the traceback is in ZenML's"),
    ],
)
def test_the_line_on_a_failed_step_says_what_its_code_raised(
    raised: Raised | Exception | None,
    said: str,
    caplog: pytest.LogCaptureFixture,
    *,
    is_polled_first: bool,
) -> None:
    """Whoever notices it first: what, where, and one short command that shows the traceback.

    The command can be pasted, and has the ID of the project. A server that does not say what
    was raised does not keep the step from ending.
    """
    caplog.set_level("INFO")
    world = Watched()
    if raised:
        world.step_runs.raised[STEP] = raised
    world.report(at=START if is_polled_first else START + 60, status="failed")
    follower = world.follow("JOB_STATE_RUNNING")
    follower.name = NAME.created_in("projects/my-project/locations/us-central1")
    if is_polled_first:
        follower.see_job(build_job("FAILED", STARTED, ENDED))
    else:
        follower.see_reported(StepRunNews("failed"))
    (line,) = (line for line in caplog.messages if "traceback" in line)
    assert line.startswith(f"Step `train` (job 456): the step failed{said}")
    command = "gcloud ai custom-jobs stream-logs 456 --region=us-central1 --project=my-project"
    assert line.endswith(f" dashboard, and in the job's log: {command}")
    assert follower.status == "failed"


def test_a_step_that_called_sys_exit_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """ZenML says no more than the bare number, so the line names the call; no traceback helps."""
    caplog.set_level("INFO")
    world = Watched()
    world.step_runs.raised[STEP] = Raised("SystemExit", "2")
    world.follow("JOB_STATE_RUNNING").see_reported(StepRunNews("failed"))
    assert caplog.messages == [
        "Step `train` (job 1): the step failed: its code called sys.exit(2)."
    ]


@pytest.mark.parametrize("outcome", ["completed", "failed", "stopped"])
def test_the_line_on_a_finished_step_says_how_long_it_ran(
    outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    """From the job's own start to the end that ZenML has recorded, whenever it is noticed."""
    caplog.set_level("INFO")
    follower = Watched().follow("JOB_STATE_RUNNING")
    follower.see_job(build_job("RUNNING", STARTED))
    end_time = datetime(2026, 2, 19, 17, 8, 29, tzinfo=timezone.utc)
    follower.see_reported(StepRunNews(outcome, end_time))
    assert f"{outcome} after 2 min 5 s" in caplog.messages[-1]
