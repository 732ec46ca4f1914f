"""A Vertex AI on loopback: custom training jobs that really run, on this machine.

Speaks the REST JobService, Cloud Logging's `entries:list`, the OAuth token
endpoint and the metadata server of a Google machine, all on one port. Written
from Google's public documentation, and not yet compared with Google Cloud.

What is named here, `vertex_emulator.faults` and `vertex_emulator.testing` are for users; the other
modules are not. Imports nothing of the step operator: an emulator that shared its code would
confirm its mistakes.

The public names are loaded when they are first used: pytest imports this package at its own
start (entry point `pytest11`), in every project that has it, and must not pay for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vertex_emulator.extras import extra_required

if TYPE_CHECKING:
    from vertex_emulator import faults
    from vertex_emulator.as_google.environment import write_exports
    from vertex_emulator.core.clock import Clock, ManualClock, SystemClock
    from vertex_emulator.core.documents import DocumentStore, FileStore, MemoryStore
    from vertex_emulator.core.folders import DataDirError, DataDirInUseError, TemporaryFolder
    from vertex_emulator.http.address import WeakSecretError
    from vertex_emulator.http.calls import CallRecord
    from vertex_emulator.http.guard import find_objection
    from vertex_emulator.http.peers import find_stranger
    from vertex_emulator.http.server import ListenError, NotLoopbackError
    from vertex_emulator.identity.keys import build_key, write_key_file
    from vertex_emulator.jobs.job import Job
    from vertex_emulator.jobs.kept import job_from_json
    from vertex_emulator.jobs.states import JobState
    from vertex_emulator.jobs.timings import SecondStart, Timings, TimingsOf, recorded_timings
    from vertex_emulator.logs.shapes import LogShape, LogStyle
    from vertex_emulator.persistent_resources.timings import (
        ResourceTimings,
        documented_resource_timings,
    )
    from vertex_emulator.runtimes.contract import Container, Runtime
    from vertex_emulator.runtimes.docker import DockerError, DockerRuntime
    from vertex_emulator.runtimes.process import ProcessRuntime
    from vertex_emulator.runtimes.scripted import Script, ScriptedRuntime
    from vertex_emulator.server import VertexEmulator

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
    "ResourceTimings",
    "Runtime",
    "Script",
    "ScriptedRuntime",
    "SecondStart",
    "SystemClock",
    "TemporaryFolder",
    "Timings",
    "TimingsOf",
    "VertexEmulator",
    "WeakSecretError",
    "build_key",
    "documented_resource_timings",
    "faults",
    "find_objection",
    "find_stranger",
    "job_from_json",
    "recorded_timings",
    "write_exports",
    "write_key_file",
]

# Module -> the names that it is the home of.
_HOMES = {
    "as_google.environment": ("write_exports",),
    "core.clock": ("Clock", "ManualClock", "SystemClock"),
    "core.documents": ("DocumentStore", "FileStore", "MemoryStore"),
    "core.folders": ("DataDirError", "DataDirInUseError", "TemporaryFolder"),
    "http.address": ("WeakSecretError",),
    "http.calls": ("CallRecord",),
    "http.guard": ("find_objection",),
    "http.peers": ("find_stranger",),
    "http.server": ("ListenError", "NotLoopbackError"),
    "identity.keys": ("build_key", "write_key_file"),
    "jobs.job": ("Job",),
    "jobs.kept": ("job_from_json",),
    "jobs.states": ("JobState",),
    "jobs.timings": ("SecondStart", "Timings", "TimingsOf", "recorded_timings"),
    "logs.shapes": ("LogShape", "LogStyle"),
    "persistent_resources.timings": ("ResourceTimings", "documented_resource_timings"),
    "runtimes.contract": ("Container", "Runtime"),
    "runtimes.docker": ("DockerError", "DockerRuntime"),
    "runtimes.process": ("ProcessRuntime",),
    "runtimes.scripted": ("Script", "ScriptedRuntime"),
    "server": ("VertexEmulator",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
_EXTRA_OF = {
    "as_google.environment": "as-google",
    "identity.keys": "as-google",
    "runtimes.docker": "docker",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name == "faults":
        return import_module("vertex_emulator.faults")
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with extra_required("emulator"), extra_required(_EXTRA_OF.get(module, "emulator")):
        value = getattr(import_module(f"{__name__}.{module}"), name)
    # From now on it is found without this function.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
