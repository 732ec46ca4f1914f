"""An emulator as an object: it starts, serves in threads of its own, and stops."""

import atexit
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import uvicorn

from zenml_vertex.emulator.api_errors import Json
from zenml_vertex.emulator.app import Services, build_app
from zenml_vertex.emulator.calls import Call, Calls
from zenml_vertex.emulator.clock import Clock, SystemClock
from zenml_vertex.emulator.driver import Driver
from zenml_vertex.emulator.job_service import JobService
from zenml_vertex.emulator.lifecycle import TERMINAL_STATES, Job, JobState, Timings
from zenml_vertex.emulator.log_entries import JobLogs
from zenml_vertex.emulator.runtimes.contract import Runtime
from zenml_vertex.emulator.runtimes.process import ProcessRuntime
from zenml_vertex.emulator.store import FileStore
from zenml_vertex.emulator.tokens import DEFAULT_LIFETIME_SECONDS, Tokens

if TYPE_CHECKING:
    from typing_extensions import Self

# Seconds that an answer under way may take when the emulator stops.
_SHUTDOWN_SECONDS = 2
# Longer than the time between two looks of somebody who follows a job.
_KEEP_ALIVE_SECONDS = 240


class _Server(uvicorn.Server):
    """Says when it is ready, which is what its starter waits for."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class VertexEmulator:
    """A Vertex AI on loopback; a context manager.

    Everything that it starts is gone when it stops. Jobs that still run are ended,
    and go on when an emulator starts again in the same folder.

    Args:
        address: Loopback address to listen on.
        port: Port to listen on; 0 takes a free one.
        data_dir: Folder that keeps jobs and logs; None takes a temporary one, which is
            gone at the end.
        timings: How long the phases of jobs last.
        clock: Where time comes from; the machine's own by default.
        runtime: Runs containers; processes of this machine by default.
        token_lifetime: Seconds that an access token lasts; more than 0.
        user_identities: Refresh token or OAuth client ID -> identity of the user.

    Raises:
        DataDirInUseError: If another emulator works in `data_dir`.
        OSError: If the port is taken.
    """

    def __init__(
        self,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        data_dir: Path | str | None = None,
        timings: Timings | None = None,
        clock: Clock | None = None,
        runtime: Runtime | None = None,
        token_lifetime: float = DEFAULT_LIFETIME_SECONDS,
        user_identities: Mapping[str, str] | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        runtime = runtime or ProcessRuntime(os.environ)
        self._socket = _listen(address, port)
        self._address = self._socket.getsockname()[0]
        self.port: int = self._socket.getsockname()[1]
        try:
            self._store = FileStore(Path(data_dir).resolve() if data_dir else None)
        except BaseException:
            self._socket.close()
            raise
        self._logs = JobLogs(self._store.job_folder, self.clock)
        self._driver = Driver(
            store=self._store,
            logs=self._logs,
            runtime=runtime,
            clock=self.clock,
            timings=timings or Timings(),
            metadata_host=self.host,
        )
        self._services = Services(
            jobs=JobService(self._driver, runtime, self._store, self.clock),
            driver=self._driver,
            logs=self._logs,
            tokens=Tokens(self.clock, token_lifetime, user_identities),
            calls=Calls(),
            clock=self.clock,
        )
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    @property
    def host(self) -> str:
        """`host:port`, the value for AIPLATFORM_EMULATOR_HOST."""
        name = f"[{self._address}]" if ":" in self._address else self._address
        return f"{name}:{self.port}"

    @property
    def url(self) -> str:
        """Its address with the scheme, without a slash at the end."""
        return f"http://{self.host}"

    @property
    def data_dir(self) -> Path:
        """The folder that keeps jobs and logs."""
        return self._store.folder

    @property
    def calls(self) -> tuple[Call, ...]:
        """What clients have asked so far, the oldest first."""
        return tuple(self._services.calls)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Every job, the newest first."""
        return tuple(self._driver.all())

    def job(self, name: str) -> Job:
        """A job by its resource name or numeric ID.

        Raises:
            KeyError: If there is none.
        """
        job = self._driver.get(name.rsplit("/", 1)[-1])
        if job is None:
            raise KeyError(name)
        return job

    def log_entries(self, name: str) -> list[Json]:
        """The log entries of a job, the oldest first.

        Raises:
            KeyError: If there is no such job.
        """
        return self._logs.entries_of(self.job(name).job_id)

    def wait_for(self, predicate: Callable[[], bool], *, seconds: float = 30.0) -> None:
        """Wait until something holds; it is asked again whenever a job changes.

        Args:
            predicate: What to wait for.
            seconds: Of the machine's own clock; at most so long.

        Raises:
            TimeoutError: If it does not hold in time.
        """
        if not self._driver.wait_for(predicate, seconds):
            raise TimeoutError(f"it does not hold after {seconds} s")

    def wait_for_state(self, name: str, *states: JobState, seconds: float = 30.0) -> Job:
        """Wait until a job is in one of the states; in any terminal one by default.

        Args:
            name: Resource name or numeric ID.
            states: What to wait for.
            seconds: Of the machine's own clock; at most so long.

        Raises:
            TimeoutError: If the job does not get there in time.
            KeyError: If there is no such job.
        """
        wanted = set(states) or TERMINAL_STATES
        if not self._driver.wait_for(lambda: self.job(name).state in wanted, seconds):
            raise TimeoutError(f"{name} is {self.job(name).state.value} after {seconds} s")
        return self.job(name)

    def wait_for_line(self, name: str, text: str, *, seconds: float = 30.0) -> None:
        """Wait until a job's log has a line that contains a text.

        Args:
            name: Resource name or numeric ID.
            text: What to wait for.
            seconds: Of the machine's own clock; at most so long.

        Raises:
            TimeoutError: If there is no such line in time.
            KeyError: If there is no such job.
        """
        if not self._logs.wait_for(self.job(name).job_id, text, seconds):
            raise TimeoutError(f"{name} has not written {text!r} after {seconds} s")

    def reset(self) -> None:
        """End and forget all jobs, logs, tokens and calls; returns when it is done."""
        self._services.reset()

    def start(self) -> "Self":
        """Start serving; returns when clients can connect."""
        config = uvicorn.Config(
            build_app(self._services),
            # uvloop starts processes from the main thread only.
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="emulator-server", daemon=True
        )
        self._driver.start()
        self._thread.start()
        atexit.register(self.stop)
        self._server.ready.wait()
        return self

    def stop(self) -> None:
        """Stop serving and end every container; a second call does nothing."""
        if self._is_stopped:
            return
        self._is_stopped = True
        atexit.unregister(self.stop)
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join()
            self._driver.stop()
        self._socket.close()
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


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it every answer
    # waits 40 ms for the delayed ACK of its head.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener
