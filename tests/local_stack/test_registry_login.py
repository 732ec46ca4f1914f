"""Who may push to and pull from the registry of a stack."""

import json
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker.auth
import pytest
import requests

from zenml_vertex.local_stack.processes.servers import find_announced_url
from zenml_vertex.local_stack.programs.registry import ENVIRONMENT
from zenml_vertex.local_stack.registry_login import RegistryLogin

PROGRAM = shutil.which("docker-registry", path="/usr/bin:/usr/local/bin")
LOGIN = RegistryLogin()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Debian's registry, with the settings and the password of a stack's."""
    if PROGRAM is None:
        pytest.skip("`make docker-tools` installs docker-registry on Debian")
    folder = tmp_path_factory.mktemp("registry")
    (folder / "htpasswd").write_text(LOGIN.build_htpasswd())
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": "127.0.0.1:0"},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    with subprocess.Popen(
        [PROGRAM, "serve", str(folder / "config.yml")],
        env={**ENVIRONMENT, "REGISTRY_AUTH_HTPASSWD_PATH": str(folder / "htpasswd")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        seen = ""
        while not (found := find_announced_url(seen)):
            line = process.stdout.readline()
            assert line, seen
            seen += line
        yield found
        process.terminate()
        process.stdout.read()


@pytest.mark.parametrize("password", [None, "", "guessed"])
def test_nobody_pushes_or_pulls_without_the_password(url: str, password: str | None) -> None:
    """Any user of the machine could replace a step's image, which the engine runs as root."""
    headers = {} if password is None else RegistryLogin(password).headers
    for method, path in (("GET", ""), ("POST", "zenml/blobs/uploads/"), ("GET", "_catalog")):
        answer = requests.request(method, f"{url}/v2/{path}", headers=headers, timeout=30)
        assert answer.status_code == 401
    answer = requests.post(f"{url}/v2/zenml/blobs/uploads/", headers=LOGIN.headers, timeout=30)
    assert answer.status_code == 202


def test_the_stacks_clients_are_logged_in(tmp_path: Path) -> None:
    """Docker's clients find the password in a file that nobody else can read."""
    LOGIN.write(tmp_path, "127.0.0.1:5001")
    file = tmp_path / "config.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = docker.auth.load_config(str(file)).resolve_authconfig("127.0.0.1:5001")
    assert (found["username"], found["password"]) == ("local-stack", LOGIN.password)
    assert docker.auth.load_config(str(file)).resolve_authconfig("127.0.0.1:5002") is None


def test_the_password_is_not_shown() -> None:
    """Each stack has a password of its own, which no repr and no file of the registry holds."""
    assert LOGIN.password not in repr(LOGIN) + LOGIN.build_htpasswd()
    assert RegistryLogin().password != LOGIN.password
    assert re.fullmatch(r"local-stack:\$2b\$04\$\S{53}\n", LOGIN.build_htpasswd())
