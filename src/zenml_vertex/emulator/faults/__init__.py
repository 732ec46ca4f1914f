"""Faults by plan: what goes wrong with calls and jobs, and whether it has.

`requests` and `jobs` are what can be planned, as data; `plan` matches and counts;
`edge` lets it happen to calls. What happens to jobs is a script of theirs, which the
lifecycle plays.
"""

from zenml_vertex.emulator.faults.errors import FaultError, UnconsumedFaultError
from zenml_vertex.emulator.faults.jobs import (
    Deleted,
    Expired,
    HangsAfterWork,
    Held,
    InternalErrors,
    JobFault,
    ListLag,
    OutOfMemory,
    PartiallySucceeded,
    Paused,
    Preemption,
    Stockout,
    UnknownState,
    Updating,
)
from zenml_vertex.emulator.faults.plan import Fault, FaultPlan, Planned
from zenml_vertex.emulator.faults.requests import (
    AnswerCut,
    AnswerLost,
    Delay,
    ErrorAnswer,
    Interruption,
    PermissionWithdrawn,
    QuotaExceeded,
    RequestFault,
    RequestLost,
    TokensExpired,
)

__all__ = [
    "AnswerCut",
    "AnswerLost",
    "Delay",
    "Deleted",
    "ErrorAnswer",
    "Expired",
    "Fault",
    "FaultError",
    "FaultPlan",
    "HangsAfterWork",
    "Held",
    "InternalErrors",
    "Interruption",
    "JobFault",
    "ListLag",
    "OutOfMemory",
    "PartiallySucceeded",
    "Paused",
    "PermissionWithdrawn",
    "Planned",
    "Preemption",
    "QuotaExceeded",
    "RequestFault",
    "RequestLost",
    "Stockout",
    "TokensExpired",
    "UnconsumedFaultError",
    "UnknownState",
    "Updating",
]
