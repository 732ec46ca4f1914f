"""The containers of one start of a job, which begin and end together. What is known of them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from vertex_emulator.jobs.cluster import Addresses, Task
from vertex_emulator.jobs.job import Job
from vertex_emulator.runtimes.contract import Replica, TimedReplica

AnyReplica = Replica | TimedReplica


@dataclass(slots=True, eq=False)
class ReplicaGroup:
    """The containers of a job: one for each of its replicas.

    Args:
        job: The job, as it was when they were started.
        attempt: Number of its attempt.
        start: Which start on the same machines.
        addresses: Where all replicas of the job reach each other.
        tasks: The replicas that are started.
    """

    job: Job
    attempt: int
    start: int
    addresses: Addresses
    tasks: tuple[Task, ...]
    # Those whose end has not been reported.
    members: "list[RunningReplica]" = field(init=False)
    # Whether the platform has lost one of them.
    is_lost: bool = False
    # Whether another emulator may follow one of them.
    is_kept: bool = False
    # Held while an end is reported: the job has to hear of the ends in their order.
    reporting: "threading.RLock" = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.members = [RunningReplica(self, task) for task in self.tasks]

    def node_of(self, task: Task) -> int:
        """Which of the job's machines a replica runs on, from 1: each attempt has its own."""
        tasks = list(self.addresses.tasks)
        return (self.attempt - 1) * len(tasks) + tasks.index(task) + 1


@dataclass(slots=True, eq=False)
class RunningReplica:
    """A container.

    Args:
        group: What it belongs to.
        task: Which replica of the job it is.
        thread: Waits for its end; None for a scripted one, which the timer ends.
        replica: None until it has started.
        must_end: Called with its replica as soon as that has started; None to let it run.
    """

    group: ReplicaGroup
    task: Task
    thread: threading.Thread | None = None
    replica: AnyReplica | None = None
    must_end: Callable[[AnyReplica], None] | None = None


def terminate(replica: AnyReplica) -> None:
    """End a container after its grace period."""
    replica.terminate()


def kill(replica: AnyReplica) -> None:
    """End a container at once."""
    replica.kill()


def abandon(replica: AnyReplica) -> None:
    """Leave a container to itself."""
    replica.abandon()
