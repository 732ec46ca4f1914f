"""Which of several processes takes over a step run that nobody follows.

Each adds a bid to the step run's metadata. The ZenML server joins bids in the order in which it
got them, and the first whose process lives has the step run.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from zenml_vertex.clock import Clock, read_time
from zenml_vertex.errors import StepRunNotFound, VertexStepOperatorError
from zenml_vertex.following.clients import BID_PREFIX, Lease, find_bids
from zenml_vertex.following.metadata import CLIENT_KEY
from zenml_vertex.following.patience import Retrying, Task
from zenml_vertex.following.protocols import StepRuns
from zenml_vertex.processes import find_this_process

# The server dates a bid before others can see it.
_VISIBLE_AFTER_SECONDS = 2.0


def find_winners(
    step_runs: StepRuns, clock: Clock, wanted: Mapping[str, Mapping[str, Any]]
) -> dict[str, Lease]:
    """Bid for step runs; who has won those that this process has not.

    Takes two seconds: of those that bid at once, each has to see the others.

    Args:
        step_runs: The ZenML server.
        clock: Where time comes from.
        wanted: Step run -> its metadata when it was seen that nobody follows it: bids that it
            has are out.

    Raises:
        ServerUnreachable: If the server does not respond.
    """
    if not wanted:
        return {}
    ask = Retrying(Task.ASK_SERVER, clock)
    bid = {_name_bid(): Lease.sign(read_time()).to_metadata()}
    try:
        for step_run_id in wanted:
            # Whoever follows it next says that it was deleted.
            with suppress(StepRunNotFound):
                ask(partial(step_runs.record, step_run_id, {CLIENT_KEY: bid}))
        clock.sleep(_VISIBLE_AFTER_SECONDS)
        found = ask(partial(step_runs.find_many, [*wanted]))
    except BaseException:
        # The others would only wait for the same server.
        all(withdraw(step_runs, step_run_id) for step_run_id in wanted)
        raise
    winners = {}
    for step_run_id, before in wanted.items():
        record = found[step_run_id]
        winner = record and _find_winner(record.metadata, before)
        if winner:
            winners[step_run_id] = winner
            withdraw(step_runs, step_run_id)
    return winners


def withdraw(step_runs: StepRuns, step_run_id: str) -> bool:
    """Take back the bid of this process, which follows the step run no longer.

    If that fails, the step run seems to be followed by a process that has ended.

    Returns:
        Whether the ZenML server could be asked.
    """
    try:
        step_runs.record(step_run_id, {CLIENT_KEY: {_name_bid(): False}})
    except StepRunNotFound:
        pass
    except VertexStepOperatorError:
        return False
    return True


def _find_winner(recorded: Mapping[str, Any], before: Mapping[str, Any]) -> Lease | None:
    """Who has won; None if that is this process, or if the step has overwritten the bids."""
    here = find_this_process().client_id
    out = {bid.process.client_id for bid in find_bids(before)}
    now = read_time()
    for bid in find_bids(recorded):
        client_id = bid.process.client_id
        if client_id == here:
            return None
        if client_id not in out and bid.find_death(now) is None:
            return bid
    return None


def _name_bid() -> str:
    return f"{BID_PREFIX}{find_this_process().client_id}"
