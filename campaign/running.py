"""Runs one trial to its end, and records what Vertex AI and the ZenML server saw."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from zenml.enums import ExecutionStatus
from zenml.exceptions import IllegalOperationError

from campaign.launcher import Launcher
from campaign.operators import Subject, build_submit
from campaign.oracle import EndRecord, JobRecord, TrialRecord
from campaign.patching import CurrentProcess
from campaign.process import Process
from campaign.steps import build_play
from campaign.trial import (
    Cut,
    EmulatorCrash,
    RunStops,
    ServerHazard,
    ServerOutage,
    SiblingFails,
    Trial,
    VertexHazard,
)
from campaign.world import World
from campaign.zenml_server import ZenMLClient, ZenMLServer
from vertex_emulator import Job
from vertex_emulator.faults import ListLag
from zenml_vertex.errors import (
    CredentialsError,
    PermissionDenied,
    QuotaExceeded,
    ServerUnreachable,
    ServiceUnavailable,
)
from zenml_vertex.following.submission import LEAVING_SECONDS

# A late effect has happened by then, and a job has been torn down.
_AFTERMATH_SECONDS = 45.0
# For a container that lingers, its exit, and the job's teardown.
_LINGERING_SECONDS = 300.0 + 50.0 + 60.0
# Longer than anything that a step or a job is delayed by.
_LONG_SECONDS = 6 * 60 * 60.0
# A person tries again while Vertex AI or the ZenML server cannot be reached.
_SWEEPS = 4
_MOST_SWEEPS = 16
_BETWEEN_SWEEPS_SECONDS = 400.0
_PASSING = {
    kind.__name__
    for kind in (
        CredentialsError,
        PermissionDenied,
        QuotaExceeded,
        ServerUnreachable,
        ServiceUnavailable,
    )
}
_OPEN = (ExecutionStatus.PROVISIONING, ExecutionStatus.RUNNING)


def find_end(server: ZenMLServer) -> EndRecord | None:
    """The change of status that ended the step run; None if nothing did."""
    return next(
        (
            EndRecord(write.moment, write.writer, write.result)
            for write in server.writes
            if write.result in {"completed", "failed", "stopped"}
        ),
        None,
    )


def build_job_record(job: Job, *, is_deleted: bool) -> JobRecord:
    """What is recorded of a job."""
    states = tuple((state.value, moment) for state, moment in job.history)
    return JobRecord(job.job_id, states, is_deleted)


class TrialRun:
    """One trial.

    Args:
        world: The world.
        current: Which process the operator runs in.
        trial: The trial.
        subject: The step operator under test.
        key_file: A service account's key.
    """

    def __init__(
        self,
        world: World,
        current: CurrentProcess,
        trial: Trial,
        subject: Subject,
        key_file: Path,
    ) -> None:
        self._world = world
        self._current = current
        self._trial = trial
        self._subject = subject
        self._key_file = key_file
        self._processes: list[Process] = []
        self._returned: str | None = None
        self._returned_at: datetime | None = None
        self._started_at = world.now()
        self._error: str | None = None
        self._was_cancelled = False
        self._was_detached = False
        self._is_endless = False
        self._has_no_successor = False
        self._stops = 0
        self._leaked: set[str] = set()
        is_dynamic = trial.mode == "dynamic" and not trial.step.is_command
        self._server = ZenMLServer(
            now=world.now,
            begin=world.now(),
            is_command=trial.step.is_command,
            status=ExecutionStatus.PROVISIONING if is_dynamic else ExecutionStatus.RUNNING,
            outages=self._pick(ServerOutage),
            hazards=self._pick(ServerHazard),
        )

    def run(self) -> TrialRecord:
        """Run the trial."""
        self._prepare()
        is_abandoned = self._run_process(self._launch)
        while is_abandoned and not self._has_no_successor:
            self._world.sleep(self._trial.delay)
            is_abandoned = self._follow_up()
        self._check_aftermath(is_abandoned=is_abandoned)
        return self._collect()

    def _prepare(self) -> None:
        stop = next(iter(self._pick(RunStops)), None)
        self._world.begin(build_play(self._trial.step, self._server, stop))
        for hazard in self._trial.hazards:
            if isinstance(hazard, VertexHazard):
                self._world.plan(id(hazard), hazard.faults, self._trial.seed)
            elif isinstance(hazard, EmulatorCrash):
                self._world.plan_crash(id(hazard), hazard)
        if stop:
            self._world.schedule(stop.seconds, self._stop_run)

    def _stop_run(self) -> None:
        if self._server.status in _OPEN:
            self._server.status = ExecutionStatus.STOPPING
            self._server.run_status = ExecutionStatus.STOPPING
            self._stops += 1

    def _run_process(self, act: Callable[[Launcher], None]) -> bool:
        """Run a process to its end; whether it was killed."""
        trial, world = self._trial, self._world
        number = len(self._processes) + 1
        cuts = [cut for cut in self._pick(Cut) if cut.process == number]
        process = Process(cuts, world.sleep, world.monotonic, max_seconds=self._subject.max_seconds)
        self._processes.append(process)
        started_at = world.now()
        client = ZenMLClient(self._server, process)
        self._current.enter(process, client)
        operator = self._subject.build(process, trial, world, self._key_file)
        launcher = Launcher(
            process,
            client,
            operator,
            build_submit(operator),
            next(iter(self._pick(SiblingFails)), None),
        )
        self._error = None
        try:
            act(launcher)
            if not process.was_interrupted:
                process.phase = "tidy"
                for task in process.background:
                    task()
        except BaseException as error:  # noqa: BLE001 - whatever ends a process ends it
            # The code under test can replace the error that ended the process.
            self._error = None if process.has_ended else type(error).__name__
        self._is_endless |= process.is_endless
        has_returned = bool(launcher.returned) and not process.was_killed
        self._returned = launcher.returned[-1] if has_returned else None
        self._returned_at = world.when(launcher.returned_at) if has_returned else None
        self._started_at = started_at
        self._was_cancelled |= launcher.has_cancelled
        if process.was_interrupted and trial.detaches:
            self._was_detached |= process.cuts_met[0].boundary.startswith(("wait", "cleanup"))
        return process.was_killed

    def _launch(self, launcher: Launcher) -> None:
        step_run = self._server.read()
        if self._trial.mode == "static":
            launcher.run_static(step_run)
        else:
            launcher.run_dynamic(step_run)

    def _follow_up(self) -> bool:
        """Run what comes after a SIGKILL; whether the step run is abandoned again."""
        if self._server.status in _OPEN and self._trial.sequel == "submit":
            return self._run_process(self._launch)
        if self._server.status in _OPEN and self._trial.sequel == "resume":
            return self._run_process(lambda launcher: launcher.monitor(self._server.read()))
        self._has_no_successor = True
        if self._trial.sequel in {"attach", "settle"}:
            return self._attach()
        if self._trial.sequel == "sweep run":
            self._server.run_status = ExecutionStatus.FAILED
        elif not self._server.status.is_finished:
            with suppress(IllegalOperationError):
                self._server.write("user", ExecutionStatus.FAILED)
        return True

    def _attach(self) -> bool:
        """Let somebody end the step run, again after an error; whether it is still open."""
        for _ in range(_MOST_SWEEPS):
            if self._server.status.is_finished:
                break
            self._run_process(self._attach_once)
            if not self._returned:
                self._world.sleep(_BETWEEN_SWEEPS_SECONDS)
        if self._error in _PASSING:
            # The command says so, and somebody repeats it if a step is still open.
            self._error = None
        if self._trial.sequel == "settle":
            # It looks as seldom as somebody runs it.
            self._returned_at = None
        # The job of a step that had reported its end is left to those who sweep.
        return self._returned is None

    def _attach_once(self, launcher: Launcher) -> None:
        status = self._subject.attach(
            launcher.operator,
            launcher.process,
            launcher.client,
            waits=self._trial.sequel == "attach",
        )
        if status:
            launcher.note_returned(ExecutionStatus(status))

    def _check_aftermath(self, *, is_abandoned: bool) -> None:
        """Find the jobs that run on although nobody will cancel them."""
        self._world.sleep(_AFTERMATH_SECONDS)
        is_abandoned |= self._exceeded_patience() or self._was_detached
        is_abandoned |= self._left_unable_to_cancel()
        if not is_abandoned and not self._has_reported():
            self._leaked |= self._world.find_live_jobs()
        if is_abandoned and not self._was_detached:
            self._run_sweeps()
            if not self._has_reported():
                self._leaked |= self._world.find_live_jobs()
        self._world.sleep(_LONG_SECONDS if self._was_detached else _LINGERING_SECONDS)
        last = self._processes[-1]
        # A process that has ended no longer looks after its jobs.
        if is_abandoned or last.has_ended or last.was_interrupted or self._error:
            self._run_sweeps()
        self._leaked |= self._world.find_live_jobs()

    def _run_sweeps(self) -> None:
        kept = self._returned, self._returned_at, self._started_at, self._error
        for _ in range(_MOST_SWEEPS if self._exceeded_patience() else _SWEEPS):
            if not self._world.find_live_jobs():
                break
            self._run_process(
                lambda launcher: self._subject.sweep(
                    launcher.operator, launcher.process, self._world
                )
            )
            self._world.sleep(_BETWEEN_SWEEPS_SECONDS)
        self._returned, self._returned_at, self._started_at, self._error = kept

    def _has_reported(self) -> bool:
        return any(write.writer == "step" and write.result for write in self._server.writes)

    def _exceeded_patience(self) -> bool:
        return any(
            hazard.exceeds_patience and self._world.count_hits(id(hazard))
            for hazard in self._pick(VertexHazard)
        )

    def _left_unable_to_cancel(self) -> bool:
        """Whether a client left while it could not find or cancel its job.

        After an interruption, the operator tries for a minute or two; after a second one,
        it leaves at once. Its log then names `zenml-vertex jobs list --orphans`.
        """
        boundaries = [cut.boundary for cut in self._processes[0].cuts_met if cut.how != "SIGKILL"]
        faults = [
            fault
            for hazard in self._pick(VertexHazard)
            if self._world.count_hits(id(hazard))
            for fault in hazard.faults
        ]
        methods = {getattr(fault, "method", None) for fault in faults}
        if any(self._world.count_hits(id(crash)) for crash in self._pick(EmulatorCrash)):
            methods.add("*")
        hidden = sum(getattr(one, "late", 0) for one in faults) + sum(
            one.seconds or 0 for one in faults if isinstance(one, ListLag)
        )
        is_unseen = hidden > LEAVING_SECONDS or bool(methods & {"list", "*"})
        if any(boundary.startswith("submit") for boundary in boundaries) and is_unseen:
            return True
        return len(boundaries) > 1 and (hidden > 0 or bool(methods & {"list", "cancel", "*"}))

    def _pick(self, kind: type) -> Sequence[Any]:
        return [hazard for hazard in self._trial.hazards if isinstance(hazard, kind)]

    def _collect(self) -> TrialRecord:
        hit = [cut for process in self._processes for cut in process.cuts_met]
        return TrialRecord(
            trial=self._trial,
            jobs=tuple(
                build_job_record(job, is_deleted=is_deleted)
                for job, is_deleted in self._world.store.list_jobs()
            ),
            leaked=tuple(sorted(self._leaked)),
            status=self._server.status.value,
            ended=find_end(self._server),
            returned=self._returned,
            returned_at=self._returned_at,
            recoveries=(self._started_at, *self._find_recoveries()),
            error=self._error,
            was_interrupted=any(process.was_interrupted for process in self._processes),
            was_killed=any(cut.how == "SIGKILL" for cut in hit),
            was_detached=self._was_detached,
            was_cancelled=self._was_cancelled,
            was_stopped=self._stops > 0,
            exceeded_patience=self._exceeded_patience(),
            lost_updates=self._server.lost_updates,
            is_endless=self._is_endless,
            hits=self._count_hits(),
            crossed=frozenset(name for process in self._processes for name in process.crossed),
            killed_at=tuple(cut.boundary for cut in hit if cut.how == "SIGKILL"),
        )

    def _find_recoveries(self) -> list[datetime]:
        outages = [outage.start + outage.seconds for outage in self._pick(ServerOutage)]
        ends = [self._server.begin + timedelta(seconds=seconds) for seconds in outages]
        return [*ends, *self._world.find_recoveries()]

    def _count_hits(self) -> Counter[str]:
        hits: Counter[str] = Counter()
        for hazard in self._trial.hazards:
            if isinstance(hazard, (VertexHazard, EmulatorCrash)):
                hits[hazard.kind] += self._world.count_hits(id(hazard))
            elif isinstance(hazard, (ServerOutage, ServerHazard)):
                hits[hazard.kind] += self._server.hits.get(id(hazard), 0)
            elif isinstance(hazard, Cut):
                hits[hazard.kind] += any(hazard in one.cuts_met for one in self._processes)
            elif isinstance(hazard, SiblingFails):
                hits[hazard.kind] += self._was_cancelled
            else:
                hits[hazard.kind] += self._stops
        return +hits
