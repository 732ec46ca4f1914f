"""A container registry on loopback: Debian's `docker-registry`, with its data in a folder.

Docker engines trust registries in 127.0.0.0/8 without TLS.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from zenml_vertex.local_stack.processes.loopback import ADDRESS
from zenml_vertex.local_stack.processes.servers import Server, ToolsMissingError

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def start_registry(data: Path, config: Path, log: Path, environment: Mapping[str, str]) -> Server:
    """Start a registry, which chooses its port.

    Args:
        data: Folder of its images.
        config: File to write its configuration to.
        log: Its log file, which lists every request too.
        environment: Its whole environment.

    Raises:
        ToolsMissingError: If the program is not installed.
    """
    path = f"{environment.get('PATH', '')}:{_SYSTEM_PATH}"
    program = shutil.which("docker-registry", path=path)
    if program is None:
        raise ToolsMissingError(
            "There is no program `docker-registry`: `make docker-tools` installs it on Debian."
        )
    # JSON is YAML.
    config.write_text(json.dumps(build_config(data)), "utf-8")
    return Server(
        "container registry",
        "zenml_vertex.local_stack.processes.programs:main",
        [program, "serve", str(config)],
        environment=environment,
        log=log,
        health_path="/v2/",
    )


def build_config(data: Path) -> dict[str, object]:
    """The configuration of the registry; see https://distribution.github.io/distribution/."""
    return {
        "version": "0.1",
        "log": {"accesslog": {"disabled": False}, "formatter": "text", "level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(data)}},
        "http": {"addr": f"{ADDRESS}:0"},
    }
