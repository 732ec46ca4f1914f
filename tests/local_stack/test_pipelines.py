"""Pipelines on the shared stack, and what a test can read of them."""

import signal
from pathlib import Path

import pytest
import requests

from tests.support.leftovers import find_processes
from tests.support.pipelines import RunPipeline, StartPipeline
from tests.support.users import as_nobody, needs_root
from zenml_vertex.local_stack.stack import LocalStack, make_project

ONE_STEP = """
    import os
    import sys
    from pathlib import Path
    from zenml import log_metadata, pipeline, step

    @step(step_operator="vertex", enable_cache=False)
    def train(where: str) -> str:
        print("in the container")
        log_metadata({"zenml_home": os.environ.get("HOME", "")})
        if where == "nowhere":
            raise ValueError("there is no data")
        return os.environ["CLOUD_ML_JOB_ID"]

    @pipeline
    def one_step(where: str):
        train(where)

    if __name__ == "__main__":
        one_step(sys.argv[1])
"""

SLEEPER = """
    import threading
    from zenml import pipeline, step

    @step(step_operator="vertex", enable_cache=False)
    def wait_for_ever() -> None:
        print("it sleeps now", flush=True)
        threading.Event().wait()

    @pipeline
    def sleeper():
        wait_for_ever()

    if __name__ == "__main__":
        sleeper()
"""


def test_a_step_runs_as_a_job(local_stack: LocalStack, run_pipeline: RunPipeline) -> None:
    """A test can read the run, its step, the step's job and the job's output as plain data.

    The pipeline configures no images, and no secret is shown. ZenML's clients store no
    credentials on disk, where another client could read them half written.
    """
    completed = run_pipeline(ONE_STEP, "here")
    assert completed.returncode == 0, completed.output
    assert completed.run.status == "completed"
    step = completed.run.step("train")
    assert (step.status, step.error, step.version) == ("completed", None, 1)
    assert step.seconds is not None
    assert step.job_name is not None
    job = local_stack.jobs.wait_until_terminal(step.job_name, 30)
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert job in local_stack.jobs.fetch_all()
    states = [change.state for change in local_stack.jobs.fetch_history(step.job_name)]
    assert states == ["PENDING", "RUNNING", "SUCCEEDED"]
    written = local_stack.jobs.fetch_lines(step.job_name, "workerpool0-0")
    assert any("in the container" in line for line in written), written
    logs = [log.read_text("utf-8") for log in (local_stack.folder / "logs").iterdir()]
    for secret in local_stack.secrets:
        assert not any(secret in text for text in [completed.output, str(written), *logs])
    assert not list((local_stack.folder / "zenml-client").glob("credentials*"))
    # The job has a home folder of its own.
    assert Path(str(step.metadata["zenml_home"])).is_relative_to(local_stack.folder / "vertex")


def test_the_flavor_is_this_package(local_stack: LocalStack) -> None:
    """The tests run this package's operator and not ZenML's built-in one of the same name."""
    assert local_stack.flavor_source == "zenml_vertex.flavor.VertexStepOperatorFlavor"


def test_the_dashboard_asks_its_user_nothing(local_stack: LocalStack) -> None:
    """The user has answered ZenML's survey, so that the dashboard begins with the pipelines."""
    user = local_stack.records.fetch("/current-user", {})
    assert user["body"]["email_opted_in"] is False
    assert user["metadata"]["user_metadata"]["finished_onboarding_survey"] is True


def test_the_zenml_server_needs_its_password(local_stack: LocalStack) -> None:
    """Any user of the machine could read the runs, and register code that the next run loads."""
    api = f"{local_stack.zenml_url}/api/v1"
    for path in ("/current-user", "/pipelines", "/runs", "/flavors", "/secrets"):
        assert requests.get(api + path, timeout=30).status_code == 401
    for password in ("", "default", "zenml"):
        form = {"username": "default", "password": password}
        assert requests.post(f"{api}/login", data=form, timeout=30).status_code in {401, 422}


def test_a_page_of_another_server_gets_no_use_of_the_dashboards_login(
    local_stack: LocalStack,
) -> None:
    """A page of any server, open where the dashboard is logged in, could make itself an account."""
    api = f"{local_stack.zenml_url}/api/v1"
    form = {
        "username": "default",
        "password": local_stack.environment["ZENML_DEFAULT_USER_PASSWORD"],
    }
    own = {"Origin": local_stack.zenml_url}
    with requests.Session() as browser:
        assert browser.post(f"{api}/login", data=form, headers=own, timeout=30).ok
        assert browser.get(f"{api}/current-user", headers=own, timeout=30).ok
        for headers in ({"Origin": "http://127.0.0.1:9999"}, {"Host": "evil.example"}):
            account = {"name": "evil", "active": True}
            answer = browser.post(
                f"{api}/service_accounts", json=account, headers=headers, timeout=30
            )
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = requests.options(f"{api}/service_accounts", headers=asked, timeout=30)
    assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (403, False)


@needs_root
def test_the_emulators_answer_nobody_else(local_stack: LocalStack) -> None:
    """Any user of the machine could read the token of a run, and replace a step's code."""
    for url in (
        f"{local_stack.emulator_url}/emulator/requests",
        f"{local_stack.storage_url}/storage/v1/b",
    ):
        assert requests.get(url, timeout=30).status_code == 200
        with as_nobody():
            assert requests.get(url, timeout=30).status_code == 403


def test_a_failed_step_is_returned_with_its_error(run_pipeline: RunPipeline) -> None:
    """A failed run is returned with exit status, statuses and the step's own message."""
    completed = run_pipeline(ONE_STEP, "nowhere")
    assert completed.returncode != 0
    assert completed.run.status == "failed"
    step = completed.run.step("train")
    assert step.status == "failed"
    assert "there is no data" in str(step.error)


def test_a_script_without_a_run_is_reported(run_pipeline: RunPipeline) -> None:
    """Asking for the run of a script that started none is an error that shows its output."""
    completed = run_pipeline("print('nothing to do')")
    assert completed.returncode == 0
    with pytest.raises(LookupError, match="nothing to do"):
        _ = completed.run


def test_a_line_can_be_waited_for_and_a_signal_sent(
    local_stack: LocalStack, start_pipeline: StartPipeline
) -> None:
    """Ctrl-C while the job runs reaches the pipeline, and the job's process ends."""
    process = start_pipeline(SLEEPER)
    match = process.wait_for_line(r"customJobs/(\d+)")
    name = f"projects/{local_stack.jobs.project}/locations/{local_stack.jobs.region}/{match[0]}"
    process.wait_for_line("RUNNING")
    process.send_signal(signal.SIGINT)
    completed = process.wait(60)
    assert completed.returncode != 0
    assert local_stack.jobs.fetch(name)["state"] == "JOB_STATE_CANCELLED"
    assert not find_processes(local_stack.folder / "vertex" / "jobs" / match[1])


def test_a_pipeline_that_is_still_running_is_ended(local_stack: LocalStack, tmp_path: Path) -> None:
    """Leaving the block ends the process, whatever it is doing."""
    script = make_project(tmp_path, "p") / "script.py"
    script.write_text("import signal\nprint('up')\nsignal.pause()\n")
    with local_stack.start_pipeline(script) as process:
        process.wait_for_line("up")
        with pytest.raises(TimeoutError, match="up"):
            process.wait(0.01)
        with pytest.raises(TimeoutError, match="No line with 'down'"):
            process.wait_for_line("down", seconds=0.01)
    assert process.wait().returncode == -signal.SIGTERM
