"""A client that loses an answer, on an emulator whose clock the test moves."""

import requests

from vertex_emulator import (
    ManualClock,
    MemoryStore,
    Script,
    ScriptedRuntime,
    Timings,
    VertexEmulator,
)
from vertex_emulator.faults import AnswerLost, Preemption

JOB = {
    "displayName": "train",
    "labels": {"attempt": "a1"},
    "jobSpec": {
        "workerPoolSpecs": [
            {
                "machineSpec": {"machineType": "n1-standard-4"},
                "containerSpec": {"imageUri": "image", "command": ["python", "train.py"]},
            }
        ]
    },
}


def main() -> None:
    """Plan two faults, see that they happen, and that the job lives through them."""
    clock = ManualClock()
    with VertexEmulator(
        clock=clock,
        runtime=ScriptedRuntime(lambda _: Script(seconds=600)),
        store=MemoryStore(),
        timings=Timings(queueing=5, provisioning=180, teardown=50),
    ) as emulator:
        jobs = f"{emulator.url}/v1/projects/my-project/locations/us-central1/customJobs"
        with emulator.faults.planned(AnswerLost("create"), Preemption(after=60)):
            try:
                requests.post(jobs, json=JOB, timeout=10)
            except requests.ConnectionError:
                print("create: no answer")
            query = {"filter": 'labels.attempt="a1"'}
            (job,) = requests.get(jobs, params=query, timeout=10).json()["customJobs"]
            print("found by its label:", job["state"])
            clock.advance(3600)
        print(*[state.name for state, _ in emulator.job(job["name"]).history])


if __name__ == "__main__":
    main()
