"""Server processes: start, wait until ready, stop."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path

from zenml_vertex.local_stack.processes.ending import end_process, hold_signals
from zenml_vertex.local_stack.processes.launcher import build_command
from zenml_vertex.local_stack.processes.loopback import send_request, url_of

_OK = 200
_POLL_SECONDS = 0.05
# A server that is given SIGTERM finishes what it has begun.
_STOP_SECONDS = 10.0
_LOG_LINES = 20
# Somebody who sees nothing for longer takes it for stuck.
_PROGRESS_SECONDS = 5.0
# Begins a line of a log that says what the server is doing before it is ready, such as
# `Stage: importing ZenML`.
STAGE = "Stage: "


class StartError(Exception):
    """A part of the local stack did not start. The message holds the end of its log."""


class ToolsMissingError(StartError):
    """This machine lacks a program, or a right, that the part needs. The message says which."""


class Server:
    """A server in a process and a session of its own, which writes to a log file.

    It ends with this process, however this process ends.

    Args:
        name: What it is, for people.
        target: `module:function` that serves.
        arguments: Its command line.
        environment: Its whole environment.
        log: File that its output goes to.
        listener: Socket that it is to serve on; it gets it as its standard input, and
            it is closed here. Without one, the server chooses a port and announces
            its URL in a line `... listening on http://...`.
        health_path: Path that answers 200 once it is ready.
        health_headers: Headers of the request for that path, such as a password.
        probe: Says whether it is ready, instead of that path; for a server that does
            not speak HTTP over TCP.
        stop_seconds: How long it may take to stop.
    """

    def __init__(
        self,
        name: str,
        target: str,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str],
        log: Path,
        listener: socket.socket | None = None,
        health_path: str = "/",
        health_headers: Mapping[str, str] | None = None,
        probe: Callable[[], bool] | None = None,
        stop_seconds: float = _STOP_SECONDS,
    ) -> None:
        self.name = name
        self.log = log
        self._health_path = health_path
        self._health_headers = health_headers
        self._probe = probe
        self._stop_seconds = stop_seconds
        self._url = url_of(listener) if listener else None
        with hold_signals(), log.open("wb") as output:
            reader, writer = os.pipe()
            self._process = subprocess.Popen(
                build_command(reader, target, tuple(arguments)),
                env=dict(environment),
                stdin=listener.fileno() if listener else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[reader],
                start_new_session=True,
            )
            os.close(reader)
            self._tether: int | None = writer
            if listener:
                listener.close()

    @property
    def pid(self) -> int:
        """Process ID."""
        return self._process.pid

    @property
    def url(self) -> str:
        """Its address, without a slash at the end.

        Raises:
            RuntimeError: If it has not announced one yet.
        """
        if self._url is None:
            raise RuntimeError(f"The {self.name} has not announced its address yet.")
        return self._url

    def wait_until_ready(
        self, seconds: float, progress: Callable[[str], None] = lambda _: None
    ) -> None:
        """Wait until it answers.

        Args:
            seconds: At most so long.
            progress: Is told every few seconds how long it has taken, and at what it is.

        Raises:
            StartError: If it ends, or is not ready in time.
        """
        start = time.monotonic()
        deadline = start + seconds
        told = start
        while not self._is_ready():
            status = self._process.poll()
            if status is not None:
                raise StartError(f"The {self.name} ended with status {status}.{self._log_tail()}")
            if time.monotonic() > deadline:
                raise StartError(
                    f"The {self.name} is not ready after {seconds:.0f} s.{self._log_tail()}"
                )
            if time.monotonic() - told >= _PROGRESS_SECONDS:
                told = time.monotonic()
                progress(
                    f"Waiting for the {self.name}{self._describe_stage()}: {told - start:.0f} s."
                )
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End it; a second call does nothing."""
        with hold_signals():
            end_process(self._process, patience=self._stop_seconds)
            if self._tether is not None:
                os.close(self._tether)
                self._tether = None

    def _is_ready(self) -> bool:
        if self._probe:
            return self._probe()
        if self._url is None:
            self._url = find_announced_url(read_log(self.log))
            if self._url is None:
                return False
        try:
            answer = send_request(
                self._url + self._health_path, headers=self._health_headers, seconds=1.0
            )
        except (OSError, HTTPException):
            return False
        return answer.status == _OK

    def _describe_stage(self) -> str:
        stages = re.findall(rf"^{STAGE}(.+)\n", read_log(self.log), re.MULTILINE)
        return f", which is {stages[-1]}" if stages else ""

    def _log_tail(self) -> str:
        return describe_log(self.log)


def find_announced_url(output: str) -> str | None:
    """The URL in a line `... listening on URL`; None before it is written whole.

    A server that logs by itself may leave out `http://` and put it into quotes.
    """
    match = re.search(r"\blistening on (?:http://)?([^\s\"]+)\"?(?=[\s]).*\n", output)
    return f"http://{match[1].rstrip('/')}" if match else None


def read_log(log: Path) -> str:
    """All that a process has written so far."""
    return log.read_text("utf-8", errors="replace")


def describe_log(log: Path) -> str:
    """The end of a log file, as the end of an error message."""
    lines = read_log(log).rstrip().splitlines()[-_LOG_LINES:]
    if not lines:
        return f" It wrote nothing to its log ({log})."
    return "\n".join([f" The end of its log ({log}):", *(f"    {line}" for line in lines)])
