"""What a step's container does, as a script: ZenML's part of it, with the server in memory."""

from collections.abc import Callable
from datetime import timedelta

from zenml.enums import ExecutionStatus
from zenml.exceptions import IllegalOperationError

from campaign.trial import RunStops, Step
from campaign.zenml_server import ZenMLServer
from vertex_emulator import Container, Script
from zenml_vertex.container.exit_timer import LINGERING_VARIABLE

_NEVER_SECONDS = 30 * 24 * 60 * 60.0
_HEARTBEAT_SECONDS = 30.0
_GRACE_SECONDS = 5.0


def build_play(
    step: Step, server: ZenMLServer, stop: RunStops | None
) -> Callable[[Container], Script]:
    """What each start of the step's container does.

    Args:
        step: The step's program.
        server: What it reports to.
        stop: A stop of the run, which can end the step.
    """

    def play(container: Container) -> Script:
        # This package's entrypoint limits how long a container lingers, and does not run
        # a step that is finished.
        lingering = container.environment.get(LINGERING_VARIABLE)
        is_ours = lingering is not None
        if is_ours and server.status.is_finished and not step.is_command:
            return Script(seconds=1.0, grace=_GRACE_SECONDS)
        _start_running(server)
        moment = _find_moment_to_report(step.seconds, server)
        actions = []
        if step.report:
            status = ExecutionStatus(step.report)
            actions.append((moment, lambda: _report(server, status, is_ours=is_ours)))
        if stop and stop.ends_step and not step.is_command:
            stopped = (server.begin - server.now()).total_seconds() + stop.seconds
            beat = _find_moment_to_report(max(0.0, stopped) + _HEARTBEAT_SECONDS, server)
            if beat < moment:
                stops = ((beat, lambda: _report_stopped(server, is_ours=is_ours)),)
                return Script(seconds=beat + 1.0, status=1, actions=stops, grace=_GRACE_SECONDS)
        return Script(
            seconds=_find_end(step, moment, lingering),
            status=1 if step.kind in {"fails", "dies", "bad command"} else 0,
            actions=tuple(actions),
            grace=_GRACE_SECONDS,
        )

    return play


def _find_end(step: Step, moment: float, lingering: str | None) -> float:
    if step.kind == "stuck" or (step.kind == "hangs" and lingering is None):
        return _NEVER_SECONDS
    if step.kind == "hangs":
        return moment + float(lingering or 0)
    return moment + step.ending


def _start_running(server: ZenMLServer) -> None:
    if server.status == ExecutionStatus.PROVISIONING:
        server.status = ExecutionStatus.RUNNING


def _find_moment_to_report(seconds: float, server: ZenMLServer) -> float:
    """When the report arrives: ZenML's client retries while the server is down."""
    outage = server.find_outage(server.now() + timedelta(seconds=seconds))
    if outage is None:
        return seconds
    end = server.begin + timedelta(seconds=outage.start + outage.seconds)
    return (end - server.now()).total_seconds() + 1.0


def _report(server: ZenMLServer, status: ExecutionStatus, *, is_ours: bool) -> None:
    try:
        server.write("step", status)
    except IllegalOperationError:
        _report_stopped(server, is_ours=is_ours)


def _report_stopped(server: ZenMLServer, *, is_ours: bool) -> None:
    """Report a step that was told to stop as stopped; ZenML's own entrypoint does not."""
    if is_ours and server.status == ExecutionStatus.STOPPING:
        server.write("step", ExecutionStatus.STOPPED)
