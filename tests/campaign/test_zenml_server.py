"""The ZenML server in memory follows the rules of the real one."""

import warnings
from datetime import datetime, timezone
from itertools import product
from typing import Any

import pytest
from zenml.enums import ExecutionStatus
from zenml.exceptions import IllegalOperationError

from campaign.zenml_server import ZenMLServer

_NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
_CURRENT = ("provisioning", "running", "stopping", "completed", "failed", "stopped")
_NEW = ("running", "completed", "failed", "stopped")


def _is_allowed(change: Any, *arguments: Any) -> bool:
    try:
        change(*arguments)
    except IllegalOperationError:
        return False
    return True


@pytest.mark.parametrize(("current", "new"), list(product(_CURRENT, _NEW)))
def test_a_status_changes_as_in_zenmls_own_store(current: str, new: str) -> None:
    """A finished step run keeps its status, and a stopping one can only be stopped."""
    with warnings.catch_warnings():
        # passlib, which ZenML's store imports, uses a module that Python has deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        from zenml.zen_stores.sql_zen_store import SqlZenStore

    before, after = ExecutionStatus(current), ExecutionStatus(new)
    server = ZenMLServer(now=lambda: _NOW, begin=_NOW, status=before)
    verify: Any = SqlZenStore._verify_step_status_transition
    assert _is_allowed(server.write, "step", after) == _is_allowed(verify, None, before, after)


def test_a_step_run_that_is_stopping_and_fails_is_stopped() -> None:
    """A stopping step run that fails becomes stopped, as in `update_run_step` of ZenML's store."""
    server = ZenMLServer(now=lambda: _NOW, begin=_NOW, status=ExecutionStatus.STOPPING)
    server.write("operator", ExecutionStatus.FAILED)
    assert server.read().status == ExecutionStatus.STOPPED
    assert server.read().end_time == _NOW.replace(tzinfo=None)
