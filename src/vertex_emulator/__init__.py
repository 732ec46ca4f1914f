"""A Vertex AI on loopback: custom training jobs that really run, on this machine.

Speaks the REST JobService, Cloud Logging's `entries:list`, the OAuth token
endpoint and the metadata server of a Google machine, all on one port. Written
from Google's public documentation, and not yet compared with Google Cloud.

What is named here, and `vertex_emulator.faults`, is for users; the other modules are
not. Imports nothing of the step operator: an emulator that shared its code would
confirm its mistakes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vertex_emulator.extras import extra_required

with extra_required("emulator"):
    from vertex_emulator import faults
    from vertex_emulator.core.clock import Clock, ManualClock, SystemClock
    from vertex_emulator.core.documents import DocumentStore, FileStore, MemoryStore
    from vertex_emulator.core.folders import DataDirError, DataDirInUseError, TemporaryFolder
    from vertex_emulator.http.calls import CallRecord
    from vertex_emulator.http.guard import find_objection
    from vertex_emulator.http.peers import find_stranger
    from vertex_emulator.http.server import ListenError, NotLoopbackError
    from vertex_emulator.jobs.job import Job
    from vertex_emulator.jobs.kept import job_from_json
    from vertex_emulator.jobs.states import JobState
    from vertex_emulator.jobs.timings import SecondStart, Timings, TimingsOf, recorded_timings
    from vertex_emulator.logs.shapes import LogShape, LogStyle
    from vertex_emulator.runtimes.contract import Container, Runtime
    from vertex_emulator.runtimes.process import ProcessRuntime
    from vertex_emulator.runtimes.scripted import Script, ScriptedRuntime
    from vertex_emulator.server import VertexEmulator

if TYPE_CHECKING:
    from vertex_emulator.as_google.environment import write_exports
    from vertex_emulator.identity.keys import build_key, write_key_file
    from vertex_emulator.runtimes.docker import DockerError, DockerRuntime

__all__ = [
    "CallRecord",
    "Clock",
    "Container",
    "DataDirError",
    "DataDirInUseError",
    "DockerError",
    "DockerRuntime",
    "DocumentStore",
    "FileStore",
    "Job",
    "JobState",
    "ListenError",
    "LogShape",
    "LogStyle",
    "ManualClock",
    "MemoryStore",
    "NotLoopbackError",
    "ProcessRuntime",
    "Runtime",
    "Script",
    "ScriptedRuntime",
    "SecondStart",
    "SystemClock",
    "TemporaryFolder",
    "Timings",
    "TimingsOf",
    "VertexEmulator",
    "build_key",
    "faults",
    "find_objection",
    "find_stranger",
    "job_from_json",
    "recorded_timings",
    "write_exports",
    "write_key_file",
]

# What needs another extra, or is seldom needed -> the extra, and its module.
_LOADED_LATER = {
    "DockerError": ("docker", "vertex_emulator.runtimes.docker"),
    "DockerRuntime": ("docker", "vertex_emulator.runtimes.docker"),
    "build_key": ("as-google", "vertex_emulator.identity.keys"),
    "write_exports": ("as-google", "vertex_emulator.as_google.environment"),
    "write_key_file": ("as-google", "vertex_emulator.identity.keys"),
}


def __getattr__(name: str) -> Any:
    """Load what needs a further extra when it is first used (PEP 562)."""
    if name not in _LOADED_LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    extra, module = _LOADED_LATER[name]
    with extra_required(extra):
        return getattr(import_module(module), name)
