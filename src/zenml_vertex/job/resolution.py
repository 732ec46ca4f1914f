"""What a step asks for, after everything that has a say in it."""

from collections.abc import Iterator, Mapping
from typing import Any

from zenml_vertex.job.fields import (
    ADDITIONAL_ARGS,
    ARGUMENTS,
    GPU_COUNT,
    OVERRIDES,
    ROWS,
    JobFields,
    cite_field,
    describe_unreadable,
)
from zenml_vertex.job.machines import nearest
from zenml_vertex.job.messages import merge
from zenml_vertex.job.overrides import Overrides, read_overrides
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

    `gpu_count` overrides the setting `accelerator_count`, `additional_training_job_args` override
    both, and `custom_job_overrides` all of them, also with a value that is unset. A count that
    overrides another one turns the accelerator off where it is 0, whatever names its type.

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
    found = _Resolution(unreadable or {})
    for name in ROWS.keys() & settings.keys():
        found.take(name, settings[name], spelt=(spelt or {}).get(name), hidden=name in secrets)
    if gpu_count is not None:
        found.take("accelerator_count", gpu_count, source=GPU_COUNT)
    arguments: Mapping[str, Any] = settings.get(ADDITIONAL_ARGS) or {}
    wrong = dict(_find_wrong_arguments(arguments))
    for argument, name in ARGUMENTS.items():
        if argument in arguments and argument not in wrong:
            is_hidden = f"{ADDITIONAL_ARGS}.{argument}" in secrets
            found.take(name, arguments[argument], ADDITIONAL_ARGS, argument, hidden=is_hidden)
    found.unreadable |= {f"{ADDITIONAL_ARGS}.{name}": text for name, text in wrong.items()}
    found.read()
    written = settings.get(OVERRIDES)
    overrides = read_overrides(written) if isinstance(written, Mapping) else Overrides()
    for name, value in overrides.fields.items():
        found.take(name, value, OVERRIDES, overrides.paths[name], hidden=OVERRIDES in secrets)
        found.read_over(name)
    found.unreadable |= overrides.problems
    return JobFields(
        **found.finish(),
        overrides=overrides.rest,
        unlisted=overrides.unlisted,
        sources=found.sources,
        spelt=found.spelt,
        unreadable=found.unreadable,
        secrets=frozenset(found.hidden | {OVERRIDES} & secrets),
        defaults=defaults - found.sources.keys(),
    )


class _Resolution:
    """The values of fields on their way: what is taken later overrides what is there."""

    def __init__(self, unreadable: Mapping[str, str]) -> None:
        self.unreadable = dict(unreadable)
        self.sources: dict[str, str] = {}
        self.spelt: dict[str, str] = {}
        self.hidden: set[str] = set()
        self._given: dict[str, Any] = {}
        self._values: dict[str, Any] = {}

    def take(
        self,
        name: str,
        value: Any,
        source: str | None = None,
        spelt: str | None = None,
        *,
        hidden: bool = False,
    ) -> None:
        """Take what has been set for a field, where, how it was spelt and if it was a secret."""
        self._given[name] = value
        for noted, note in ((self.sources, source), (self.spelt, spelt)):
            noted.pop(name, None)
            if note is not None:
                noted[name] = note
        self.hidden = self.hidden | {name} if hidden else self.hidden - {name}

    def read(self) -> None:
        """Read everything that is there."""
        for name in ROWS:
            if name in self._given:
                self._values[name] = self._read(name)

    def read_over(self, name: str) -> None:
        """Read what was taken last; an object is merged with the one that was there."""
        # Variables are read already.
        value = self._given[name] if name == "env" else self._read(name)
        self._values[name] = merge(self._values.get(name), value)

    def _read(self, name: str) -> Any:
        value = self._given[name]
        try:
            return ROWS[name].read(value)
        except UnreadableValue as error:
            shown = None if ROWS[name].is_secret or name in self.hidden else show_value(value)
            cited = cite_field(name, self.sources, self.spelt)
            self.unreadable[name] = describe_unreadable(cited, error, shown)
            return None

    def finish(self) -> dict[str, Any]:
        """The values that are set, after what depends on several of them."""
        values, count = self._values, "accelerator_count"
        if count in self.sources and values[count] is None:
            is_zero = self._given[count] is not None and count not in self.unreadable
            if is_zero or "accelerator_type" not in self.sources:
                values["accelerator_type"] = None
        if values.get("disable_retries") is None:
            values["disable_retries"] = not values.get("restart_job_on_worker_restart")
        return {name: value for name, value in values.items() if value is not None}


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
