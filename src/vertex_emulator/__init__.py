"""A Vertex AI on loopback: custom training jobs that really run, on this machine.

Speaks the REST JobService, Cloud Logging's `entries:list`, the OAuth token
endpoint and the metadata server of a Google machine, all on one port. Written
from Google's public documentation, and not yet compared with Google Cloud.

Imports nothing of the step operator: an emulator that shared its code would
confirm its mistakes.
"""

from vertex_emulator.core.clock import Clock, ManualClock, SystemClock
from vertex_emulator.jobs.job import Job, Timings
from vertex_emulator.jobs.states import JobState
from vertex_emulator.server import VertexEmulator

__all__ = [
    "Clock",
    "Job",
    "JobState",
    "ManualClock",
    "SystemClock",
    "Timings",
    "VertexEmulator",
]
