"""`zenml-vertex demo`: a pipeline whose training step is a Vertex AI job, on this machine."""

import sys
import time
from typing import Literal

import click

from zenml_vertex.cli.extras import require_extra
from zenml_vertex.cli.failures import working_folder
from zenml_vertex.cli.group import repeat_command
from zenml_vertex.cli.image_options import plan_images, registry_option, runtime_option
from zenml_vertex.cli.signals import INTERRUPTED, exit_cleanly_on_signals


@click.command(short_help="Run a pipeline with a Vertex AI job, all on this machine.")
@click.option("--keep", is_flag=True, help="Keep the working folder, with the servers' logs.")
@runtime_option
@click.option(
    "--operator", default="plugin", show_default=True, type=click.Choice(["plugin", "builtin"]),
    help="Whose step operator runs: this package's, or ZenML's own, to compare.",
)  # fmt: skip
@registry_option
@click.option(
    "--parent-image", metavar="IMAGE",
    help="Parent of the step's image, with --runtime docker. [default: ZenML's own choice, from "
    "zenmldocker/zenml]",
)  # fmt: skip
def demo(
    *,
    keep: bool,
    runtime: Literal["process", "docker"],
    operator: Literal["plugin", "builtin"],
    registry: str | None,
    parent_image: str | None,
) -> None:
    """Run a pipeline whose training step is a Vertex AI job, all of it on this machine.

    Starts a ZenML server, a Vertex AI emulator and a Cloud Storage emulator in a
    temporary folder, and stops them at the end; --keep leaves the folder. Your
    configuration of ZenML, gcloud and Docker is not changed, and only `--runtime docker`
    reads any of it: which Docker engine you use. It needs one that answers, whose
    containers can share the machine's network (in Docker Desktop: Settings, Resources,
    Network, Enable host networking).
    """
    require_extra("demo", "The demo")
    from zenml_vertex.local_stack.demo.demo import DemoError, run_demo
    from zenml_vertex.local_stack.demo.summary import format_summary
    from zenml_vertex.local_stack.processes.servers import StartError

    images = plan_images(runtime, registry=registry, parent_image=parent_image)
    exit_cleanly_on_signals()
    start = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"{time.monotonic() - start:6.1f} s  {line}")

    with working_folder("zenml-vertex-demo-", keep=keep) as folder:
        try:
            say(f"Working in {folder}, which is {'kept' if keep else 'removed at the end'}.")
            summary = run_demo(folder / "stack", say, images=images, operator=operator)
        except (KeyboardInterrupt, SystemExit) as ending:
            say("Interrupted; nothing is left running.")
            sys.exit(ending.code if isinstance(ending, SystemExit) else INTERRUPTED)
        except (DemoError, StartError) as error:
            hint = "" if keep else f" (`{repeat_command(keep=True)}` keeps the logs.)"
            raise click.ClickException(f"{error}{hint}") from None
    click.echo()
    for line in format_summary(summary):
        click.echo(line)
    click.echo(f"\nNothing is left running.{f' Logs: {folder}/stack/logs' if keep else ''}")
