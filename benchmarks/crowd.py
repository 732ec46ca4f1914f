"""Processes that wait for a step each, on a stack: what they cost its ZenML server.

The processes, the server and the artifact store are real; the jobs run for ever, and the steps
end when this program reports that they have. As a program, prints what it has measured.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from statistics import median
from typing import Any
from uuid import UUID, uuid4

from benchmarks.server_requests import RunningJobs
from benchmarks.simulated_vertex import PARENT
from zenml_vertex.clock import SystemClock
from zenml_vertex.container.finish_note import StoredNotes, leave_note
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.following.progress import StepLog
from zenml_vertex.following.watcher import Watcher
from zenml_vertex.job.identity import Attempt, JobName

# What a process that waits imports: once, before it is copied.
_MODULES = (
    "zenml.client",
    "zenml.integrations.gcp.artifact_stores.gcp_artifact_store",
    "zenml.log_stores.artifact.artifact_log_store",
    "zenml.orchestrators.publish_utils",
    "zenml_vertex.steps.operator",
)
_ANSWERS = 30
# Between two ends, so that they do not disturb each other.
_APART_SECONDS = 0.5
# Until a process that waits has made its connections.
_SETTLING_SECONDS = 3.0


def _create_step_runs(held_id: str, count: int) -> tuple[str, list[str]]:
    """Step runs that run, in the pipeline run of another; their pipeline run."""
    from zenml.client import Client
    from zenml.config.step_configurations import Step
    from zenml.enums import ExecutionStatus
    from zenml.models import StepRunRequest
    from zenml.utils.time_utils import utc_now

    held = Client().get_run_step(UUID(held_id))
    step = Step(spec=held.spec, config=held.config, step_config_overrides=held.config)
    found = []
    for _ in range(count):
        request = StepRunRequest(
            project=held.project_id,
            name=f"{held.name}_{uuid4()}",
            pipeline_run_id=held.pipeline_run_id,
            start_time=utc_now(),
            status=ExecutionStatus.RUNNING,
            dynamic_config=step,
        )
        found.append(str(Client().zen_store.create_run_step(request).id))
    return str(held.pipeline_run_id), found


def _wait(run_id: str, step_run_id: str, ready: int, done: int) -> None:
    """What a process does that waits for a step."""
    from zenml.client import Client

    from zenml_vertex.steps.run_stores import find_artifact_store

    operator: Any = Client().active_stack.step_operator
    clock, jobs = SystemClock(), RunningJobs([step_run_id])
    notes = StoredNotes(find_artifact_store)
    watcher = Watcher(jobs, operator.step_runs, clock, PARENT, notes=notes)
    watcher.follow(
        JobFollower(
            step=StepLog("train"),
            name=JobName.parse(jobs.jobs[0]["name"]),
            attempt=Attempt(step_run_id),
            run_id=run_id,
            reports_itself=True,
            step_runs=operator.step_runs,
            clock=clock,
        )
    )
    watcher.poll(step_run_id)
    os.write(ready, b".")
    watcher.wait(step_run_id)
    os.write(done, f"{step_run_id} {time.time()}\n".encode())


def _end_after(life: int) -> None:
    """End this process with the one that has started it."""
    os.read(life, 1)
    os._exit(1)


def _start(run_id: str, step_run_ids: Sequence[str]) -> tuple[list[int], int]:
    """Start a process for each step; what they say when their steps have finished."""
    for module in _MODULES:
        import_module(module)
    (ready, is_ready), (done, is_done), (life, is_alive) = os.pipe(), os.pipe(), os.pipe()
    children = []
    for step_run_id in step_run_ids:
        child = os.fork()
        if child == 0:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.close(is_alive)
            threading.Thread(target=_end_after, args=[life], daemon=True).start()
            try:
                _wait(run_id, step_run_id, is_ready, is_done)
            finally:
                os._exit(0)
        children.append(child)
    os.close(is_ready)
    os.close(is_done)
    for _ in step_run_ids:
        if not os.read(ready, 1):
            raise RuntimeError("A process that should wait has ended.")
    return children, done


def _read_cpu(server: int) -> float:
    import psutil

    times = psutil.Process(server).cpu_times()
    return float(times.user + times.system)


def _measure(server: int, seconds: float, run_id: str, ids: Sequence[str]) -> Mapping[str, Any]:
    children, done = _start(run_id, ids)
    time.sleep(_SETTLING_SECONDS)
    before = _read_cpu(server)
    time.sleep(seconds)
    share = (_read_cpu(server) - before) / seconds

    from zenml.client import Client
    from zenml.orchestrators.publish_utils import publish_successful_step_run

    store = Client().active_stack.artifact_store
    user, answers = Client().zen_store, []
    user.get_user()
    before = _read_cpu(server)
    for _ in range(_ANSWERS):
        began = time.monotonic()
        user.get_user()
        answers.append(time.monotonic() - began)
        time.sleep(_APART_SECONDS / 5)
    ended: dict[str, float] = {}
    for step_run_id in ids:
        ended[step_run_id] = time.time()
        publish_successful_step_run(UUID(step_run_id), output_artifact_ids={})
        leave_note(store, run_id, Attempt(step_run_id))
        time.sleep(_APART_SECONDS)
    lags = []
    with os.fdopen(done) as lines:
        for line in lines:
            step_run_id, text = line.split()
            lags.append(float(text) - ended[step_run_id])
    for child in children:
        os.waitpid(child, 0)
    return {"percent": 100 * share, "answer": 1000 * median(answers), "lags": lags}


def _measure_question(server: int, held_id: str) -> float:
    """Seconds of the server's processor for one question."""
    from zenml.client import Client

    operator: Any = Client().active_stack.step_operator
    operator.step_runs.status(held_id)
    before = _read_cpu(server)
    for _ in range(_ANSWERS):
        operator.step_runs.status(held_id)
    return (_read_cpu(server) - before) / _ANSWERS


def main() -> None:
    """Do what the command line says: create step runs, wait for them, or ask."""
    verb, *arguments = sys.argv[1:]
    if verb == "create":
        print(json.dumps(_create_step_runs(arguments[0], int(arguments[1]))))
    elif verb == "question":
        print(json.dumps(_measure_question(int(arguments[0]), arguments[1])))
    else:
        server, seconds, run_id, *ids = arguments
        print(json.dumps(_measure(int(server), float(seconds), run_id, ids)))


if __name__ == "__main__":
    main()
