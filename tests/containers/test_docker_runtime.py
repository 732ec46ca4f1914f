"""Jobs in real containers, with a real engine and registry and the `docker` runtime."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker
import pytest
import requests

from tests.support.containers.services import ContainerServices
from vertex_emulator import (
    DockerError,
    DockerRuntime,
    Job,
    JobState,
    TemporaryFolder,
    VertexEmulator,
)
from vertex_emulator.runtimes.docker_owner import describe_owner
from zenml_vertex.job.diagnosis import diagnose

pytestmark = pytest.mark.docker

Run = Callable[..., Job]
Submit = Callable[..., str]
_OWNER_LABEL = "zenml-vertex.emulator.owner"
_FOLDER_LABEL = "zenml-vertex.emulator.folder"


def lines_of(emulator: VertexEmulator, job: Job) -> list[tuple[str, str]]:
    """Return the lines that the replica has written: (severity, line)."""
    return [
        (entry["severity"], entry["jsonPayload"]["message"])
        for entry in emulator.log_entries(job.name)
        if entry["resource"]["labels"]["task_name"] == "workerpool0-0"
    ]


def error_of(job: Job) -> dict[str, object]:
    """Return the error of a job that has failed."""
    assert job.state is JobState.FAILED
    assert job.error is not None
    return job.error


def test_a_job_runs_in_its_image(emulator: VertexEmulator, run: Run) -> None:
    """The job has the Python, the files and the output streams of its container."""
    code = "import sys; print(sys.prefix); print('é', end=''); sys.stderr.write('warning\\n')"
    job = run("python", "-c", code)
    assert job.state is JobState.SUCCEEDED
    lines = lines_of(emulator, job)
    assert [line for severity, line in lines if severity == "INFO"] == ["/opt/venv", "é"]
    assert [line for severity, line in lines if severity == "ERROR"] == ["warning"]


def test_the_image_is_pulled_by_its_digest(
    services: ContainerServices, engine: docker.DockerClient, run: Run
) -> None:
    """A tag is resolved at the registry and pulled as `NAME@sha256:...`, which cannot change.

    An image of that name that the engine already has is not used.
    """
    digest = engine.images.get_registry_data(services.parent_image).id
    before = services.registry_log.read_text("utf-8").count(f"/manifests/{digest}")
    assert run("true").state is JobState.SUCCEEDED
    assert services.registry_log.read_text("utf-8").count(f"/manifests/{digest}") > before


def test_the_environment_is_vertex_ais(emulator: VertexEmulator, run: Run) -> None:
    """The container has Vertex AI's variables and the servers' addresses, and no others."""
    code = "import os; print(' '.join(os.environ))"
    job = run("python", "-c", code, env=[{"name": "MINE", "value": "$(CLOUD_ML_JOB_ID)"}])
    (line,) = [line for _, line in lines_of(emulator, job)]
    names = set(line.split())
    assert {
        "CLOUD_ML_PROJECT_ID", "CLOUD_ML_JOB_ID", "CLUSTER_SPEC", "MINE",
        "GCE_METADATA_HOST", "GCE_METADATA_IP", "STORAGE_EMULATOR_HOST",
    } <= names  # fmt: skip
    assert "SECRET_OF_THE_EMULATOR" not in names
    assert "DOCKER_HOST" not in names


def test_the_metadata_server_can_be_reached(emulator: VertexEmulator, run: Run) -> None:
    """Google's libraries get a token in the container as on Google's machines, without a file."""
    code = (
        "import os, urllib.request as u; print(u.urlopen(u.Request('http://' + "
        "os.environ['GCE_METADATA_HOST'] + '/computeMetadata/v1/instance/service-accounts/"
        "default/token', headers={'Metadata-Flavor': 'Google'})).status)"
    )
    job = run("python", "-c", code)
    assert ("INFO", "200") in lines_of(emulator, job)


@pytest.mark.parametrize(("code", "status"), [("exit 7", 7), ("kill -ABRT $$", 134)])
def test_an_exit_status_is_the_jobs_error(code: str, status: int, run: Run) -> None:
    """The job's error has the program's exit status, or 128 + N for a signal N."""
    error = error_of(run("sh", "-c", f"sh -c '{code}'"))
    assert error["code"] == 3
    assert f"non-zero status of {status}." in str(error["message"])


def test_a_command_that_the_image_lacks_is_a_start_error(run: Run) -> None:
    """A missing command is status 128 with containerd's text; a shell's 127 is a normal exit."""
    error = error_of(run("no-such-program"))
    assert "non-zero status of 128. Termination reason: StartError." in str(error["message"])
    assert 'exec: "no-such-program": executable file not found in $PATH' in str(error["message"])
    assert "non-zero status of 127." in str(error_of(run("sh", "-c", "no-such-program"))["message"])


def test_a_container_that_runs_out_of_memory(
    services: ContainerServices, engine: docker.DockerClient, run: Run
) -> None:
    """The error of a container killed for its memory says so, as recorded, with code 8."""
    del engine
    limited = DockerRuntime({"DOCKER_HOST": services.docker_host}, memory_bytes=64 * 2**20)
    with VertexEmulator(runtime=limited) as emulator:
        job = run("python", "-c", "x = bytearray(512 * 2**20)", to=emulator)
    error = error_of(job)
    assert error["code"] == 8
    assert "low on memory" in str(error["message"])


@pytest.mark.parametrize("reaction", ["sys.exit(0)", "None"])
def test_a_cancelled_job_gets_sigterm_and_then_sigkill(
    emulator: VertexEmulator, submit: Submit, engine: docker.DockerClient, reaction: str
) -> None:
    """SIGTERM reaches the program, a program that ignores it is killed, and nothing is left."""
    code = (
        "import signal, sys\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (print('told', flush=True), {reaction}))\n"
        "print('waiting for the end', flush=True)\n"
        "while True: signal.pause()\n"
    )
    name = submit("python", "-c", code)
    emulator.wait_for_line(name, "waiting for the end")
    requests.post(f"{emulator.url}/v1/{name}:cancel", timeout=10)
    job = emulator.wait_for_state(name)
    assert job.state is JobState.CANCELLED
    assert ("INFO", "told") in lines_of(emulator, job)
    # It goes once the job's state is stored.
    emulator.stop()
    assert engine.containers.list(all=True, ignore_removed=True) == []


def test_arguments_alone_keep_the_images_entrypoint(
    services: ContainerServices, engine: docker.DockerClient, emulator: VertexEmulator, run: Run
) -> None:
    """Command and arguments each replace the same part of the image as on Vertex AI."""
    image = f"{services.registry}/entrypoint:1"
    container = engine.containers.create(services.parent_image, ["true"])
    container.commit(
        f"{services.registry}/entrypoint", "1",
        changes=['ENTRYPOINT ["echo", "entrypoint"]', 'CMD ["cmd"]'],
    )  # fmt: skip
    container.remove()
    engine.images.push(image)
    jobs = [
        run(image=image),
        run(image=image, args=["args"]),
        run("echo", "command", image=image),
        run("echo", image=image, args=["both"]),
    ]
    assert [lines_of(emulator, job)[0][1] for job in jobs] == [
        "entrypoint cmd", "entrypoint args", "command", "both",
    ]  # fmt: skip


def test_a_missing_image_fails_the_job_and_is_explained(
    services: ContainerServices, run: Run
) -> None:
    """The job's error has the registry's text, and the operator's diagnosis has the cure."""
    job = run("true", image=f"{services.registry}/zenml:gone")
    assert job.start_time is None
    assert "manifest unknown" in str(error_of(job)["message"])
    found = diagnose(job.to_json())
    assert found.what == "could not pull its image."
    assert "prevent_build_reuse=True" in found.cure


def test_an_image_for_another_architecture_is_explained(
    push_image: Callable[[str, str], str], run: Run
) -> None:
    """An Arm image on an x86 machine fails the job, and the diagnosis names the cause."""
    job = run("true", image=push_image("foreign", "arm64"))
    assert "linux/arm64" in str(error_of(job)["message"])
    assert "platform='linux/amd64'" in diagnose(job.to_json()).cure


@pytest.fixture
def closed_registry() -> Iterator[str]:
    """A registry that refuses every request; its address."""

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"errors":[{"code":"DENIED","message":"denied: permission missing"}]}'
            self.send_response(403 if "manifests" in self.path else 200)
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if self.command == "GET" else b"")

        do_HEAD = do_GET  # noqa: N815 - the library calls it so

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_registry_without_permission_fails_the_job_and_is_explained(
    closed_registry: str, run: Run
) -> None:
    """The job's error has the registry's refusal, and the cure is a role for Vertex AI's agents."""
    job = run("true", image=f"{closed_registry}/team/train:1")
    found = diagnose(job.to_json())
    assert found.what == "is not allowed to pull its image."
    assert "roles/artifactregistry.reader" in found.cure


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("python -c 'import zenml_vertex'", "zenml-vertex is not in its image"),
        (
            "uv pip install --quiet 'opentelemetry-api>=1.44' && "
            "python -c 'import zenml.log_stores.otel.otel_log_store'",
            "opentelemetry packages in its image do not fit",
        ),
    ],
)
def test_a_missing_package_is_explained_by_the_log(
    command: str, what: str, emulator: VertexEmulator, run: Run
) -> None:
    """The diagnosis is found in the traceback of the container's log."""
    job = run("sh", "-c", command)
    log = [line for _, line in lines_of(emulator, job)]
    assert what in diagnose(job.to_json(), log).what


def test_containers_of_a_dead_emulator_are_removed(
    services: ContainerServices, engine: docker.DockerClient, tmp_path: Path
) -> None:
    """The next emulator removes what nobody comes back for.

    It keeps those of a running emulator, of another machine, and of a data folder that is there.
    """
    code = "from vertex_emulator.runtimes.docker_owner import describe_owner as d; print(d())"
    dead = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()
    temporary = TemporaryFolder("vertex-emulator-")
    labels = [
        {_OWNER_LABEL: dead},
        {_OWNER_LABEL: dead, _FOLDER_LABEL: str(tmp_path / "gone")},
        {_OWNER_LABEL: dead, _FOLDER_LABEL: str(temporary.path)},
        {_OWNER_LABEL: describe_owner()},
        {_OWNER_LABEL: "elsewhere/1/2"},
        {_OWNER_LABEL: dead, _FOLDER_LABEL: str(tmp_path)},
    ]
    made = [
        engine.containers.create(
            services.parent_image, ["sleep", "infinity"], labels=one, network_mode="host"
        )
        for one in labels
    ]
    made[0].start()
    try:
        DockerRuntime({"DOCKER_HOST": services.docker_host}).close()
        left = {container.id for container in engine.containers.list(all=True, ignore_removed=True)}
        assert left == {container.id for container in made[3:]}
    finally:
        temporary.remove()
        for container in made[3:]:
            container.remove(force=True)


def test_leftovers_of_a_job_are_removed(
    services: ContainerServices, engine: docker.DockerClient
) -> None:
    """An emulator that resumes a job ends the container that the job had."""
    container = engine.containers.run(
        services.parent_image, ["sleep", "infinity"], detach=True, network_mode="host",
        labels={"zenml-vertex.emulator.job-id": "42"},
    )  # fmt: skip
    runtime = DockerRuntime({"DOCKER_HOST": services.docker_host})
    runtime.end_leftovers("42")
    runtime.close()
    assert container.id not in {
        item.id for item in engine.containers.list(all=True, ignore_removed=True)
    }


def test_without_an_engine_the_emulator_does_not_start() -> None:
    """The error says what to start."""
    with pytest.raises(DockerError, match="dockerd"):
        DockerRuntime({"DOCKER_HOST": "unix:///nowhere/docker.sock"})
