"""`zenml-vertex local-stack`: a shell, or one command, on a whole stack on this machine."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from zenml_vertex.cli.extras import require_extra
from zenml_vertex.cli.failures import working_folder
from zenml_vertex.cli.image_options import plan_images, registry_option, runtime_option
from zenml_vertex.cli.signals import INTERRUPTED, SIGNAL_BASE, exit_cleanly_on_signals

# A pipeline that is told to stop cancels its job and waits until it has ended.
_END_SECONDS = 30.0
# How often to look whether another signal has come meanwhile.
_LOOK_SECONDS = 0.1


def _complete_file(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    del context, parameter
    # The shell itself knows the files.
    return [CompletionItem(incomplete, type="file")]


@click.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--without-step-operator", is_flag=True,
    help="Do not register a step operator (default: one named `vertex`).",
)  # fmt: skip
@click.option(
    "--as-google", is_flag=True,
    help="Lead clients to the emulator under Google's own host names, over gRPC and REST, as "
    "`emulator --as-google` does: also those that cannot be pointed at an emulator.",
)  # fmt: skip
@runtime_option
@registry_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED, shell_complete=_complete_file)
def local_stack(
    *,
    without_step_operator: bool,
    as_google: bool,
    runtime: str,
    registry: str | None,
    command: Sequence[str],
) -> None:
    """Open a shell on a whole ZenML stack on this machine.

    Starts a ZenML server, a Vertex AI emulator and a Cloud Storage emulator in a
    folder of their own. A COMMAND is run instead of a shell: `local-stack python
    pipeline.py`. The servers stop when the shell or the command ends, and what they hold
    is not kept. The shell is yours, with your home folder; your ZenML, gcloud and Docker
    configuration is not changed, and only `--runtime docker` reads any of it: which Docker
    engine you use.
    """
    require_extra("demo", "The local stack")
    from zenml_vertex.local_stack.processes.servers import StartError
    from zenml_vertex.local_stack.registration import StackPlan
    from zenml_vertex.local_stack.shells import plan_shell
    from zenml_vertex.local_stack.start import start_local_stack

    program = command or [_choose_shell()]
    if shutil.which(program[0], path=_build_path(os.environ)) is None:
        raise click.ClickException(f"Command not found: `{program[0]}`.")
    images = plan_images(runtime, registry=registry)
    exit_cleanly_on_signals()
    stack_plan = StackPlan(step_operator="" if without_step_operator else "vertex")
    with working_folder("zenml-vertex-stack-") as folder:
        try:
            with start_local_stack(
                folder / "stack",
                plan=stack_plan,
                progress=_say,
                images=images,
                as_google=as_google,
            ) as stack:
                environment = {**stack.environment, "PATH": _build_path(stack.environment)}
                if not command:
                    plan = plan_shell(program[0], environment, os.environ, folder / "shell")
                    program, environment = plan.command, {**plan.environment}
                    _write(plan.files)
                    _say("This shell works with the stack. `exit` ends it and the servers.")
                    if not plan.is_known:
                        _say(_describe_unknown(program[0]))
                # An interactive shell ignores SIGTERM, but ends when its terminal is closed.
                ending = signal.SIGTERM if command else signal.SIGHUP
                status = _run(program, environment, ending)
        except KeyboardInterrupt:
            status = INTERRUPTED
        except StartError as error:
            raise click.ClickException(str(error)) from None
    _say("The servers are stopped; nothing is left running.")
    sys.exit(status)


def _choose_shell() -> str:
    """The user's shell; where SHELL names none, as in many containers, one with line editing."""
    return os.environ.get("SHELL") or shutil.which("bash") or "sh"


def _describe_unknown(shell: str) -> str:
    """What a shell whose start files are not understood can do to the stack, and the way out."""
    another = shutil.which("bash") or "/bin/sh"
    return (
        f"zenml-vertex does not know the shell `{Path(shell).name}`: its prompt stays as it is, "
        "and its start files can replace the variables that lead to the stack, such as "
        "ZENML_STORE_URL. If they do, leave it, and run: "
        f"env SHELL={shlex.quote(another)} zenml-vertex local-stack"
    )


def _write(files: Mapping[Path, str]) -> None:
    for path, content in files.items():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(content, "utf-8")


def _build_path(environment: Mapping[str, str]) -> str:
    """A search path on which `python` and `zenml` are those of this environment."""
    folders = [str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
    return os.pathsep.join(folders)


def _run(program: Sequence[str], environment: Mapping[str, str], ending: int) -> int:
    """Run a program to its end, or end it with a signal on the way out; its exit status."""
    from zenml_vertex.local_stack.processes.ending import hold_signals
    from zenml_vertex.local_stack.processes.launcher import plan_end_with_parent

    # The terminal sends a Ctrl-C to the program as well, which handles it.
    signal.signal(signal.SIGINT, lambda *_: None)
    # `Popen` itself looks on the search path of this process.
    found = shutil.which(program[0], path=environment["PATH"]) or program[0]
    preexec = plan_end_with_parent(ending)
    process = None
    try:
        with hold_signals():
            process = subprocess.Popen(
                [found, *program[1:]],
                env=dict(environment),
                preexec_fn=preexec,  # noqa: PLW1509 - it calls the kernel only
            )
        status = process.wait()
    finally:
        if process is not None:
            _end(process, ending)
    return status if status >= 0 else SIGNAL_BASE - status


def _end(process: "subprocess.Popen[bytes]", number: int) -> None:
    """End a program with a signal; by SIGKILL after a while, or where another signal comes."""
    from zenml_vertex.local_stack.processes.ending import hold_signals

    # An exception in `Popen.wait` could leave its lock locked, for which the next call waits.
    with hold_signals() as held:
        if process.poll() is None:
            process.send_signal(number)
        deadline = time.monotonic() + _END_SECONDS
        while process.poll() is None and not held and time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_SECONDS)
        process.kill()
        process.wait()


def _say(line: str) -> None:
    # Only the command's own output goes to stdout.
    click.echo(line, err=True)
