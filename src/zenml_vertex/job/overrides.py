"""`custom_job_overrides`: any part of the request as API JSON, merged into it last.

What is a field of the table in `fields` becomes one, so that the rules, the advice and the
container's environment know of it. The rest is merged into the request when it is built. What the
operator itself needs is refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from zenml_vertex.job.fields import CONTAINER, OVERRIDES, POOL, ROWS, SPEC, split_path
from zenml_vertex.job.identity import OWN_LABELS
from zenml_vertex.job.messages import JOB, POOLS, Findings, Unlisted, read_message
from zenml_vertex.job.readers import UnreadableValue, read_environment, show_value

_ENV = f"{CONTAINER}.env"
_OWN_VARIABLES = "ZENML_VERTEX_"
_ENTRYPOINT = (
    "with which the container runs the step. Remove it; a `CommandStep` has a command of its own"
)
# Path -> what the operator needs it for, and what to do instead.
_OWN = {
    f"{CONTAINER}.command": _ENTRYPOINT,
    f"{CONTAINER}.args": _ENTRYPOINT,
    f"{CONTAINER}.imageUri": (
        "which ZenML builds for the step. Remove it, and set `parent_image` or `dockerfile` of the "
        "step's DockerSettings"
    ),
    f"{POOL}.pythonPackageSpec": (
        "in place of which the step has its container. Remove it; further worker pools can have one"
    ),
}
# What holds these, and must not be taken away as a whole.
_HOLDERS = (SPEC, POOL.removesuffix("[0]"), POOL, CONTAINER)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What was read."""

    # Name of a field -> its value, in the API's JSON; None is unset.
    fields: Mapping[str, Any] = field(default_factory=dict)
    # Name of a field -> its path as it was written.
    paths: Mapping[str, str] = field(default_factory=dict)
    # What is no field of the table.
    rest: Mapping[str, Any] = field(default_factory=dict)
    # Where something is wrong -> a sentence that says so.
    problems: Mapping[str, str] = field(default_factory=dict)
    # Path as it was written -> what only Google's client may know.
    unlisted: Mapping[str, Unlisted] = field(default_factory=dict)


def read_overrides(written: Mapping[str, Any]) -> Overrides:
    """Read `custom_job_overrides`.

    Args:
        written: A part of a CustomJob, with names in either of the API's spellings.
    """
    findings = Findings()
    job = read_message(written, JOB, findings)
    for path, reason in _find_own(job, findings):
        findings.problems[path] = reason
    fields: dict[str, Any] = {}
    paths: dict[str, str] = {}
    for name, row in ROWS.items():
        path = _ENV if name == "env" else row.path
        if path and (found := _take(job, path)):
            fields[name] = found[0]
            paths[name] = _find_written(path, findings)
    if fields.get("env") is not None:
        try:
            fields["env"] = read_environment(fields["env"])
        except UnreadableValue as error:
            del fields["env"]
            if not any(path.startswith(paths["env"]) for path in findings.problems):
                findings.problems[paths["env"]] = str(error)
    known = {row.path for row in ROWS.values() if row.path}
    return Overrides(
        fields=fields,
        paths=paths,
        rest=_prune(job),
        problems={
            f"{OVERRIDES}.{path}": f"{show_value(path)} in `{OVERRIDES}` {reason}."
            for path, reason in findings.problems.items()
        },
        # The values of the table's own enums are looked up as those of any setting.
        unlisted={
            path: unlisted
            for path, unlisted in findings.unlisted.items()
            if unlisted.value is None or unlisted.path not in known
        },
    )


def merge_overrides(job: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    """Merge what was left of the overrides into a request.

    Args:
        job: The CustomJob; changed in place.
        overrides: A part of one. None takes a field away, a list replaces one, and worker pools
            are merged one by one.
    """
    for key, value in overrides.items():
        below = job.get(key)
        if value is None:
            job.pop(key, None)
        elif key == POOLS and isinstance(below, list):
            for index, pool in enumerate(value):
                if index < len(below):
                    merge_overrides(below[index], pool)
                else:
                    below.append(pool)
        elif isinstance(value, Mapping) and isinstance(below, dict):
            merge_overrides(below, value)
        else:
            job[key] = value


def _find_own(job: Mapping[str, Any], findings: Findings) -> Iterator[tuple[str, str]]:
    """What the operator needs to be as it is: where it was written, and a sentence's end."""
    for path in _HOLDERS:
        found = _find(job, path)
        if found and found[0] is None:
            yield _find_written(path, findings), "must not be empty: the step runs in it. Remove it"
    for path, reason in _OWN.items():
        if _find(job, path):
            _take(job, path)
            yield _find_written(path, findings), f"is what the operator sets itself, {reason}"
    for label in OWN_LABELS:
        if label in (job.get("labels") or {}):
            yield (
                f"labels.{label}",
                "is the operator's own label, by which it finds the job. Remove it",
            )
    env = _find(job, _ENV)
    for variable in (env[0] if env else None) or ():
        name = (variable or {}).get("name")
        if isinstance(name, str) and name.startswith(_OWN_VARIABLES):
            yield (
                f"{_find_written(_ENV, findings)}: {name}",
                "is the operator's own variable, by which the container knows its step. Remove it",
            )


def _find_written(path: str, findings: Findings) -> str:
    """How a path was written, or the part of it that was."""
    while path not in findings.written:
        if path.endswith("]"):
            path = path[: path.rindex("[")]
        elif "." in path:
            path = path.rpartition(".")[0]
        else:
            break
    return findings.written.get(path, path)


def _find(job: Any, path: str) -> tuple[Any] | None:
    """What stands at a path; None for nothing, and also for what is below something empty."""
    for part in split_path(path):
        if isinstance(part, int):
            if not isinstance(job, list) or part >= len(job):
                return None
        elif not isinstance(job, Mapping) or part not in job:
            return None
        job = job[part]
    return (job,)


def _take(job: Any, path: str) -> tuple[Any] | None:
    """Take what stands at a path away; None below something that is empty, which is unset."""
    *parents, last = split_path(path)
    for part in parents:
        if isinstance(part, int):
            if not isinstance(job, list) or part >= len(job):
                return None
        elif not isinstance(job, Mapping) or part not in job:
            return None
        job = job[part]
        if job is None:
            return (None,)
    return (job.pop(last),) if isinstance(job, dict) and last in job else None


def _prune(value: Any) -> Any:
    """A message without what is empty once its parts were taken away; items keep their places."""
    if isinstance(value, list):
        return [_prune(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    pruned = {key: _prune(item) for key, item in value.items()}
    return {key: item for key, item in pruned.items() if item != {}}
