"""A crowd of steps in one dynamic run, while a share of all reads fails by chance."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from zenml.enums import ExecutionStatus
from zenml.models import StepRunResponse

from campaign.launcher import MONITORING_SECONDS, Launcher
from campaign.operators import STEP_RUN_VARIABLE, Subject, build_submit
from campaign.oracle import TrialRecord
from campaign.patching import CurrentProcess
from campaign.process import NeverEnding, Process
from campaign.running import build_job_record, find_end
from campaign.steps import build_play
from campaign.trial import Step, StepKind, Trial, VertexHazard
from campaign.world import World
from campaign.zenml_server import ZenMLClient, ZenMLServer
from vertex_emulator import Container, Job, Script
from vertex_emulator.faults import ErrorAnswer

STEPS = 50
FAILING_SHARE = 0.35
_KINDS: tuple[StepKind, ...] = ("reports", "fails", "dies", "command")
_FIRST_STEP_RUN = 1000


def draw_crowd(seed: int, index: int) -> list[Trial]:
    """Draw a crowd: a trial for each step, all with the same hazards.

    Args:
        seed: Seed of the campaign.
        index: Number of the crowd.
    """
    rng = Random(f"crowd {seed} {index}")
    hazards = (
        VertexHazard(
            tuple(
                ErrorAnswer(method, 503, chance=FAILING_SHARE, count=0)
                for method in ("list", "get")
            )
        ),
    )
    return [
        Trial(
            index=number,
            seed=f"crowd {seed} {index}",
            mode="dynamic",
            step=Step(rng.choice(_KINDS), seconds=rng.uniform(1, 900)),
            hazards=hazards,
        )
        for number in range(STEPS)
    ]


class CrowdRun:
    """One crowd: its steps share a process and an operator.

    Args:
        world: The world.
        current: Which process the operator runs in.
        trials: What the steps do, and what goes wrong around all of them.
        subject: The step operator under test.
    """

    def __init__(
        self, world: World, current: CurrentProcess, trials: Sequence[Trial], subject: Subject
    ) -> None:
        self._world = world
        self._trials = trials
        self._servers = {
            _name_step_run(trial): ZenMLServer(
                now=world.now,
                begin=world.now(),
                is_command=trial.step.is_command,
                status=ExecutionStatus.PROVISIONING,
                step_run_id=_name_step_run(trial),
            )
            for trial in trials
        }
        self._process = Process(
            (), world.sleep, world.monotonic, max_seconds=subject.max_seconds, max_crossings=1e7
        )
        current.enter(self._process, _CrowdClient(self._servers, self._process))
        world.begin(self._play)
        hazards = trials[0].hazards
        for hazard in hazards:
            if isinstance(hazard, VertexHazard):
                world.plan(id(hazard), hazard.faults, trials[0].seed)
        self._operator = subject.build(self._process, trials[0], world, Path())

    def run(self) -> list[TrialRecord]:
        """Run the crowd; a record of each step."""
        submit = build_submit(self._operator)
        launchers = {
            step_run_id: Launcher(
                self._process, ZenMLClient(server, self._process), self._operator, submit
            )
            for step_run_id, server in self._servers.items()
        }
        for step_run_id, launcher in launchers.items():
            # What becomes of the step run then is judged.
            with suppress(Exception):
                launcher.submit_dynamic(self._servers[step_run_id].read())
        waiting = dict(launchers)
        while waiting and not self._process.is_endless:
            for step_run_id, launcher in list(waiting.items()):
                if launcher.monitor_once(self._servers[step_run_id].read()):
                    del waiting[step_run_id]
            self._process.phase = "runner"
            with suppress(NeverEnding):
                self._process.sleep(MONITORING_SECONDS)
        self._process.phase = "tidy"
        for task in self._process.background:
            task()
        leaked = self._world.find_live_jobs()
        return [
            self._collect(trial, launchers[_name_step_run(trial)], leaked) for trial in self._trials
        ]

    def _play(self, container: Container) -> Script:
        server = self._servers[UUID(container.environment[STEP_RUN_VARIABLE])]
        trial = self._trials[server.step_run_id.int - _FIRST_STEP_RUN]
        return build_play(trial.step, server, None)(container)

    def _collect(self, trial: Trial, launcher: Launcher, leaked: Collection[str]) -> TrialRecord:
        step_run_id = _name_step_run(trial)
        server = self._servers[step_run_id]
        jobs = tuple(
            build_job_record(job, is_deleted=is_deleted)
            for job, is_deleted in self._world.store.list_jobs()
            if _find_step_run(job) == step_run_id
        )
        return TrialRecord(
            trial=trial,
            jobs=jobs,
            leaked=tuple(job.job_id for job in jobs if job.job_id in leaked),
            status=server.status.value,
            ended=find_end(server),
            returned=launcher.returned[-1] if launcher.returned else None,
            returned_at=self._world.when(launcher.returned_at) if launcher.returned else None,
            is_endless=self._process.is_endless and not launcher.returned,
        )


def _name_step_run(trial: Trial) -> UUID:
    return UUID(int=_FIRST_STEP_RUN + trial.index)


def _find_step_run(job: Job) -> UUID:
    (pool,) = job.request["jobSpec"]["workerPoolSpecs"]
    variables = {one["name"]: one["value"] for one in pool["containerSpec"]["env"]}
    return UUID(variables[STEP_RUN_VARIABLE])


class _CrowdClient:
    """What `Client()` returns to an operator with several step runs.

    Args:
        servers: Step run -> the server's record of it.
        process: The process.
    """

    def __init__(self, servers: Mapping[UUID, ZenMLServer], process: Process) -> None:
        self._servers = servers
        self._clients = {
            step_run_id: ZenMLClient(server, process) for step_run_id, server in servers.items()
        }
        self._any = next(iter(self._clients.values()))

    @property
    def zen_store(self) -> "_CrowdClient":
        """The store, whose methods are here as well."""
        return self

    def get_store_info(self) -> Any:
        """The server's ID."""
        return self._any.get_store_info()

    def get_pipeline_run(self, run_id: UUID, hydrate: bool = True) -> Any:
        """The pipeline run's status."""
        return self._any.get_pipeline_run(run_id, hydrate)

    def get_run_step(self, step_run_id: UUID, hydrate: bool = True) -> StepRunResponse:
        """A step run."""
        return self._clients[step_run_id].get_run_step(step_run_id, hydrate)

    def update_run_step(self, step_run_id: UUID, step_run_update: Any) -> StepRunResponse:
        """Change a step run's status."""
        return self._clients[step_run_id].update_run_step(step_run_id, step_run_update)

    def create_run_metadata(
        self, metadata: Mapping[str, Any], resources: Sequence[Any], **_: Any
    ) -> None:
        """Add metadata to a step run, or to the pipeline run."""
        for resource in resources:
            client = self._clients.get(resource.id, self._any)
            client.create_run_metadata(metadata, [resource])

    def list_run_steps(
        self, *, status: str = "", run_metadata: Sequence[str] = (), **filters: Any
    ) -> Any:
        """The step runs that have one of some statuses, or of some IDs: `oneof:` and a list."""
        if run_metadata:
            pages = [
                client.list_run_steps(run_metadata=run_metadata)
                for step_run_id, client in self._clients.items()
                if str(step_run_id) in filters["id"]
            ]
            signed = [step_run for page in pages for step_run in page.items]
            return SimpleNamespace(items=signed, total_pages=1)
        found = [
            server.read() for server in self._servers.values() if server.status.value in status
        ]
        return SimpleNamespace(items=found, total_pages=1)
