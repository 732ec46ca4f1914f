"""`zenml-vertex demo`: a pipeline whose training step is a Vertex AI job, on this machine."""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import click

from zenml_vertex.cli.signals import INTERRUPTED, leave_tidily


@click.command()
@click.option("--keep", is_flag=True, help="Keep the working folder, with the servers' logs.")
@click.option(
    "--runtime", default="process", show_default=True, type=click.Choice(["process", "docker"]),
    help="docker builds the step's image, pushes it, pulls it and runs it.",
)  # fmt: skip
@click.option(
    "--operator", default="plugin", show_default=True, type=click.Choice(["plugin", "builtin"]),
    help="Whose step operator runs: this package's, or ZenML's own, to compare.",
)  # fmt: skip
@click.option(
    "--cache-dir", type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps Docker's data for the next time. [default: ~/.cache/zenml-vertex]",
)  # fmt: skip
def demo(
    *, keep: bool, runtime: str, operator: Literal["plugin", "builtin"], cache_dir: Path | None
) -> None:
    """Run a pipeline whose training step is a Vertex AI job, all of it on this machine.

    Starts a ZenML server, a Vertex AI emulator and a Cloud Storage emulator in a
    folder of their own, and stops them at the end. Neither your ZenML nor your
    gcloud configuration is read or changed. With `--runtime docker` there is a
    container registry too, and a Docker engine, unless one answers already.
    """
    from zenml_vertex.local_stack.demo.demo import DemoError, find_missing_modules, run_demo
    from zenml_vertex.local_stack.demo.summary import format_summary
    from zenml_vertex.local_stack.processes.servers import StartError

    missing = find_missing_modules()
    if missing:
        raise click.ClickException(
            f"The demo needs {', '.join(missing)}: pip install 'zenml-vertex[demo]'"
        )
    leave_tidily()
    image_cache = None
    if runtime == "docker":
        image_cache = cache_dir or Path.home() / ".cache" / "zenml-vertex"
    start = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"{time.monotonic() - start:6.1f} s  {line}")

    folder = Path(tempfile.mkdtemp(prefix="zenml-vertex-demo-"))
    try:
        say(f"Working in {folder}, which is {'kept' if keep else 'removed at the end'}.")
        facts = run_demo(folder / "stack", say, image_cache=image_cache, operator=operator)
    except (KeyboardInterrupt, SystemExit) as ending:
        say("Interrupted; nothing is left running.")
        sys.exit(ending.code if isinstance(ending, SystemExit) else INTERRUPTED)
    except (DemoError, StartError) as error:
        hint = "" if keep else " (`zenml-vertex demo --keep` keeps the logs.)"
        raise click.ClickException(f"{error}{hint}") from None
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo()
    for line in format_summary(facts):
        click.echo(line)
    click.echo(f"\nNothing is left running.{f' Logs: {folder}/stack/logs' if keep else ''}")
