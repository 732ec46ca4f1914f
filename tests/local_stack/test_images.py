"""`--runtime docker`: which Docker engine is used, and the error if none answers."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from zenml_vertex.local_stack.images import ImagePlan, find_docker_host, open_image_services
from zenml_vertex.local_stack.processes.loopback import open_listener
from zenml_vertex.local_stack.processes.servers import StartError, ToolsMissingError

COMMAND = str(Path(sys.executable).with_name("zenml-vertex"))


@pytest.fixture
def engine() -> Iterator[str]:
    """The address of a fake Docker engine, with no image and no connection to a hub."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "/images/" in self.path:
                self.reply(404, b'{"message": "No such image"}')
            else:
                is_ping = self.path.endswith("/_ping")
                self.reply(200, b"OK" if is_ping else b'{"ApiVersion": "1.44"}')

        def do_POST(self) -> None:
            self.reply(500, b'{"message": "registry-1.docker.io: no such host"}')

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"tcp://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def unused() -> str:
    """An address that no server answers."""
    with open_listener() as listener:
        host, port = listener.getsockname()
    return f"tcp://{host}:{port}"


def run_demo(*options: str, host: str = "") -> "subprocess.CompletedProcess[str]":
    """Run `zenml-vertex demo` with a DOCKER_HOST."""
    environment = {**os.environ, "DOCKER_HOST": host}
    return subprocess.run(
        [COMMAND, "demo", *options], env=environment, capture_output=True, text=True, timeout=60
    )


def test_docker_host_comes_first(engine: str) -> None:
    """DOCKER_HOST overrides the Docker context."""
    assert find_docker_host({"DOCKER_HOST": engine}) == engine


def test_the_current_context_is_used(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without DOCKER_HOST, the context of `docker context use` is used, as Docker Desktop needs."""
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"desktop-linux").hexdigest()
    meta.mkdir(parents=True)
    content = {"Name": "desktop-linux", "Metadata": {}, "Endpoints": {"docker": {"Host": engine}}}
    (meta / "meta.json").write_text(json.dumps(content), "utf-8")
    (tmp_path / "config.json").write_text('{"currentContext": "desktop-linux"}', "utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert find_docker_host({}) == engine


def test_without_an_engine_the_demo_says_what_to_start(unused: str) -> None:
    """Without an engine there is one error with a cure, before any server starts."""
    done = run_demo("--runtime", "docker", host=unused)
    assert done.returncode == 1
    assert f"No Docker engine answers at {unused}. Start Docker Desktop" in done.stderr
    assert "Traceback" not in done.stderr
    assert "is ready" not in done.stdout


@pytest.mark.parametrize(
    "option", [("--registry", "127.0.0.1:5000"), ("--parent-image", "python:3.12")]
)
def test_options_for_images_need_the_docker_runtime(option: tuple[str, str]) -> None:
    """An option that would have no effect is refused."""
    done = run_demo(*option)
    assert done.returncode == 2
    assert "need --runtime docker" in done.stderr


def test_a_given_registry_is_used(engine: str, tmp_path: Path) -> None:
    """With `--registry`, none is started; `localhost`, which ZenML refuses, becomes 127.0.0.1."""
    plan = ImagePlan(registry="localhost:5000/team", parent_image="python:3.12")
    log = tmp_path / "registry.log"
    with open_image_services(plan, log, {"DOCKER_HOST": engine}, logins=tmp_path) as services:
        assert services.registry == "127.0.0.1:5000/team"
        assert services.parent_image == "python:3.12"
    assert not log.exists()


def test_a_registry_that_cannot_be_pulled_has_a_cure(engine: str, tmp_path: Path) -> None:
    """The error has the engine's reason, and the option that makes the pull unnecessary."""
    environment = {**os.environ, "DOCKER_HOST": engine}
    with (
        pytest.raises(StartError, match=r"no such host.*--registry HOST:PORT"),
        open_image_services(ImagePlan(), tmp_path / "registry.log", environment, logins=tmp_path),
    ):
        pass


def test_no_engine_is_an_error_of_its_own(unused: str) -> None:
    """Callers can distinguish a missing engine from a server that did not start."""
    with pytest.raises(ToolsMissingError, match="systemctl start docker"):
        find_docker_host({"DOCKER_HOST": unused})
