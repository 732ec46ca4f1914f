"""Who follows a job: the process that signed its step run, and until when it can be believed.

A client signs a step run together with the intent to create its job, which costs no request.
After that, it renews its lease once for all steps of a pipeline run, on the run. Whoever
looks needs the ZenML server only.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from zenml_vertex.clock import read_time
from zenml_vertex.errors import StepRunNotFound, VertexStepOperatorError
from zenml_vertex.following.metadata import CLIENT_KEY
from zenml_vertex.following.outages import OutageLog
from zenml_vertex.following.protocols import StepRuns
from zenml_vertex.foreign_text import clean_line
from zenml_vertex.job.times import format_duration
from zenml_vertex.processes import Process, find_this_process

# On a pipeline run, followed by the ID of the client.
LEASE_PREFIX = "zenml_vertex.client_"
# In the signature of a step run, followed by the ID of a client that bids for it, see `takeover`.
BID_PREFIX = "bid "

# A renewal is one write to the ZenML server, which keeps each of them.
RENEWAL = timedelta(minutes=5)
# After an hour.
LATE_RENEWAL = timedelta(minutes=15)
_LATE = timedelta(hours=1)
# So many renewals may fail.
_RENEWALS_IN_A_LEASE = 3
# No lease is longer, whatever it says: a step can write one.
LONGEST_LEASE = LATE_RENEWAL * _RENEWALS_IN_A_LEASE
# Google refuses tokens that are signed with a clock which is more than that ahead.
CLOCK_DIFFERENCE = timedelta(minutes=10)
_RETRY = timedelta(minutes=1)
# No system has more processes.
_MOST_PID = 2**32
_UNREADABLE = "the sign of life of its client cannot be read"


@dataclass(frozen=True, slots=True)
class Lease:
    """What a client has written about itself."""

    process: Process
    # When it last looked.
    seen: datetime
    # Until when it is believed to live.
    until: datetime
    # Whether it has left, and meant the job to go on.
    is_detached: bool = False

    @classmethod
    def sign(
        cls, now: datetime, renewal: timedelta = RENEWAL, *, is_detached: bool = False
    ) -> "Lease":
        """The lease of this process.

        Args:
            now: The time.
            renewal: When it is renewed.
            is_detached: Whether it leaves, and means the job to go on.
        """
        until = now + renewal * _RENEWALS_IN_A_LEASE
        return cls(find_this_process(), now, until, is_detached=is_detached)

    @classmethod
    def read(cls, value: object) -> "Lease | None":
        """Read what metadata has, which whoever holds the run's token can write."""
        if not isinstance(value, Mapping):
            return None
        try:
            process = Process(
                client_id=_read_text(value["client_id"]),
                host=_read_text(value["host"]),
                pid=int(value["pid"]),
                table=str(value["table"]),
                started=str(value["started"]),
                machine=str(value.get("machine", "")),
            )
            seen, until = (datetime.fromisoformat(str(value[key])) for key in ("seen", "until"))
        except (KeyError, ValueError, TypeError, OverflowError):
            return None
        if seen.tzinfo is None or until.tzinfo is None or not 0 < process.pid <= _MOST_PID:
            return None
        return cls(process, seen, until, is_detached=value.get("is_detached") is True)

    def to_metadata(self) -> dict[str, Any]:
        """The lease as metadata."""
        return {
            **asdict(self.process),
            "seen": self.seen.isoformat(),
            "until": self.until.isoformat(),
            "is_detached": self.is_detached,
        }

    def find_death(self, now: datetime, *, is_forged: bool = False) -> str | None:
        """Why the client is taken to have ended; None if it may live.

        Args:
            now: The time.
            is_forged: Whether the process may be one that somebody else has written.
        """
        if not is_forged and self.process.has_ended():
            return f"{self.process}, which followed it, has ended"
        ahead = self.seen - now
        if ahead > CLOCK_DIFFERENCE:
            return (
                f"the sign of life of {self.process}, which followed it, is dated "
                f"{format_duration(ahead.total_seconds())} ahead"
            )
        # Differences, because the times may be the last that there are.
        if -ahead < min(self.until - self.seen, LONGEST_LEASE):
            return None
        # A notebook may live on and follow nothing.
        return f"{self.process}, which followed it, was last seen {_describe_age(self.seen, now)}"

    def has_left(self, now: datetime, quiet_since: datetime | None) -> bool:
        """Whether the client has ended, if it follows no step, and so renews no lease.

        Args:
            now: The time.
            quiet_since: Since when its run has had nothing to do but to go on; None if the
                client may be busy with something else.
        """
        if self.process.has_ended():
            return True
        if self.find_death(now) is None:
            return False
        is_quiet = quiet_since is not None and now - quiet_since >= LONGEST_LEASE
        return is_quiet or self.process.is_of_earlier_boot()


@dataclass(frozen=True, slots=True)
class Following:
    """Whether somebody follows the job of a step run."""

    # The last sign of life; None if the step run has none, as those of earlier versions.
    lease: Lease | None = None
    # Why nobody follows it; None if somebody does, or may.
    absence: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nobody follows it any more: its client is gone, or has detached."""
        return bool(self.absence) or self.is_detached

    @property
    def is_detached(self) -> bool:
        """Whether its client has left, and meant the job to go on."""
        return self.lease is not None and self.lease.is_detached

    def describe(self, now: datetime) -> str:
        """Who follows it, for people."""
        if self.lease is None and not self.absence:
            return "unknown: an earlier version of zenml-vertex submitted it"
        if self.lease is None or self.absence:
            return "nobody"
        if self.is_detached:
            return f"nobody: {self.lease.process} detached"
        return f"{self.lease.process}, seen {_describe_age(self.lease.seen, now)}"


@dataclass(frozen=True, slots=True)
class Creation:
    """What a job says of its create, and no step can change."""

    # Fingerprint of the process; None if that is not known.
    client: str | None = None
    time: datetime | None = None

    def is_by(self, lease: Lease) -> bool:
        """Whether a lease is that of the process which created the job."""
        return self.client is not None and lease.process.fingerprint == self.client

    def proves_end(self, lease: Lease) -> bool:
        """Whether the process which created the job has certainly ended."""
        return self.is_by(lease) and lease.process.has_ended()

    def find_death(self, lease: Lease, now: datetime) -> str | None:
        """Why a client is taken to have ended; None if it may live."""
        is_forged = self.client is not None and not self.is_by(lease)
        return lease.find_death(now, is_forged=is_forged)

    def is_recent(self, now: datetime) -> bool:
        """Whether the process that created the job may live without having renewed a lease."""
        if self.client is None or self.time is None:
            return False
        return now - self.time < RENEWAL * _RENEWALS_IN_A_LEASE


def find_following(
    recorded: Mapping[str, Any],
    of_run: Mapping[str, Any],
    now: datetime,
    creation: Creation = Creation(),
) -> Following:
    """Whether somebody follows the job of a step run.

    A step can write the metadata. So a process is taken to have ended, as long as its lease has
    not, only if it is the one that created the job.

    Args:
        recorded: Metadata of the step run.
        of_run: Metadata of its pipeline run.
        now: The time.
        creation: What the job says, if it is known.
    """
    signed = Lease.read(recorded.get(CLIENT_KEY))
    renewed = {
        key: lease
        for key, value in of_run.items()
        if key.startswith(LEASE_PREFIX) and (lease := Lease.read(value))
    }
    leases = [lease for lease in renewed.values() if creation.is_by(lease)]
    if signed and not signed.is_detached:
        own = renewed.get(f"{LEASE_PREFIX}{signed.process.client_id}")
        leases += [lease for lease in (signed, own) if lease]
    elif signed and creation.is_by(signed):
        leases = []
    # Who has signed since has said more than by its bid.
    own_id = signed.process.client_id if signed else None
    leases += [bid for bid in find_bids(recorded) if bid.process.client_id != own_id]
    alive = [lease for lease in leases if creation.find_death(lease, now) is None]
    if alive:
        return Following(max(alive, key=lambda lease: lease.seen))
    if signed and signed.is_detached:
        return Following(signed)
    if creation.is_recent(now) and not any(creation.proves_end(lease) for lease in leases):
        return Following(signed)
    if not leases:
        # A step that has overwritten it does not hide its job by that.
        is_overwritten = CLIENT_KEY in recorded
        return Following(absence=_UNREADABLE if is_overwritten else None)
    latest = max(leases, key=lambda lease: lease.seen)
    return Following(latest, creation.find_death(latest, now))


def find_bids(recorded: Mapping[str, Any]) -> list[Lease]:
    """The bids for a step run that have not been taken back, in their order.

    Args:
        recorded: Metadata of the step run.
    """
    client = recorded.get(CLIENT_KEY)
    items = client.items() if isinstance(client, Mapping) else ()
    found = (Lease.read(value) for key, value in items if str(key).startswith(BID_PREFIX))
    return [lease for lease in found if lease]


def sign() -> dict[str, Any]:
    """What a step run's metadata has from the process that follows its job."""
    return {CLIENT_KEY: Lease.sign(read_time()).to_metadata()}


def sign_off(step_runs: StepRuns, step_run_id: str) -> None:
    """Record that this process leaves the job of a step run, and means it to go on."""
    lease = Lease.sign(read_time(), is_detached=True)
    # If that fails, the job seems to be followed by a process that has ended.
    with suppress(VertexStepOperatorError):
        step_runs.record(step_run_id, {CLIENT_KEY: lease.to_metadata()})


class LeaseKeeper:
    """Renews the lease of this process, for each pipeline run whose steps it follows.

    Args:
        record: Writes metadata of a step run.
        record_on_run: Writes metadata of a pipeline run.
        now: The time.
    """

    def __init__(
        self,
        record: Callable[[str, Mapping[str, Any]], None],
        record_on_run: Callable[[str, Mapping[str, Any]], None],
        now: Callable[[], datetime] = read_time,
    ) -> None:
        self._record = record
        self._record_on_run = record_on_run
        self._now = now
        self._leases: dict[str, _Kept] = {}
        # Step runs that another process has signed -> their runs.
        self._unsigned: dict[str, str] = {}
        self._next_try: datetime | None = None
        self._outages = OutageLog()

    def note_resumed(self, run_id: str, step_run_id: str) -> None:
        """This process follows a step run that another process has signed.

        It signs it when it polls for the first time: who looks once does not follow.
        """
        self._unsigned[step_run_id] = run_id

    def renew(self, run_ids: Iterable[str]) -> None:
        """Renew the lease on each run for which that is due; a failure is tried again later."""
        run_ids = list(run_ids)
        self._sign_resumed(run_ids)
        for run_id in run_ids:
            now = self._now()
            kept = self._leases.setdefault(run_id, _Kept.start(now))
            if now < kept.due and now >= kept.since:
                continue
            renewal = LATE_RENEWAL if now - kept.since >= _LATE else RENEWAL
            lease = Lease.sign(now, renewal)
            try:
                key = f"{LEASE_PREFIX}{lease.process.client_id}"
                self._record_on_run(run_id, {key: lease.to_metadata()})
            except VertexStepOperatorError as error:
                self._outages.warn("lease", error)
                renewal = _RETRY
            else:
                self._outages.drop("lease")
            self._leases[run_id] = replace(kept, since=min(kept.since, now), due=now + renewal)

    def _sign_resumed(self, run_ids: list[str]) -> None:
        now = self._now()
        if self._next_try and self._next_try - _RETRY <= now < self._next_try:
            return
        self._next_try = None
        for step_run_id, run_id in list(self._unsigned.items()):
            if run_id not in run_ids:
                continue
            try:
                self._record(step_run_id, {CLIENT_KEY: Lease.sign(now).to_metadata()})
            except StepRunNotFound:
                pass
            except VertexStepOperatorError as error:
                self._outages.warn("lease", error)
                self._next_try = now + _RETRY
                return
            self._unsigned.pop(step_run_id, None)


@dataclass(frozen=True, slots=True)
class _Kept:
    since: datetime
    due: datetime

    @classmethod
    def start(cls, now: datetime) -> "_Kept":
        # Until then, the signature on the step run is enough.
        return cls(now, now + RENEWAL)


def _read_text(value: object) -> str:
    return clean_line(str(value))[:253]


def _describe_age(time: datetime, now: datetime) -> str:
    return f"{format_duration(max(0.0, (now - time).total_seconds()))} ago"
