"""`make demo-docker`: the demo with real images, on a machine that may have no Docker engine.

Brings an engine, a registry and a base image, and runs `zenml-vertex demo --runtime
docker` with them.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from tests.support.containers.services import CACHE, ContainerServices, open_container_services
from zenml_vertex.cli.signals import INTERRUPTED, exit_cleanly_on_signals
from zenml_vertex.local_stack.processes.servers import StartError

_COMMAND = Path(sys.executable).with_name("zenml-vertex")


def main() -> int:
    """Run the demo, and return its exit status."""
    exit_cleanly_on_signals()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="zenml-vertex-images-") as logs,
            open_container_services(CACHE, Path(logs), os.environ, click.echo) as services,
        ):
            return _run_demo(services)
    except KeyboardInterrupt:
        click.echo("Interrupted; nothing is left running.")
        return INTERRUPTED
    except StartError as error:
        click.echo(f"Error: {error}")
        return 1


def _run_demo(services: ContainerServices) -> int:
    options = ["--registry", services.registry, "--parent-image", services.parent_image]
    process = subprocess.Popen(
        [_COMMAND, "demo", "--runtime", "docker", *options, *sys.argv[1:]],
        env={**os.environ, "DOCKER_HOST": services.docker_host},
    )
    # A terminal sends Ctrl-C to the demo as well, which then ends by itself.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return process.wait()
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
