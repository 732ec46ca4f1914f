"""The names of settings: further spellings, and names that do not exist."""

from collections.abc import Iterable, Mapping
from typing import Any

from zenml_vertex.job.fields import ADDITIONAL_ARGS, ARGUMENTS, ROWS, SPELLINGS
from zenml_vertex.job.machines import nearest
from zenml_vertex.job.readers import UnreadableValue, show_value

# Names that ResourceSettings of ZenML, Google's SDK and other tools have for it -> the setting.
_OF_OTHERS = {
    "gpu_count": "accelerator_count",
    "gpu_type": "accelerator_type",
    "gpus": "accelerator_count",
    "cpu_count": "machine_type",
    "memory": "machine_type",
    "instance_type": "machine_type",
    "location": "region",
}
_UNSET = (None, "")


def join_spellings(
    data: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """Give every setting the one name that it has here.

    Args:
        data: Name of a setting, in any spelling -> its value.

    Returns:
        The values by the settings' own names; how those were spelt that were not spelt so; and,
        for each spelling that contradicts the setting, a sentence that says so.
    """
    values, spelt, problems = dict(data), {}, {}
    for spelling, field in SPELLINGS.items():
        value = values.pop(spelling, None)
        if value in _UNSET:
            continue
        if values.get(field) not in _UNSET and not _is_same(field, values[field], value):
            problems[spelling] = (
                f"`{spelling}` ({show_value(value)}) and `{field}` ({show_value(values[field])}) "
                f"are two spellings of one setting and differ. Keep `{field}`, the name by which "
                "a component keeps it."
            )
        else:
            values[field] = value
            spelt[field] = spelling
    return values, spelt, problems


def keep_spellings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Bring settings into a form in which ZenML can merge others over them.

    A setting has its value under the name by which it was written, and the empty string, which is
    unset, under its others. So whatever is merged over it, in either spelling, replaces it.

    Args:
        data: Name of a setting, in any spelling -> its value. Contradictions stay as they are.
    """
    values, spelt, problems = join_spellings(data)
    for spelling, field in SPELLINGS.items():
        if spelling in problems:
            values[spelling] = data[spelling]
        elif spelt.get(field) == spelling:
            values[spelling], values[field] = values[field], ""
        elif field in values:
            values[spelling] = ""
    return values


def describe_unknown_setting(name: str, known: Iterable[str]) -> str:
    """Say that a setting does not exist, and which one, or which argument, was probably meant."""
    shown = show_value(name)
    if name in ARGUMENTS:
        return (
            f"there is no setting {shown} of its own. Write it in `{ADDITIONAL_ARGS}`: "
            f"{{'{name}': ...}}."
        )
    if meant := _OF_OTHERS.get(name) or nearest(name, known):
        return f"there is no setting {shown}. Did you mean `{meant}`?"
    if meant := nearest(name, ARGUMENTS):
        return f"there is no setting {shown}. Did you mean `{meant}` in `{ADDITIONAL_ARGS}`?"
    return f"there is no setting {shown}. The settings are: {', '.join(sorted(known))}."


def _is_same(field: str, value: Any, other: Any) -> bool:
    """Whether two values of a field are the same once they are read."""
    read = ROWS[field].read
    try:
        return bool(read(value) == read(other))
    except UnreadableValue:
        return bool(value == other)
