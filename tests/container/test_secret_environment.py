"""What runs in a container before ZenML: it reads the environment, and starts the step."""

import ast
import base64
import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPSConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.fakes import ManualClock
from zenml_vertex.container import secret_environment
from zenml_vertex.container.secret_environment import (
    PATIENCE_SECONDS,
    SecretUnreadable,
    read_environment,
)
from zenml_vertex.job.causes import Source, find_cause

REFERENCE = "projects/p/secrets/zenml-vertex-6a1f-1/versions/1"
TOKEN = "ya29.job"
VALUES = {"ZENML_STORE_API_TOKEN": "hidden", "OWN": "ü"}

Answer = tuple[int, object]
Serve = Callable[..., dict[str, str]]


@pytest.fixture
def calls() -> list[tuple[str, dict[str, str]]]:
    """Path and headers of each request."""
    return []


@pytest.fixture
def serve(calls: list[tuple[str, dict[str, str]]]) -> Iterator[Serve]:
    """Start a metadata server and Secret Manager, and return the container's environment.

    It answers a request for the secret with one answer after the other, the last one for ever.
    """
    servers: list[tuple[HTTPServer, threading.Thread]] = []

    def serve(*answers: Answer, token: Answer = (200, {"access_token": TOKEN})) -> dict[str, str]:
        left = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                calls.append((self.path, dict(self.headers)))
                is_token = self.path.endswith("/token")
                status, content = token if is_token else left[0]
                if not is_token and len(left) > 1:
                    del left[0]
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Write no log."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        host = f"127.0.0.1:{server.server_port}"
        return {"GCE_METADATA_HOST": host, "ZENML_VERTEX_SECRET": REFERENCE}

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def payload(content: bytes) -> Answer:
    """Return the answer with a payload."""
    return 200, {"payload": {"data": base64.b64encode(content).decode()}}


GOOD = payload(json.dumps(VALUES).encode())


def test_the_variables_are_read_with_the_jobs_token(
    serve: Serve, calls: list[tuple[str, dict[str, str]]]
) -> None:
    """Two requests: the metadata server's token, and the version of the secret with it."""
    assert read_environment(serve(GOOD), ManualClock()) == VALUES
    (token_path, asked), (path, sent) = calls
    assert token_path.endswith("/service-accounts/default/token")
    assert asked["Metadata-Flavor"] == "Google"
    assert (path, sent["Authorization"]) == (f"/v1/{REFERENCE}:access", f"Bearer {TOKEN}")


@pytest.mark.parametrize("host", ["metadata.google.internal", "169.254.169.254", "METADATA"])
def test_googles_token_goes_to_google_alone(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Whoever could set a variable of the container, or a proxy, got the job's token.

    A token of Google's metadata server is sent to Secret Manager over TLS, whatever the
    environment says.
    """
    sent: list[tuple[str, int, bool, str]] = []

    def fetch(connection: object, path: str, what: str, headers: dict[str, str]) -> object:
        del what
        is_tls = isinstance(connection, HTTPSConnection)
        assert isinstance(connection, HTTPConnection)
        token = headers.get("Authorization", "")
        sent.append((connection.host, connection.port, is_tls, token))
        return {"access_token": TOKEN} if path.endswith("/token") else GOOD[1]

    monkeypatch.setattr(secret_environment, "_fetch", fetch)
    environ = {
        "GCE_METADATA_HOST": host,
        "ZENML_VERTEX_SECRET": REFERENCE,
        "HTTPS_PROXY": "http://evil.example",
        "AIPLATFORM_EMULATOR_HOST": "evil.example",
    }
    assert read_environment(environ, ManualClock()) == VALUES
    assert sent[0][3] == ""
    assert sent[1:] == [("secretmanager.googleapis.com", 443, True, f"Bearer {TOKEN}")]


@pytest.mark.parametrize(
    "reference",
    ["", "projects/p/secrets/s", f"{REFERENCE}\r\nX: y", f"/evil.example/{REFERENCE}", "a?b"],
)
def test_a_reference_leads_nowhere_else(
    serve: Serve, calls: list[tuple[str, dict[str, str]]], reference: str
) -> None:
    """A name that is not a version of a secret gets no request, and no token is asked for."""
    environ = {**serve(GOOD), "ZENML_VERTEX_SECRET": reference}
    with pytest.raises(SecretUnreadable, match="does not name a version of a secret"):
        read_environment(environ, ManualClock())
    assert calls == []


def test_a_redirect_is_not_followed(serve: Serve, calls: list[tuple[str, dict[str, str]]]) -> None:
    """Whoever could answer with a redirect got the job's token sent to a host of their choice."""
    with pytest.raises(SecretUnreadable, match="answered 302"):
        read_environment(serve((302, {})), ManualClock())
    assert "/elsewhere" not in [path for path, _ in calls]


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_what_may_pass_is_waited_out(serve: Serve, status: int) -> None:
    """A permission that still spreads, and an outage, are waited out for two minutes."""
    clock = ManualClock()
    assert read_environment(serve((status, {}), (status, {}), GOOD), clock) == VALUES
    assert sum(clock.sleeps) < PATIENCE_SECONDS
    clock = ManualClock()
    with pytest.raises(SecretUnreadable, match=f"answered {status} to the request for {REFERENCE}"):
        read_environment(serve((status, {"error": {"message": "hidden"}})), clock)
    assert sum(clock.sleeps) == PATIENCE_SECONDS


@pytest.mark.parametrize(
    "answer",
    [
        (404, {}),
        (200, b"<html>"),
        (200, b"[" * 100_000),
        (200, {"payload": {}}),
        (200, {"payload": {"data": 1}}),
        payload(b"[]"),
        payload(b"hidden"),
    ],
)
def test_what_cannot_pass_ends_the_container(serve: Serve, answer: Answer) -> None:
    """A secret that is gone, or holds something else, is an error at once that shows no content."""
    clock = ManualClock()
    with pytest.raises(SecretUnreadable) as raised:
        read_environment(serve(answer), clock)
    assert clock.sleeps == []
    assert "hidden" not in str(raised.value)


def test_a_container_without_a_token_says_so(serve: Serve) -> None:
    """Without a metadata server, or without a token, the error names what did not answer."""
    environ = serve(GOOD, token=(404, {}))
    with pytest.raises(SecretUnreadable, match="answered 404 to the request for a token"):
        read_environment(environ, ManualClock())
    environ = {**environ, "GCE_METADATA_HOST": "127.0.0.1:1"}
    with pytest.raises(SecretUnreadable, match=r"did not give out a token \(ConnectionRefused"):
        read_environment(environ, ManualClock())


def test_nothing_but_pythons_own_is_imported() -> None:
    """An import of ZenML would read the environment before it is complete."""
    tree = ast.parse(Path(secret_environment.__file__).read_text())
    names = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {name for name in names if name.split(".")[0] not in sys.stdlib_module_names} == {
        "zenml_vertex.clock"
    }


def test_a_step_that_cannot_start_says_why(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container ends with a line that the diagnosis knows, and no module has run."""
    for name, value in serve((404, {})).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        secret_environment.main(["this"])
    line = str(ended.value)
    assert line.startswith("zenml-vertex could not read the step's environment variables from ")
    assert f"answered 404 to the request for {REFERENCE}." in line
    cause = find_cause(Source.LOG, line)
    assert cause
    assert cause.what == "could not read its environment variables from Secret Manager."


def test_the_module_runs_with_the_variables(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The step's module runs as the main module, with its arguments and its environment."""
    (tmp_path / "a_step.py").write_text(
        "import json, os, sys\n"
        "seen = [__name__, sys.modules['__main__'].__dict__ is globals(), sys.argv[1:]]\n"
        "seen += [os.environ['ZENML_STORE_API_TOKEN'], os.environ['OWN']]\n"
        "with open(os.environ['OUT'], 'w') as file: json.dump(seen, file)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name, value in {**serve(GOOD), "OUT": str(tmp_path / "out"), **VALUES}.items():
        monkeypatch.setenv(name, value if name not in VALUES else "")
    monkeypatch.setattr(sys, "argv", [])
    secret_environment.main(["a_step", "--step", "x"])
    found = json.loads((tmp_path / "out").read_text())
    assert found == ["__main__", True, ["--step", "x"], "hidden", "ü"]
