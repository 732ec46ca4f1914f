"""What processes that wait cost the ZenML server, and how soon they notice a step's end."""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks.dynamic_lags import hold_dynamic_step
from benchmarks.harness import Harness
from benchmarks.rows import Row, above_builtin, below, below_share, measures
from benchmarks.samples import Samples
from benchmarks.simulated_vertex import MINUTE

_SECONDS = 2 * MINUTE
_HOW = "once, for 2 min; built-in: an idle server for 2 min, since it asks the server nothing"
_LIMITS = {1: 1, 10: 5, 40: 15}
_CPU = {
    count: Row(
        f"server_cpu_percent_{count}",
        "% of a core",
        f"Processor time of the ZenML server while {count} "
        f"process{'' if count == 1 else 'es'} wait{'s' if count == 1 else ''} for a step"
        f"{'' if count == 1 else ' each'}: the first two minutes",
        above_builtin(limit, "%"),
        _HOW,
    )
    for count, limit in _LIMITS.items()
}
_LATER = Row(
    "server_cpu_percent_later",
    "% of a core",
    "The same for the questions of 1 process that has waited for ten minutes",
    below(0.1, "%"),
    "questions of ten minutes, counted with a clock that is moved by hand, times the measured cost",
)
_ANSWER = Row(
    "server_answer_milliseconds_40",
    "ms",
    "How long the ZenML server takes to answer while 40 processes wait for a step each",
    below_share(1.25),
    "median of 30; built-in: nobody waits",
)
_LAG = Row(
    "lag_crowd_seconds_40",
    "s",
    "From the end of a step to the moment at which its process notices, while 40 processes wait",
    below(2.0, "s"),
    "median of 40, half a second apart; built-in: not measured",
)


@measures(*_CPU.values(), _LATER, _ANSWER, _LAG)
def measure_waiting(harness: Harness, wanted: Collection[str]) -> Mapping[str, Samples]:
    """Let processes wait for steps on the operator's stack."""
    from benchmarks.processes import run_on_stack

    stack = harness.stacks["plugin"]
    server = str(_find_listener(urlsplit(stack.zenml_url).port))
    found: dict[str, Samples] = {}

    def run(module: str, *arguments: str) -> Any:
        return run_on_stack(module, *arguments, stack=stack, emulator_host="127.0.0.1:9")

    with hold_dynamic_step(harness.stacks, "plugin") as held:
        step = held.step
        idle = run("crowd", "wait", server, str(_SECONDS), step.id)
        harness.say(f"an idle server: {idle}")
        counts = {40} if {_ANSWER.id, _LAG.id} & set(wanted) else set()
        for count in sorted(counts | {n for n, row in _CPU.items() if row.id in wanted}):
            run_id, ids = run("crowd", "create", step.id, str(count))
            crowd = run("crowd", "wait", server, str(_SECONDS), run_id, *ids)
            harness.say(f"{count} processes: {crowd}")
            found[_CPU[count].id] = Samples((idle["percent"],), (crowd["percent"],))
            if count == max(_LIMITS):
                found[_ANSWER.id] = Samples((idle["answer"],), (crowd["answer"],))
                found[_LAG.id] = Samples((0.0,), tuple(crowd["lags"]))
        if _LATER.id in wanted:
            cost = run("crowd", "question", server, step.id)
            early, late = (
                run("server_requests", "plugin", "1", str(minutes), step.id) for minutes in (10, 20)
            )
            percent = 100 * cost * (late - early) / (10 * MINUTE)
            harness.say(f"a question costs {1000 * cost:.0f} ms, {late - early} in ten minutes")
            found[_LATER.id] = Samples((0.0,), (percent,))
        held.end()
    return found


def _find_listener(port: int | None) -> int:
    """The process that listens on a port of this machine."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
            return int(connection.pid)
    raise RuntimeError(f"Nothing listens on port {port}.")
