"""`zenml-vertex demo`: a pipeline whose training step is a Vertex AI job, on this machine."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import click

from zenml_vertex.cli.signals import INTERRUPTED, leave_tidily


@click.command()
@click.option("--keep", is_flag=True, help="Keep the working folder, with the servers' logs.")
def demo(*, keep: bool) -> None:
    """Run a pipeline whose training step is a Vertex AI job, all of it on this machine.

    Starts a ZenML server, a Vertex AI emulator and a Cloud Storage emulator in a
    folder of their own, and stops them at the end. Neither your ZenML nor your
    gcloud configuration is read or changed.
    """
    from zenml_vertex.local_stack.demo import DemoError, find_missing_modules, run_demo
    from zenml_vertex.local_stack.servers import StartError
    from zenml_vertex.local_stack.summary import format_summary

    missing = find_missing_modules()
    if missing:
        raise click.ClickException(
            f"The demo needs {', '.join(missing)}: pip install 'zenml-vertex[demo]'"
        )
    leave_tidily()
    start = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"{time.monotonic() - start:6.1f} s  {line}")

    folder = Path(tempfile.mkdtemp(prefix="zenml-vertex-demo-"))
    try:
        say(f"Working in {folder}, which is {'kept' if keep else 'removed at the end'}.")
        facts = run_demo(folder / "stack", say)
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
