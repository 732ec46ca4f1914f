"""The fault plan: what is planned, and how often it has happened."""

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from vertex_emulator.faults.call_faults import EVERY_METHOD, RequestFault
from vertex_emulator.faults.job_faults import JobFault
from vertex_emulator.faults.kinds import FaultError
from vertex_emulator.faults.resource_faults import ResourceFault
from vertex_emulator.http.routes import FaultTarget
from vertex_emulator.jobs.events import Act
from vertex_emulator.jobs.job import Job
from vertex_emulator.persistent_resources.incidents import ResourceAct
from vertex_emulator.persistent_resources.resource import PersistentResource

Fault = RequestFault | JobFault | ResourceFault


class UnconsumedFaultError(AssertionError):
    """A planned fault has not happened, so the test has not tested what it was meant to."""


@dataclass(slots=True, eq=False)
class Planned:
    """A fault in a plan.

    Args:
        id: Its ID in the plan.
        fault: What is planned.
        hits: How often it has happened so far.
    """

    id: str
    fault: Fault
    hits: int = 0
    _seen: int = 0
    _end: datetime | None = None
    _draw: random.Random = field(default_factory=random.Random, repr=False)
    _forget: Callable[[str], object] = field(default=lambda _: None, repr=False)

    @property
    def end(self) -> datetime | None:
        """When it stops hitting calls; None before the first hit, and without `lasts`."""
        return self._end

    @property
    def is_consumed(self) -> bool:
        """Whether it has happened as often as was planned; without a number, at least once."""
        if isinstance(self.fault, RequestFault):
            return self.hits >= (self.fault.limit or 1)
        repeats = self.fault.repeats if isinstance(self.fault, JobFault) else 1
        return self.hits >= repeats * max(1, self.fault.count)

    def withdraw(self) -> None:
        """Remove it from the plan. What it has done to a job stays."""
        self._forget(self.id)

    def hits_call(self, target: FaultTarget, now: datetime, *, is_taken: bool) -> bool:
        """Count a call that matches, and say whether it is hit.

        Args:
            target: The call.
            now: The emulator's time.
            is_taken: Whether another fault has hit it already.
        """
        fault = self.fault
        if not isinstance(fault, RequestFault) or not fault.matches(target):
            return False
        self._seen += 1
        is_spent = (self._end is not None and now >= self._end) or (
            fault.limit is not None and self.hits >= fault.limit
        )
        if is_spent or self._seen < fault.call or is_taken:
            return False
        if fault.chance < 1 and self._draw.random() >= fault.chance:
            return False
        self.hits += 1
        if self._end is None and fault.lasts is not None:
            self._end = now + timedelta(seconds=fault.lasts)
        return True

    def hits_job(self, job: Job) -> bool:
        """Count a new job that matches, and say whether it is hit."""
        fault = self.fault
        if not isinstance(fault, JobFault) or fault.job_id is not None:
            return False
        return fault.matches(job.labels, job.request["displayName"]) and self._is_turn(fault)

    def hits_resource(self, resource: PersistentResource) -> bool:
        """Count a new persistent resource that matches, and say whether it is hit."""
        fault = self.fault
        return isinstance(fault, ResourceFault) and fault.matches(resource) and self._is_turn(fault)

    def _is_turn(self, fault: JobFault | ResourceFault) -> bool:
        self._seen += 1
        return self._seen >= fault.nth and (
            fault.count == 0 or self._seen < fault.nth + fault.count
        )


@dataclass(slots=True)
class _Lag:
    planned: Planned
    until: datetime | None
    lists: int | None
    is_counted: bool = False


class FaultPlan:
    """The faults of an emulator; safe to use from several threads.

    A plan can be given to the emulator that takes the place of one that has crashed.

    Args:
        seed: Seed of `chance`, so that the same calls are hit each time.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._planned: dict[str, Planned] = {}
        self._lags: dict[str, _Lag] = {}
        self._number = 0
        self._draws = 0
        self._lock = threading.RLock()
        self._methods: tuple[str, ...] = ()
        self._find_job: Callable[[str], Job | None] = lambda _: None
        self._add_script: Callable[[str, tuple[Act, ...]], None] = lambda _, __: None
        self._find_resource: Callable[[str], PersistentResource | None] = lambda _: None
        self._add_resource_script: Callable[[str, tuple[ResourceAct, ...]], None] = lambda _, __: (
            None
        )

    def plan(self, fault: Fault) -> Planned:
        """Plan a fault.

        Raises:
            FaultError: If there is no job of its `job_id`, or no such method.
        """
        (planned,) = self.plan_all([fault])
        return planned

    def plan_all(self, faults: Iterable[Fault], *, seed: int | None = None) -> tuple[Planned, ...]:
        """Plan faults: all of them, or none.

        Args:
            faults: The faults.
            seed: Seed of their `chance`; the plan's own by default.

        Raises:
            FaultError: As in `plan`.
        """
        wanted = [(fault, self._find(fault)) for fault in faults]
        planned: list[Planned] = []
        for number, (fault, job) in enumerate(wanted):
            key = f"{self._seed} {self._draws}" if seed is None else f"{seed} {number}"
            self._draws += 1
            draw = random.Random(key)  # noqa: S311 - to be repeated
            planned.append(self._plan(fault, job, draw))
        return tuple(planned)

    @contextmanager
    def planned(self, *faults: Fault) -> Iterator[tuple[Planned, ...]]:
        """Plan faults for this context only.

        Raises:
            UnconsumedFaultError: At the end, if one has not happened.
        """
        planned = self.plan_all(faults)
        try:
            yield planned
        finally:
            for one in planned:
                one.withdraw()
        refuse_unconsumed(planned)

    def all(self) -> tuple[Planned, ...]:
        """Everything that is planned, in order."""
        with self._lock:
            return tuple(self._planned.values())

    def unconsumed(self) -> tuple[Planned, ...]:
        """What has not happened as often as was planned."""
        return tuple(planned for planned in self.all() if not planned.is_consumed)

    def withdraw(self, fault_id: str) -> bool:
        """Remove a fault from the plan. What it has done to a job stays.

        Returns:
            Whether the plan had one with this ID.
        """
        with self._lock:
            for job_id, lag in list(self._lags.items()):
                if lag.planned.id == fault_id:
                    del self._lags[job_id]
            return self._planned.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Remove every fault from the plan."""
        with self._lock:
            self._planned.clear()
            self._draws = 0
            self._lags.clear()

    def attach(
        self,
        find_job: Callable[[str], Job | None],
        add_script: Callable[[str, tuple[Act, ...]], None],
        methods: Iterable[str],
    ) -> None:
        """Connect the plan to an emulator.

        Args:
            find_job: Finds a job by its ID.
            add_script: Adds acts to the script of a job.
            methods: The methods that faults can hit.

        Raises:
            FaultError: If a fault of another method is planned.
        """
        self._methods = (*dict.fromkeys(methods), EVERY_METHOD)
        for planned in self.all():
            self._refuse_unknown_method(planned.fault)
        self._find_job = find_job
        self._add_script = add_script

    def attach_resources(
        self,
        find: Callable[[str], PersistentResource | None],
        add_script: Callable[[str, tuple[ResourceAct, ...]], None],
    ) -> None:
        """Connect the plan to the persistent resources of an emulator.

        Args:
            find: Finds one by its ID.
            add_script: Adds acts to the script of one, by its resource name.
        """
        self._find_resource = find
        self._add_resource_script = add_script

    @property
    def is_empty(self) -> bool:
        """Whether nothing is planned."""
        return not self._planned

    def strike(self, target: FaultTarget, now: datetime) -> tuple[RequestFault, ...]:
        """The faults that hit a call: delays and interruptions, and one of the others at most."""
        hit: list[RequestFault] = []
        is_taken = False
        with self._lock:
            for planned in self._planned.values():
                fault = planned.fault
                if not isinstance(fault, RequestFault):
                    continue
                if planned.hits_call(target, now, is_taken=is_taken and not fault.is_addition):
                    is_taken = is_taken or not fault.is_addition
                    hit.append(fault)
        return tuple(hit)

    def script_of(self, job: Job) -> tuple[Act, ...]:
        """The acts of all faults that hit a new job."""
        acts: list[Act] = []
        with self._lock:
            for planned in self._planned.values():
                if planned.hits_job(job) and isinstance(planned.fault, JobFault):
                    acts += planned.fault.build_acts(job, planned.id)
                    self._lag(planned, job)
        return tuple(acts)

    def script_of_resource(self, resource: PersistentResource) -> tuple[ResourceAct, ...]:
        """The acts of all faults that hit a new persistent resource."""
        acts: list[ResourceAct] = []
        with self._lock:
            for planned in self._planned.values():
                if planned.hits_resource(resource) and isinstance(planned.fault, ResourceFault):
                    acts += planned.fault.build_acts(resource, planned.id)
        return tuple(acts)

    def happened(self, fault_id: str) -> None:
        """Count an act that was done, unless its fault was withdrawn."""
        with self._lock:
            if planned := self._planned.get(fault_id):
                planned.hits += 1

    def find_unlisted(self, jobs: Iterable[Job], now: datetime) -> frozenset[str]:
        """The IDs of the jobs that a list leaves out for now.

        Args:
            jobs: Those that the list would have.
            now: The emulator's time.
        """
        hidden = set()
        with self._lock:
            if not self._lags:
                return frozenset()
            for job in jobs:
                lag = self._lags.get(job.job_id)
                if lag is None:
                    continue
                if lag.until is not None and now >= lag.until:
                    del self._lags[job.job_id]
                    continue
                if lag.lists is not None:
                    lag.lists -= 1
                    if lag.lists == 0:
                        del self._lags[job.job_id]
                hidden.add(job.job_id)
                # It counts once for each job, however many lists leave the job out.
                lag.planned.hits += not lag.is_counted
                lag.is_counted = True
        return frozenset(hidden)

    def _find(self, fault: Fault) -> Job | None:
        """The job that a fault names, if it names one that exists."""
        if not isinstance(fault, JobFault) or fault.job_id is None:
            self._refuse_unknown_method(fault)
            return None
        job = self._find_job(fault.job_id)
        if job is None:
            raise FaultError(f"job_id: there is no job {fault.job_id}")
        return job

    def _refuse_unknown_method(self, fault: Fault) -> None:
        """Refuse a fault that nothing can hit; a plan without an emulator knows no methods yet.

        Raises:
            FaultError: Lists the methods.
        """
        if self._methods and isinstance(fault, RequestFault) and fault.method not in self._methods:
            listed = ", ".join(self._methods)
            raise FaultError(f"method: must be one of {listed}; got {fault.method!r}")

    def _plan(self, fault: Fault, job: Job | None, draw: random.Random) -> Planned:
        with self._lock:
            self._number += 1
            planned = Planned(str(self._number), fault, _draw=draw, _forget=self.withdraw)
            self._planned[planned.id] = planned
            if job:
                self._lag(planned, job)
        if job and isinstance(fault, JobFault):
            # Without the lock: the emulator may call back.
            self._add_script(job.job_id, fault.build_acts(job, planned.id))
        if isinstance(fault, ResourceFault) and fault.resource_id is not None:
            resource = self._find_resource(fault.resource_id)
            if resource and planned.hits_resource(resource):
                self._add_resource_script(resource.name, fault.build_acts(resource, planned.id))
        return planned

    def _lag(self, planned: Planned, job: Job) -> None:
        lag = planned.fault.listing_lag if isinstance(planned.fault, JobFault) else None
        if lag is not None:
            until = None
            if lag.seconds is not None:
                until = job.create_time + timedelta(seconds=lag.seconds)
            self._lags[job.job_id] = _Lag(planned, until, lag.lists)


def refuse_unconsumed(planned: Iterable[Planned]) -> None:
    """Fail if a fault has not happened.

    Raises:
        UnconsumedFaultError: Names each.
    """
    left = [one for one in planned if not one.is_consumed]
    if left:
        listed = "".join(f"\n  {one.fault!r}: {one.hits} times" for one in left)
        raise UnconsumedFaultError(f"planned faults have not happened:{listed}")
