"""A ZenML server that is down while a step runs, with a real HTTP server and a manual clock."""

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from tests.support.fakes import ManualClock
from zenml_vertex.container.server_outages import (
    Outage,
    PatientAdapter,
    ServerOutageError,
)
from zenml_vertex.job.diagnosis import diagnose


class Server:
    """Answers with the statuses that are planned, 0 for none, and with 200 when they are used up.

    Args:
        statuses: What the next requests get.
    """

    def __init__(self, *statuses: int) -> None:
        plan = list(statuses)
        bodies: list[bytes] = []

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                status = plan.pop(0) if plan else 200
                if status:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                self.close_connection = True

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.bodies = bodies
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A session, as ZenML's client has one."""
    with requests.Session() as session:
        yield session


def _be_patient(session: requests.Session, clock: ManualClock, seconds: float = 1800.0) -> None:
    session.mount("http://", PatientAdapter(Outage(clock, seconds)))
    session.trust_env = False


def test_a_result_is_reported_when_the_server_is_back(
    session: requests.Session, caplog: pytest.LogCaptureFixture
) -> None:
    """A report arrives after any number of lost answers and refusals of a proxy.

    However long the outage lasts, the container notices its end within ten seconds.
    """
    caplog.set_level(logging.WARNING)
    clock = ManualClock()
    _be_patient(session, clock)
    server = Server(0, 503, 502, 0, *[503] * 20)
    try:
        assert session.put(server.url, data=b"result").status_code == 200
        assert session.put(server.url, data=b"another").status_code == 200
    finally:
        server.close()
    assert server.bodies == [b"result"] * 25 + [b"another"]
    assert max(clock.sleeps) == 10.0
    first, last = caplog.messages
    assert "does not respond (ConnectionError). Trying again for up to 30 min" in first
    assert last.startswith("The ZenML server responds again, after ")


def test_a_server_that_stays_away_is_given_up_once(session: requests.Session) -> None:
    """The step fails when its patience is spent, and nothing else waits for the server again.

    The job's diagnosis says so.
    """
    clock = ManualClock()
    _be_patient(session, clock)
    server = Server()
    server.close()
    began = clock.monotonic()
    with pytest.raises(ServerOutageError) as caught:
        session.put(server.url, data=b"result")
    assert clock.monotonic() - began == 1800.0
    with pytest.raises(ServerOutageError):
        session.put(server.url, data=b"stopped")
    assert clock.monotonic() - began == 1800.0

    line = f"{ServerOutageError.__module__}.{ServerOutageError.__name__}: {caught.value}"
    message = "The replica workerpool0-0 exited with a non-zero status of 1."
    found = diagnose({"state": "JOB_STATE_FAILED", "error": {"message": message}}, [line])
    assert "could not report its step's result" in found.what
    assert "30 min" in found.why
    assert "`server_outage_seconds`" in found.cure


@pytest.mark.parametrize("has_own_thread", [True, False])
def test_a_report_is_given_up_while_a_heartbeat_gets_answers(
    session: requests.Session, has_own_thread: bool
) -> None:
    """Answers to other requests do not make the report wait for longer than the setting."""
    server = Server(*[503] * 1000)
    beats: list[int] = []

    def beat() -> None:
        with requests.Session() as another:
            another.trust_env = False
            another.mount("http://", adapter)
            beats.append(another.get(server.url).status_code)

    class BeatingClock(ManualClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if has_own_thread:
                thread = threading.Thread(target=beat, daemon=True)
                thread.start()
                thread.join(10)
            else:
                beat()

    clock = BeatingClock()
    adapter = PatientAdapter(Outage(clock, 60.0))
    session.mount("http://", adapter)
    session.trust_env = False
    began = clock.monotonic()
    try:
        with pytest.raises(ServerOutageError):
            session.put(server.url, data=b"result")
    finally:
        server.close()
    assert clock.monotonic() - began == 60.0
    assert beats == [200] * len(clock.sleeps)


def test_another_answer_is_left_to_zenml(session: requests.Session) -> None:
    """What the server refuses is not sent again."""
    _be_patient(session, ManualClock())
    server = Server(500, 401)
    try:
        assert session.put(server.url, data=b"1").status_code == 500
        assert session.put(server.url, data=b"2").status_code == 401
    finally:
        server.close()
