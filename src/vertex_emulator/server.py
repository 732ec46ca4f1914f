"""The emulator as an object: puts the services together, starts them and stops them."""

import atexit
import os
import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from vertex_emulator.app import build_app
from vertex_emulator.control import ControlApi
from vertex_emulator.core.clock import Clock, SystemClock
from vertex_emulator.core.documents import DocumentStore, FileStore
from vertex_emulator.core.errors import Json
from vertex_emulator.core.operations import Operations
from vertex_emulator.core.timer import Timer
from vertex_emulator.doors import Doors
from vertex_emulator.faults.api import FaultApi
from vertex_emulator.faults.call_faults import EVERY_METHOD, RequestLost
from vertex_emulator.faults.injection import FaultInjector
from vertex_emulator.faults.plan import FaultPlan, Planned
from vertex_emulator.http.calls import CallRecord, Calls
from vertex_emulator.http.routes import Api, Route
from vertex_emulator.identity.api import MetadataApi, TokenApi
from vertex_emulator.identity.tokens import DEFAULT_LIFETIME_SECONDS, Tokens
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.states import TERMINAL_STATES, JobState
from vertex_emulator.jobs.timings import Timings, TimingsOf, timings_of
from vertex_emulator.logs.api import LogApi
from vertex_emulator.logs.entries import JobLogs
from vertex_emulator.logs.log_store import LogStore
from vertex_emulator.logs.shapes import LogStyle, read_text
from vertex_emulator.operations import OperationApi
from vertex_emulator.persistent_resources.timings import ResourceTimings
from vertex_emulator.runtimes.contract import AnyRuntime, ImageRuntime
from vertex_emulator.runtimes.process import ProcessRuntime
from vertex_emulator.secrets.api import SecretApi
from vertex_emulator.secrets.service import Secrets
from vertex_emulator.services import Foundation, build_jobs

if TYPE_CHECKING:
    from typing_extensions import Self


class VertexEmulator:
    """A Vertex AI on loopback; a context manager.

    Everything that it starts is gone when it stops. Containers that still run are ended;
    their jobs are started again by the next emulator with the same folder.

    Args:
        address: Loopback address to listen on, or `localhost`; with a secret, any address of this
            machine, or `0.0.0.0` for all of them.
        port: Port to listen on; 0 takes a free one.
        data_dir: Folder that keeps jobs and logs; None takes a temporary one, which is
            gone at the end.
        timings: How long the phases of jobs last, or a function that says so of each job, such
            as `recorded_timings`.
        resource_timings: How long operations on persistent resources take.
        clock: Where time comes from; the machine's own by default.
        runtime: Runs containers; processes of this machine by default.
        token_lifetime: Seconds that an access token lasts; more than 0.
        user_identities: Refresh token or OAuth client ID -> identity of the user.
        store: Keeps jobs and operations, instead of `data_dir`; closed at the end.
        faults: The fault plan; an empty one by default.
        seed: Makes the IDs of jobs, and what the default plan draws, the same each time.
        log_style: How the log entries of jobs look; as recorded by default.
        secret: What others must know, who can reach `address`: 22 to 256 letters, digits, `-` and
            `_`. Its address is then `http://HOST:PORT/secret=SECRET`, and nothing is answered
            without it, not even on loopback. It travels in clear text.
        services: Build the APIs of further kinds of resources.
        as_google: Serve it under Google's own host names as well, over REST and gRPC, to clients
            with the variables of `google_environment`.

    Raises:
        DataDirInUseError: If another emulator works in `data_dir`.
        DataDirError: If `data_dir` cannot be used.
        NotLoopbackError: If others could reach `address` without a secret; a ValueError.
        WeakSecretError: If `secret` could be guessed; a ValueError.
        ListenError: If the port is taken; an OSError.
        FaultError: If `faults` has a fault of a method that no route has.
        ModuleNotFoundError: If `as_google` needs a package that is not installed.
    """

    def __init__(
        self,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        data_dir: Path | str | None = None,
        timings: Timings | TimingsOf | None = None,
        resource_timings: ResourceTimings | None = None,
        clock: Clock | None = None,
        runtime: AnyRuntime | None = None,
        token_lifetime: float = DEFAULT_LIFETIME_SECONDS,
        user_identities: Mapping[str, str] | None = None,
        store: DocumentStore | None = None,
        faults: FaultPlan | None = None,
        seed: int | None = None,
        log_style: LogStyle | None = None,
        secret: str | None = None,
        services: Iterable[Callable[[Foundation], Api]] = (),
        as_google: bool = False,
    ) -> None:
        self.clock = clock or SystemClock()
        is_temporary = data_dir is None and store is None
        self._runtime = runtime or ProcessRuntime(os.environ, are_tethered=is_temporary)
        self.faults = faults or FaultPlan(seed or 0)
        self._timer = Timer(self.clock)
        self._log_store = LogStore()
        self._logs = JobLogs(self.clock, self._log_store, log_style)
        self._calls = Calls()
        self._outage: Planned | None = None
        self._is_started = False
        self._is_crashed = False
        self._is_stopped = False
        with ExitStack() as opened:
            self._doors = Doors(address, port, secret, as_google=as_google)
            opened.callback(self._doors.stop)
            self._store = store or FileStore(Path(data_dir) if data_dir else None)
            self._owns_store = store is None
            if self._owns_store:
                opened.callback(self._store.close)
            self._operations = Operations(self._store, self._timer)
            foundation = Foundation(self._store, self._operations, self._timer)
            parts = build_jobs(
                foundation,
                logs=self._logs,
                runtime=self._runtime,
                timings=timings_of(timings),
                resource_timings=resource_timings or ResourceTimings(),
                metadata_host=self._doors.address.own_host,
                faults=self.faults,
                ids=random.Random(seed),  # noqa: S311 - IDs are not secret
            )
            self._driver = parts.driver
            tokens = Tokens(self.clock, token_lifetime, user_identities)
            # One line for each service; `foundation` is all that a kind of resource needs.
            self._apis: tuple[Api, ...] = (
                parts.jobs,
                parts.resources,
                *(service(foundation) for service in services),
                LogApi(self._log_store, self._store, self.clock),
                SecretApi(Secrets(self._store, self.clock)),
                OperationApi(self._operations),
                TokenApi(tokens),
                MetadataApi(tokens),
                ControlApi(self._calls, self.reset),
                FaultApi(self.faults),
            )
            self.faults.attach(
                self._driver.get,
                self._driver.add_script,
                [route.fault_method for route in self.routes if route.fault_method],
            )
            self._injector = FaultInjector(self.faults, self._timer, self.clock, tokens)
            app = build_app(
                self.routes,
                injector=self._injector,
                identify=tokens.identify,
                calls=self._calls,
                clock=self.clock,
            )
            self._doors.furnish(app)
            opened.pop_all()

    @property
    def host(self) -> str:
        """`host:port`, the value for AIPLATFORM_EMULATOR_HOST; with its secret, if it has one."""
        return self._doors.address.host

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._doors.address.port

    @property
    def url(self) -> str:
        """Its address with the scheme, without a slash at the end."""
        return f"http://{self.host}"

    @property
    def google_environment(self) -> Mapping[str, str]:
        """The variables that lead unmodified clients of Google here; none without `as_google`."""
        return self._doors.google_environment

    @property
    def data_dir(self) -> Path:
        """The folder that keeps jobs and logs."""
        return self._store.folder

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """The calls of clients so far, the oldest first."""
        return tuple(self._calls)

    def forget_calls(self) -> None:
        """Drop the records of the calls so far, to free their memory."""
        self._calls.clear()

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes that it serves; every other one is answered with 404."""
        return tuple(route for api in self._apis for route in api.routes)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Every job, the newest first."""
        return tuple(self._driver.all())

    def job(self, name: str) -> Job:
        """A job by its resource name or numeric ID.

        Raises:
            KeyError: If the job does not exist.
        """
        job = self._driver.get(name.rsplit("/", 1)[-1])
        if job is None:
            raise KeyError(name)
        return job

    def log_entries(self, name: str) -> list[Json]:
        """The log entries of a job, the oldest first.

        Raises:
            KeyError: If the job does not exist.
        """
        return self._logs.entries_of(self.job(name).job_id)

    def log_lines(self, name: str, task: str | None = None) -> list[str]:
        """What the log of a job says, in whichever shape, the oldest line first.

        Args:
            name: Resource name or numeric ID.
            task: `service`, or a replica such as `workerpool0-0`; None for all.

        Raises:
            KeyError: If the job does not exist.
        """
        return [
            read_text(entry)
            for entry in self.log_entries(name)
            if task in {None, entry["resource"]["labels"]["task_name"]}
        ]

    def wait_for(self, predicate: Callable[[], bool], *, seconds: float = 30.0) -> None:
        """Wait until a condition is true; it is checked whenever a job changes.

        Args:
            predicate: The condition.
            seconds: How long to wait at most, by the machine's own clock.

        Raises:
            TimeoutError: If it is not true in time.
        """
        if not self._driver.wait_for(predicate, seconds):
            raise TimeoutError(f"the condition is not true after {seconds} s")

    def wait_for_state(self, name: str, *states: JobState, seconds: float = 30.0) -> Job:
        """Wait until a job is in one of the states; in any terminal one by default.

        Args:
            name: Resource name or numeric ID.
            states: The states to wait for.
            seconds: How long to wait at most, by the machine's own clock.

        Raises:
            TimeoutError: If the job does not get there in time.
            KeyError: If the job does not exist.
        """
        wanted = set(states) or TERMINAL_STATES
        if not self._driver.wait_for(lambda: self.job(name).state in wanted, seconds):
            raise TimeoutError(f"{name} is {self.job(name).state.value} after {seconds} s")
        return self.job(name)

    def wait_for_line(self, name: str, text: str, *, seconds: float = 30.0) -> None:
        """Wait until a job's log has a line that contains a text.

        Args:
            name: Resource name or numeric ID.
            text: The text to wait for.
            seconds: How long to wait at most, by the machine's own clock.

        Raises:
            TimeoutError: If the log has no such line in time.
            KeyError: If the job does not exist.
        """
        if not self._logs.wait_for(self.job(name).job_id, text, seconds):
            raise TimeoutError(f"{name} has not written {text!r} after {seconds} s")

    def reset(self) -> None:
        """End and forget all jobs, logs, tokens, calls and faults; returns when it is done."""
        # First, so that no fault hits what is being ended.
        self.faults.clear()
        self._outage = None
        for api in self._apis:
            api.reset()

    def start(self) -> "Self":
        """Start serving; returns when clients can connect.

        Raises:
            DataDirError: If what is kept cannot be read. The emulator is stopped then.
        """
        try:
            for api in self._apis:
                api.start()
        except BaseException:
            for api in self._apis:
                api.stop()
            self.stop()
            raise
        self._is_started = True
        self._timer.start()
        self._doors.start()
        atexit.register(self.stop)
        return self

    def go_down(self) -> None:
        """Hang up on every call to Google's APIs until `come_back`; jobs continue."""
        if self._outage is None:
            self._outage = self.faults.plan(RequestLost(EVERY_METHOD, count=0))

    def come_back(self) -> None:
        """Answer calls again; does nothing if it is not down."""
        outage, self._outage = self._outage, None
        if outage:
            outage.withdraw()

    def crash(self) -> None:
        """Stop as if killed: connections are reset, jobs and containers left as they are.

        An emulator that is then started in the same folder, or with the same store,
        continues as after a kill. `stop` ends the containers that are left, and removes
        a temporary folder.
        """
        if self._is_crashed or self._is_stopped or not self._is_started:
            return
        self._is_crashed = True
        for api in self._apis:
            api.crash()
        self._timer.stop()
        self._logs.close()
        self._doors.crash()
        self._injector.release()
        self._store.release()

    def stop(self) -> None:
        """Stop serving and end every container; a second call does nothing."""
        if self._is_stopped:
            return
        self._is_stopped = True
        atexit.unregister(self.stop)
        if self._is_started:
            self._injector.release()
            self._operations.release()
        self._doors.stop()
        if self._is_started:
            self._timer.stop()
            for api in self._apis:
                api.stop()
        if isinstance(self._runtime, ImageRuntime):
            self._runtime.close()
        if self._owns_store or not self._is_crashed:
            self._store.close()

    def __enter__(self) -> "Self":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
