"""What a step asks for, after everything that has a say in it."""

from collections.abc import Iterator, Mapping
from typing import Any

from zenml_vertex.job.fields import (
    ADDITIONAL_ARGS,
    ARGUMENTS,
    GPU_COUNT,
    ROWS,
    JobFields,
    cite_field,
    describe_unreadable,
)
from zenml_vertex.job.machines import nearest
from zenml_vertex.job.readers import UnreadableValue, show_value


def resolve_fields(
    settings: Mapping[str, Any],
    *,
    gpu_count: int | None = None,
    unreadable: Mapping[str, str] | None = None,
    spelt: Mapping[str, str] | None = None,
    secrets: frozenset[str] = frozenset(),
    defaults: frozenset[str] = frozenset(),
) -> JobFields:
    """What a step asks for, after everything that has a say in it.

    `gpu_count` overrides the setting `accelerator_count`, and `additional_training_job_args`
    override both, also with a value that is unset. A count that overrides another one turns
    the accelerator off where it is 0, whatever names its type.

    Args:
        settings: Name of a setting -> its value; the step's over the component's. Settings
            that say nothing of the job are ignored.
        gpu_count: `gpu_count` of the step's ResourceSettings; None where it is not set.
        unreadable: Name of a setting that is wrong and left out here -> what is said of it.
        spelt: Name of a setting -> how it was spelt, unless as here.
        secrets: What has been looked up in a secret: names of settings, and of arguments as
            `additional_training_job_args.NAME`.
        defaults: Names of the settings that have their default because nothing has set them.

    Returns:
        The fields. A value that cannot be read counts as unset, and is described in
        `unreadable`.
    """
    arguments: Mapping[str, Any] = settings.get(ADDITIONAL_ARGS) or {}
    given = {name: settings[name] for name in ROWS if name in settings}
    hidden = {name for name in given if name in secrets}
    spelt = {name: written for name, written in (spelt or {}).items() if name in given}
    sources: dict[str, str] = {}
    if gpu_count is not None:
        given["accelerator_count"] = gpu_count
        sources["accelerator_count"] = GPU_COUNT
        hidden.discard("accelerator_count")
    wrong = dict(_find_wrong_arguments(arguments))
    unreadable = {
        **(unreadable or {}),
        **{f"{ADDITIONAL_ARGS}.{argument}": text for argument, text in wrong.items()},
    }
    for argument, name in ARGUMENTS.items():
        if argument in arguments and argument not in wrong:
            given[name] = arguments[argument]
            sources[name] = ADDITIONAL_ARGS
            spelt[name] = argument
            is_hidden = f"{ADDITIONAL_ARGS}.{argument}" in secrets
            hidden = hidden | {name} if is_hidden else hidden - {name}

    values: dict[str, Any] = {}
    for name, value in given.items():
        try:
            values[name] = ROWS[name].read(value)
        except UnreadableValue as error:
            values[name] = None
            shown = None if ROWS[name].is_secret or name in hidden else show_value(value)
            unreadable[name] = describe_unreadable(cite_field(name, sources, spelt), error, shown)

    if "accelerator_count" in sources and values["accelerator_count"] is None:
        is_zero = given["accelerator_count"] is not None and "accelerator_count" not in unreadable
        if is_zero or "accelerator_type" not in sources:
            values["accelerator_type"] = None
    if values.get("disable_retries") is None:
        values["disable_retries"] = not values.get("restart_job_on_worker_restart")
    values = {name: value for name, value in values.items() if value is not None}
    return JobFields(
        **values,
        sources=sources,
        spelt=spelt,
        unreadable=unreadable,
        secrets=frozenset(hidden),
        defaults=defaults - sources.keys(),
    )


def _find_wrong_arguments(arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Arguments that do not exist, and second names of one that is there already."""
    first: dict[str, str] = {}
    for argument, value in arguments.items():
        name = ARGUMENTS.get(argument)
        if name is None:
            yield argument, _describe_unknown(argument)
        elif name not in first:
            first[name] = argument
        elif value != arguments[first[name]]:
            yield (
                argument,
                f"`{argument}` and `{first[name]}` in `{ADDITIONAL_ARGS}` are two names of one "
                f"argument and differ. Keep one of them.",
            )


def _describe_unknown(argument: str) -> str:
    text = f"`{ADDITIONAL_ARGS}` has no argument {show_value(argument)}."
    if close := nearest(argument, ARGUMENTS):
        return f"{text} Did you mean `{close}`?"
    return f"{text} The arguments are: {', '.join(sorted(ARGUMENTS))}."
