"""The demo: a whole stack on this machine, and a pipeline whose training is a Vertex AI job."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zenml_vertex.local_stack.demo.summary import DemoSummary, format_history
from zenml_vertex.local_stack.environment import Operator
from zenml_vertex.local_stack.phases import Phases
from zenml_vertex.local_stack.start import start_local_stack
from zenml_vertex.local_stack.views.pipelines import Completed, PipelineProcess
from zenml_vertex.local_stack.views.vertex import (
    StateChange,
    VertexJobsView,
    short_state,
)

if TYPE_CHECKING:
    from zenml_vertex.local_stack.images import ImagePlan

Say = Callable[[str], None]

PIPELINE = Path(__file__).with_name("digits.py")
# The same with an image, for jobs that run in containers.
PIPELINE_WITH_IMAGE = Path(__file__).with_name("digits_image.py")

# What the pipeline needs, and takes seconds to import.
_IMPORTS = (
    "sklearn.datasets",
    "sklearn.svm",
    "zenml.integrations.gcp.artifact_stores.gcp_artifact_store",
    "zenml.integrations.numpy.materializers",
    "zenml.integrations.sklearn.materializers",
    "zenml.orchestrators.local.local_orchestrator",
)

# A machine is there at once and gone at once, so that the demo shows little else than itself.
_QUICK_MACHINE = ("--provisioning-seconds", "0.2", "--teardown-seconds", "0.2")

# Installing packages into an image, which prints nothing, takes a minute on two cores, and took
# more than four on a slow machine.
_SILENT_SECONDS = 900.0
# As long as for a server that starts: whoever watches sees that something happens.
_QUIET_SECONDS = 5.0
# A pipeline that is interrupted cancels its job and waits until it has ended.
_INTERRUPTED_SECONDS = 30.0
# The step ends before its job does: the machine is given back first.
_JOB_END_SECONDS = 30.0


class DemoError(Exception):
    """The pipeline or its job did not succeed."""


def run_demo(
    folder: Path, say: Say, *, images: "ImagePlan | None" = None, operator: Operator = "plugin"
) -> DemoSummary:
    """Run the demo.

    Every process that it starts has ended when it returns or raises.

    Args:
        folder: Folder for everything; made here, and left to the caller.
        say: Is told what happens, in single lines.
        images: As in `start_local_stack`.
        operator: As in `start_local_stack`.

    Raises:
        StartError: If a server does not start.
        DemoError: If the pipeline or its job does not succeed.
    """
    phases = Phases()
    # What points the built-in operator at the emulator reads the environment as Python starts.
    imports = _IMPORTS if operator == "plugin" else ()
    with start_local_stack(
        folder,
        progress=say,
        images=images,
        operator=operator,
        early_imports=imports,
        emulator_options=_QUICK_MACHINE,
    ) as stack:
        project = stack.make_project("digits", PIPELINE, PIPELINE_WITH_IMAGE)
        command = [PIPELINE.name]
        if stack.images:
            parent = stack.images.parent_image
            command = [PIPELINE_WITH_IMAGE.name, *([parent] if parent else [])]
        phases.begin("pipeline")
        say("Running the pipeline `digits`: load, train on Vertex AI, evaluate.")
        with stack.start_pipeline(project / command[0], *command[1:]) as process:
            try:
                completed = _follow(process, say)
            except (KeyboardInterrupt, SystemExit):
                _interrupt(process, stack.jobs, say)
                raise
        summary = _collect(completed, stack.jobs)
        phases.begin("clean-up")
        say("Stopping the servers.")
    phases.end()
    summary.seconds.update({**stack.seconds, **phases.seconds})
    return summary


def _follow(process: PipelineProcess, say: Say) -> Completed:
    """Say what a pipeline prints until it has ended, and for how long it has printed nothing.

    Raises:
        DemoError: If it neither ends nor prints anything for a quarter of an hour.
    """
    began = heard = time.monotonic()
    told = 0
    while True:
        before = told
        try:
            for line in process.lines(_QUIET_SECONDS, start=told):
                told += 1
                heard = time.monotonic()
                say(f"  | {line}")
        except TimeoutError as error:
            waited, silent = time.monotonic() - began, time.monotonic() - heard
            if silent >= _SILENT_SECONDS:
                raise DemoError(f"The pipeline has printed nothing for {silent:.0f} s.") from error
            if told == before:
                doing = "" if told else ", which is importing ZenML"
                say(f"Waiting for the pipeline{doing}: {waited:.0f} s.")
        else:
            return process.wait()


def _interrupt(process: PipelineProcess, jobs: VertexJobsView, say: Say) -> None:
    """Send the pipeline a Ctrl-C, wait until it has ended, and report the states of its jobs."""
    say("Interrupted; stopping the pipeline, which cancels its job.")
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_INTERRUPTED_SECONDS)
    except TimeoutError:
        say(f"The pipeline did not stop within {_INTERRUPTED_SECONDS:.0f} s; killing it.")
    for job in jobs.fetch_all():
        say(f"Vertex AI job {job['name']}: {short_state(job)}.")


def _collect(completed: Completed, jobs: VertexJobsView) -> DemoSummary:
    """Read what the run and its job report.

    Raises:
        DemoError: If either did not succeed.
    """
    run = completed.found_run
    if completed.returncode != 0 or run is None or run.status != "completed":
        status = f"; the run is `{run.status}`" if run else ""
        raise DemoError(
            f"The pipeline failed with exit status {completed.returncode}{status}. Its output is "
            "above."
        )
    job_name = run.step("train").job_name
    if job_name is None:
        raise DemoError("The step `train` has no Vertex AI job in its metadata.")
    history = _wait_for_history(jobs, job_name)
    if history[-1].state != "SUCCEEDED":
        raise DemoError(f"The job {job_name} did not succeed: {' '.join(format_history(history))}")
    evaluation = run.step("evaluate").metadata
    return DemoSummary(
        job_name=job_name,
        history=history,
        accuracy=float(evaluation["accuracy"]),
        test_images=int(evaluation["test_images"]),
        step_seconds={step.name: step.seconds or 0.0 for step in run.steps},
    )


def _wait_for_history(jobs: VertexJobsView, name: str) -> list[StateChange]:
    with suppress(TimeoutError):
        jobs.wait_until_terminal(name, _JOB_END_SECONDS)
    return jobs.fetch_history(name)
