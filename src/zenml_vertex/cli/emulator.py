"""`zenml-vertex emulator`: a Vertex AI on this machine, until it is interrupted."""

import logging
import math
import os
import secrets
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zenml_vertex.cli.extras import require_extra
from zenml_vertex.cli.group import repeat_command
from zenml_vertex.cli.signals import ending_signals

if TYPE_CHECKING:
    from vertex_emulator import LogShape, Runtime, Timings, TimingsOf, VertexEmulator


# A year: more than anybody waits for, and far below what a date can hold.
_MOST_SECONDS = 365 * 24 * 3600
# Where others are told the secret before this process starts, such as in a compose file.
_VARIABLE = "VERTEX_EMULATOR_SECRET"


class _Seconds(click.FloatRange):
    """Seconds up to a year."""

    def __init__(self, *, min_open: bool = False) -> None:
        super().__init__(min=0, max=_MOST_SECONDS, min_open=min_open)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            # It is not below the minimum, and not above the maximum.
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return seconds


@click.command(short_help="Run a Vertex AI on this machine.")
@click.option(
    "--host", default="127.0.0.1", show_default=True,
    help="Loopback address to listen on; any IP address with --secret-in-address.",
)  # fmt: skip
@click.option(
    "--port", default=0, show_default=True, type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)  # fmt: skip
@click.option(
    "--runtime", default="process", show_default=True,
    type=click.Choice(["process", "docker"]),
    help="What runs the containers of jobs: processes of this machine, with this Python, or this "
    "machine's Docker, which pulls the image.",
)  # fmt: skip
@click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps jobs and logs. [default: a temporary one, gone at the end]",
)  # fmt: skip
@click.option(
    "--image-dir", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of unpacked images. A job whose image is there gets the image's variables and "
    "its `/app`. [default: none]",
)  # fmt: skip
@click.option(
    "--provisioning-seconds", default=0.5, show_default=True, type=_Seconds(),
    help="Time in PENDING; mostly 3 to 6 minutes on Vertex AI.",
)  # fmt: skip
@click.option(
    "--teardown-seconds", default=0.5, show_default=True, type=_Seconds(),
    help="Time from the end of the container to the end of the job; 7 to 65 s on Vertex AI.",
)  # fmt: skip
@click.option(
    "--recorded-timings", is_flag=True,
    help="Let jobs last as recorded ones did: minutes in PENDING, and a container that fails is "
    "mostly started a second time. A persistent resource takes 4 minutes to create.",
)  # fmt: skip
@click.option(
    "--secret-in-address", is_flag=True,
    help="Answer at http://HOST:PORT/secret=SECRET only, for containers and other machines. The "
    f"secret is the value of {_VARIABLE}; without it, one is drawn.",
)  # fmt: skip
@click.option(
    "--token-lifetime", default=3600.0, show_default=True, type=_Seconds(min_open=True),
    help="Seconds that an access token lasts.",
)  # fmt: skip
@click.option(
    "--log-shape", default="text", show_default=True,
    type=click.Choice(["text", "structured"]),
    help="What containers write in Cloud Logging: their text without a severity, or a message with "
    "one. Vertex AI has both.",
)  # fmt: skip
@click.option(
    "--as-google", is_flag=True,
    help="Serve it under Google's own host names as well, over gRPC and REST, to clients of a "
    "shell with the variables that are printed.",
)  # fmt: skip
@click.option(
    "--log-level", default="warning", show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="What is written to stderr: info shows every change of a job's state.",
)  # fmt: skip
def emulator(
    *,
    host: str,
    port: int,
    runtime: str,
    data_dir: Path | None,
    image_dir: Path | None,
    provisioning_seconds: float,
    teardown_seconds: float,
    recorded_timings: bool,
    secret_in_address: bool,
    token_lifetime: float,
    log_shape: "LogShape",
    as_google: bool,
    log_level: str,
) -> None:
    """Run a Vertex AI on this machine, until Ctrl-C or SIGTERM.

    Point a client at the address that is printed when it is ready: the operator by
    AIPLATFORM_EMULATOR_HOST=HOST:PORT, gcloud by
    CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM=http://HOST:PORT/. With --as-google, no
    client needs to be pointed: the lines that are printed, typed into a shell, lead all
    clients there to the emulator by themselves.

    SIGUSR1 takes Vertex AI down: it hangs up on every call, and jobs continue. SIGUSR2
    brings it back.
    """
    stop = threading.Event()
    for number in (*ending_signals(), signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logging.basicConfig(
        level=log_level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if image_dir and runtime == "docker":
        raise click.UsageError("--image-dir needs --runtime process.")
    if as_google and secret_in_address:
        raise click.UsageError("--as-google and --secret-in-address cannot be used together.")
    _require_extras(runtime, as_google=as_google)
    from vertex_emulator import (
        DataDirError,
        ListenError,
        LogStyle,
        NotLoopbackError,
        VertexEmulator,
        WeakSecretError,
        documented_resource_timings,
    )

    known = os.environ.get(_VARIABLE) if secret_in_address else None
    drawn = secrets.token_urlsafe(24) if secret_in_address else None
    try:
        vertex = VertexEmulator(
            runtime=_make_docker_runtime()
            if runtime == "docker"
            else _make_process_runtime(data_dir, image_dir),
            address=host,
            port=port,
            data_dir=data_dir,
            timings=_choose_timings(
                provisioning_seconds, teardown_seconds, are_recorded=recorded_timings
            ),
            resource_timings=documented_resource_timings() if recorded_timings else None,
            token_lifetime=token_lifetime,
            log_style=LogStyle(log_shape),
            secret=known or drawn,
            as_google=as_google,
        ).start()
    except NotLoopbackError as exc:
        raise click.BadParameter(str(exc), param_hint="'--host'") from exc
    except WeakSecretError as exc:
        raise click.ClickException(f"{_VARIABLE} cannot be the secret. {exc}") from None
    except ListenError as exc:
        if exc.is_of_address:
            cure = f"`{repeat_command(host='127.0.0.1')}` listens on one that every machine has."
        else:
            cure = f"`{repeat_command(port=0)}` takes a free one."
        holder = _describe_holder(port) if exc.is_in_use else ""
        raise click.ClickException(f"{exc}{holder} {cure}") from exc
    except DataDirError as exc:
        raise click.ClickException(str(exc)) from exc
    # Only this thread plans anything by signal, and it holds no lock while it waits.
    signal.signal(signal.SIGUSR1, lambda *_: vertex.go_down())
    signal.signal(signal.SIGUSR2, lambda *_: vertex.come_back())
    try:
        # At once: whoever has read the address has read the variables, too.
        variables = _describe_variables(vertex)
        click.echo(f"{variables}Vertex AI emulator listening on {_show(vertex.url, known)}")
        sys.stdout.flush()
        stop.wait()
    finally:
        vertex.stop()


def _require_extras(runtime: str, *, as_google: bool) -> None:
    if runtime == "docker":
        require_extra("docker", "`--runtime docker`")
    require_extra("emulator", "The emulator")
    if as_google:
        require_extra("as-google", "`--as-google`")


def _make_process_runtime(data_dir: Path | None, image_dir: Path | None) -> "Runtime":
    from vertex_emulator import ProcessRuntime

    return ProcessRuntime(os.environ, are_tethered=data_dir is None, image_dir=image_dir)


def _choose_timings(
    provisioning: float, teardown: float, *, are_recorded: bool
) -> "Timings | TimingsOf":
    from vertex_emulator import Timings, recorded_timings

    if not are_recorded:
        return Timings(provisioning=provisioning, teardown=teardown)
    context = click.get_current_context()
    for name in ("provisioning", "teardown"):
        source = context.get_parameter_source(f"{name}_seconds")
        if source is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"`--recorded-timings` and `--{name}-seconds` cannot be used together."
            )
    return recorded_timings


def _describe_variables(vertex: "VertexEmulator") -> str:
    """Lines for a shell whose clients are to find the emulator under Google's own names."""
    if not vertex.google_environment:
        return ""
    from vertex_emulator import write_exports

    return (
        "# Type this into a shell, and Google's clients there, as they are, find the emulator:\n"
        f"{write_exports(vertex.google_environment)}"
    )


def _show(url: str, known: str | None) -> str:
    """The address as it is printed: a secret that its user has chosen is kept out of CI's logs."""
    return url.replace(known, f"${_VARIABLE}") if known else url


def _make_docker_runtime() -> "Runtime":
    from vertex_emulator import DockerError, DockerRuntime

    try:
        return DockerRuntime(os.environ)
    except DockerError as exc:
        raise click.ClickException(str(exc)) from exc


def _describe_holder(port: int) -> str:
    """Which process listens on a port, where the operating system tells."""
    # It comes with ZenML; the emulator runs without it.
    with suppress(ImportError):
        import psutil

        # Only root sees the sockets of other users; macOS shows nobody any.
        with suppress(psutil.Error):
            for connection in psutil.net_connections("tcp"):
                is_listening = connection.status == psutil.CONN_LISTEN
                if is_listening and connection.laddr.port == port and connection.pid:
                    name = psutil.Process(connection.pid).name()
                    return f" Process {connection.pid} ({name}) listens there."
    return ""
