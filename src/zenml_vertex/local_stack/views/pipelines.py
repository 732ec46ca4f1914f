"""A pipeline in a process of its own: its output as it comes, signals, and its result."""

import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from zenml_vertex.local_stack.processes.early_python import EarlyPython
from zenml_vertex.local_stack.processes.ending import end_process, hold_signals
from zenml_vertex.local_stack.views.zenml import RunRecord, ZenMLRecords

if TYPE_CHECKING:
    from typing_extensions import Self

# ZenML prints the address of a run as soon as the run exists.
_RUN_URL = re.compile(r"/runs/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
# A pipeline that is told to stop cancels its job and waits until it has ended.
_END_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Completed:
    """A pipeline process that has ended."""

    # Exit status; -N for a signal N.
    returncode: int
    # Everything that it has written, stdout and stderr in order.
    output: str = field(repr=False)
    # The ZenML server's record of the run; None if the process started none.
    found_run: RunRecord | None
    # From the process's start to its end.
    seconds: float

    @property
    def run(self) -> RunRecord:
        """The run.

        Raises:
            LookupError: If there was none; shows the output.
        """
        if self.found_run is None:
            raise LookupError(f"The process started no pipeline run. It wrote:\n{self.output}")
        return self.found_run


class PipelineProcess:
    """A script that runs a pipeline; a context manager that ends it.

    It has a session of its own: a Ctrl-C at the terminal does not reach it.

    Args:
        command: How it is started.
        folder: Where it works.
        environment: Its whole environment.
        records: The ZenML server that it works with.
        early: A Python that has been started already, which runs the command's script; None to
            start one.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        records: ZenMLRecords,
        early: EarlyPython | None = None,
    ) -> None:
        self._records = records
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._is_read = False
        self._started = time.monotonic()
        with hold_signals():
            if early:
                self._process = early.run(command[1:], folder=folder, environment=environment)
            else:
                self._process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            if self._process.stdout is None:
                raise RuntimeError("the output of a pipeline process is a pipe")
            self._reader = threading.Thread(
                target=self._read, args=[self._process.stdout], daemon=True
            )
            self._reader.start()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """Process ID."""
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has written so far."""
        with self._changed:
            return "".join(f"{line}\n" for line in self._lines)

    @property
    def run_id(self) -> str | None:
        """ID of the run, once ZenML has made one."""
        match = _RUN_URL.search(self.output)
        return match[1] if match else None

    def lines(self, seconds: float, *, start: int = 0) -> Iterator[str]:
        """The lines of its output as they come.

        Args:
            seconds: In all; at most so long.
            start: Number of the first line, from 0.

        Raises:
            TimeoutError: If it has not ended then.
        """
        deadline = time.monotonic() + seconds
        seen = start
        while True:
            with self._changed:
                has_news = self._changed.wait_for(
                    lambda: len(self._lines) > seen or self._is_read,  # noqa: B023
                    max(0.0, deadline - time.monotonic()),
                )
                news = self._lines[seen:]
                has_ended = self._is_read
            seen += len(news)
            yield from news
            if has_ended:
                return
            if not has_news:
                raise TimeoutError(f"The pipeline has not ended after {seconds:.0f} s.")

    def wait_for_line(self, pattern: str, seconds: float = 60.0) -> re.Match[str]:
        """Wait for a line of the output.

        Args:
            pattern: Regular expression to be found in the line.
            seconds: At most so long.

        Raises:
            TimeoutError: If no line matches in time, or before the process ends;
                shows the output.
        """
        try:
            for line in self.lines(seconds):
                match = re.search(pattern, line)
                if match:
                    return match
        except TimeoutError:
            pass
        raise TimeoutError(f"No line with {pattern!r} in the output:\n{self.output}")

    def send_signal(self, number: int = signal.SIGINT) -> None:
        """Send a signal to the process; Ctrl-C by default."""
        self._process.send_signal(number)

    def wait(self, seconds: float = 120.0) -> Completed:
        """Wait for its end.

        Args:
            seconds: At most so long.

        Raises:
            TimeoutError: If it takes longer; shows the output.
        """
        try:
            returncode = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(
                f"The pipeline is still running after {seconds:.0f} s:\n{self.output}"
            ) from None
        elapsed = time.monotonic() - self._started
        self._reader.join(_END_SECONDS)
        run_id = self.run_id
        run = self._records.fetch_run(run_id) if run_id else None
        return Completed(returncode, self.output, run, elapsed)

    def end(self) -> None:
        """End it with everything that it has started; does nothing if it has ended."""
        end_process(self._process, patience=_END_SECONDS)
        self._reader.join(_END_SECONDS)

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
                    self._changed.notify_all()
        with self._changed:
            self._is_read = True
            self._changed.notify_all()
