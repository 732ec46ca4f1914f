"""Faults by plan: what goes wrong with calls and jobs, and whether it has.

`requests` and `jobs` are what can be planned, as data; `plan` matches and counts;
`injection` lets it happen to calls. What happens to jobs is a script of theirs, which the
lifecycle plays.
"""

from vertex_emulator.faults.call_faults import (
    AnswerCut,
    AnswerLost,
    Delay,
    ErrorAnswer,
    FaultError,
    Interruption,
    PermissionWithdrawn,
    QuotaExceeded,
    RequestFault,
    RequestLost,
    TokensExpired,
)
from vertex_emulator.faults.job_faults import (
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
from vertex_emulator.faults.plan import Fault, FaultPlan, Planned, UnconsumedFaultError

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
