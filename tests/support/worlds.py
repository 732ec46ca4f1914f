"""The surroundings in which jobs are submitted and watched: fakes and a manual clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.fakes import (
    PARENT,
    SERVER,
    CreateFault,
    InMemoryJobs,
    InMemoryNotes,
    InMemoryStepRuns,
    ManualClock,
)
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.following.progress import StepLog
from zenml_vertex.following.submission import Submission
from zenml_vertex.following.watcher import Watcher
from zenml_vertex.job.identity import RUN_LABEL, SERVER_LABEL, STEP_RUN_LABEL, Attempt, JobName
from zenml_vertex.job.request import JobJson
from zenml_vertex.job.states import interpret

RUN = "pipeline-run"
STEP = "step-run"
START = 1000.0
STEP_RUN = "6a1f"
LABELS = {STEP_RUN_LABEL: STEP_RUN, SERVER_LABEL: SERVER}
JOB = {"displayName": "run-train", "labels": LABELS}


@dataclass
class Watched:
    """A watcher and everything around it."""

    jobs: InMemoryJobs = field(default_factory=InMemoryJobs)
    step_runs: InMemoryStepRuns = field(default_factory=InMemoryStepRuns)
    clock: ManualClock = field(default_factory=ManualClock)
    notes: InMemoryNotes | None = None

    def __post_init__(self) -> None:
        self.watcher = self.new_watcher()

    def new_watcher(self) -> Watcher:
        """Return the watcher of another process."""
        return Watcher(
            self.jobs, self.step_runs, self.clock, PARENT, notes=self.notes, draw=lambda: 0.0
        )

    def follow(
        self,
        *script: str | JobJson | Exception,
        step_run_id: str = STEP,
        reports_itself: bool = True,
        watcher: Watcher | None = None,
    ) -> JobFollower:
        """Follow a job that follows a script."""
        labels = {RUN_LABEL: RUN, STEP_RUN_LABEL: step_run_id, SERVER_LABEL: SERVER}
        follower = JobFollower(
            step=StepLog("train"),
            name=JobName.parse(self.jobs.script(*script, labels=labels)),
            attempt=Attempt(step_run_id),
            run_id=RUN,
            reports_itself=reports_itself,
            step_runs=self.step_runs,
            clock=self.clock,
        )
        (watcher or self.watcher).follow(follower)
        return follower

    def wait(self, *script: str | JobJson | Exception, reports_itself: bool = True) -> str:
        """Follow a scripted job to its end, and return the step's status."""
        self.follow(*script, reports_itself=reports_itself)
        return self.watcher.wait(STEP)

    def report(self, at: float, status: str = "completed", step_run_id: str = STEP) -> None:
        """Let a step report its result at a time."""
        real = self.step_runs.status

        def read(name: str) -> str:
            if name == step_run_id and self.clock.now >= at:
                return status
            return real(name)

        self.step_runs.status = read  # type: ignore[method-assign, assignment]

    @property
    def elapsed(self) -> float:
        return self.clock.now - START


class Submitted:
    """Everything that a submission touches.

    Args:
        create_faults: Faults of the first creates, in order; None is a create that works.
    """

    def __init__(self, *create_faults: CreateFault | None) -> None:
        self.jobs = InMemoryJobs()
        self.jobs.create_faults = list(create_faults)
        self.step_runs = InMemoryStepRuns()
        self.clock = ManualClock()

    def submit(self, recorded: Mapping[str, Any] | None = None) -> JobName:
        """Submit the step run with a new submission, as a new process would."""
        return self.open().submit(lambda: JOB, recorded or {})

    def open(self) -> Submission:
        """Return a submission of the step run by a process of its own."""
        return self.open_for(STEP_RUN)

    def open_for(self, step_run_id: str) -> Submission:
        """Return a submission of another step run."""
        log = StepLog("train")
        attempt = Attempt(step_run_id)
        return Submission(
            self.jobs, self.step_runs, self.clock, PARENT, attempt, log, lambda: "run"
        )

    @property
    def alive(self) -> list[str]:
        """The names of the jobs that cost money."""
        return [
            name
            for name, script in self.jobs.scripts.items()
            if not interpret(str(script[-1])).is_terminal
        ]

    @property
    def recorded(self) -> Mapping[str, Any]:
        """The metadata of the step run."""
        return self.step_runs.metadata.get(STEP_RUN, {})
