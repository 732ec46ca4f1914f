"""Faults by plan: what goes wrong with calls and jobs, and whether it has.

`call_faults`, `job_faults` and `resource_faults` are what can be planned, as data, each of them
a class that registers itself (`kinds`). `plan` matches and counts, `injection` lets it happen to
calls; what happens to a job or a persistent resource is an act in its script.
"""

from vertex_emulator.extras import extra_required

with extra_required("emulator"):
    # A fault is named where its class is, and nowhere else.
    from vertex_emulator.faults.call_faults import *  # noqa: F403
    from vertex_emulator.faults.job_faults import *  # noqa: F403
    from vertex_emulator.faults.kinds import FaultError as FaultError
    from vertex_emulator.faults.kinds import FaultKind as FaultKind
    from vertex_emulator.faults.kinds import find_kinds as find_kinds
    from vertex_emulator.faults.plan import Fault as Fault
    from vertex_emulator.faults.plan import FaultPlan as FaultPlan
    from vertex_emulator.faults.plan import Planned as Planned
    from vertex_emulator.faults.plan import UnconsumedFaultError as UnconsumedFaultError
    from vertex_emulator.faults.resource_faults import *  # noqa: F403
