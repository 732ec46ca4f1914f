"""How settings are read: the base of the settings class, without the settings themselves.

Everything that is wrong with what somebody has written is collected, in sentences of this
package: pydantic's own errors would show values, and lose their reasons on the way through
ZenML.
"""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, get_args, get_origin

from pydantic import (
    ConfigDict,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from zenml.config.base_settings import BaseSettings
from zenml.config.secret_reference_mixin import SecretReferenceMixin
from zenml.utils.secret_utils import is_secret_reference, parse_secret_reference

from zenml_vertex.job.fields import (
    ADDITIONAL_ARGS,
    OVERRIDES,
    ROWS,
    JobFields,
    describe_unreadable,
)
from zenml_vertex.job.readers import (
    Reader,
    UnreadableValue,
    has_reference,
    read_object,
    show_value,
)
from zenml_vertex.job.resolution import resolve_fields
from zenml_vertex.job.rules import check_values
from zenml_vertex.job.spellings import describe_unknown_setting, join_spellings

if TYPE_CHECKING:
    from typing_extensions import Self

_JSON_CURE = (
    "Write JSON in single quotes on the command line, such as "
    """'{"name": "value"}', and an object without quotes in YAML and in code."""
)


class CheckedSettings(BaseSettings):
    """Settings that say everything that is wrong with them at once, and how to put it right."""

    # pydantic's own errors show what was written, and that may be a secret.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    readers: ClassVar[Mapping[str, Reader]] = {}
    """Name of a setting that says nothing of the job -> how it is read."""

    # Name of a setting that is wrong -> what is said of it; the setting has its default.
    _unreadable: dict[str, str] = PrivateAttr(default_factory=dict)
    # Name of a setting -> how it was spelt, unless so.
    _spelt: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, data: Any, handler: "ModelWrapValidatorHandler[Self]") -> "Self":
        """Read what was written; names and types that are wrong are collected, with reasons."""
        if not isinstance(data, Mapping):
            return handler(data)
        stripped = {
            name: value.strip() if isinstance(value, str) else value for name, value in data.items()
        }
        values, spelt, unreadable = join_spellings(stripped)
        for name in [name for name in values if name not in cls.model_fields]:
            del values[name]
            if cls.model_config.get("extra") == "forbid":
                unreadable[name] = describe_unknown_setting(name, cls.model_fields)
        unreadable |= read_json_texts(values, cls.model_fields)
        for name, value in list(values.items()):
            if problem := cls._find_problem(name, value, spelt):
                unreadable[name] = problem
                cls._leave_out(name, values)
        while True:
            try:
                settings = handler(values)
            except ValidationError as error:
                wrong = {str(detail["loc"][0]): detail["msg"] for detail in error.errors()}
                for name, reason in wrong.items():
                    cited = f"`{spelt.get(name, name)}`"
                    unreadable[name] = cls._describe_wrong(name, values.get(name), cited, reason)
                    cls._leave_out(name, values)
            else:
                break
        settings._unreadable.update(unreadable)  # noqa: SLF001 - of this class
        settings._spelt.update(spelt)  # noqa: SLF001 - of this class
        settings._judge()  # noqa: SLF001 - of this class
        return settings

    @classmethod
    def _leave_out(cls, name: str, values: dict[str, Any]) -> None:
        """Leave out a setting that is wrong."""
        values.pop(name, None)
        if cls.model_fields[name].is_required():
            values[name] = ""

    @classmethod
    def _find_reader(cls, name: str) -> Reader:
        return cls.readers.get(name) or (
            read_object if name in (ADDITIONAL_ARGS, OVERRIDES) else ROWS[name].read
        )

    @classmethod
    def _find_problem(cls, name: str, value: Any, spelt: Mapping[str, str]) -> str | None:
        """What is wrong with a value, if it is read when it is written.

        A secret is looked up later, and additional arguments are read then too: a component that
        is already registered must load with them.
        """
        if value is None or name == ADDITIONAL_ARGS or has_reference(value):
            return None
        try:
            cls._find_reader(name)(value)
        except UnreadableValue as unreadable:
            return describe_unreadable(f"`{spelt.get(name, name)}`", unreadable, show_value(value))
        return None

    @classmethod
    def _describe_wrong(cls, name: str, value: Any, cited: str, reason: str) -> str:
        """Say what is wrong with a value that pydantic does not accept.

        Args:
            name: Name of the setting.
            value: Its value; None where there is none.
            cited: The setting as a message names it.
            reason: What pydantic says.
        """
        if value is None:
            return f"{cited} is empty. Write a value, or remove it."
        try:
            cls._find_reader(name)(value)
        except UnreadableValue as unreadable:
            shown = None if name in (ADDITIONAL_ARGS, OVERRIDES) else show_value(value)
            return describe_unreadable(cited, unreadable, shown)
        return f"{cited} cannot be used: {reason}."

    def _judge(self) -> None:
        """Refuse what is wrong whatever the other settings are.

        A `{{secret.key}}` is looked up when it is read, so it is not read here. Nor are the
        additional arguments: a component that is already registered must load with them.
        """
        known = {
            name: None if has_reference(value) else value
            for name, value in self.__dict__.items()
            if name != ADDITIONAL_ARGS and name not in self._unreadable
        }
        check_values(resolve_fields(known, unreadable=self._unreadable, spelt=self._spelt))

    def is_secret(self, name: str) -> bool:
        """Whether ZenML looks up a setting's value in a secret."""
        return is_secret_reference(self.__dict__.get(name))

    def to_job_fields(self, *, gpu_count: int | None = None) -> JobFields:
        """What a job with these settings asks for; looks up secret references.

        Args:
            gpu_count: `gpu_count` of the step's ResourceSettings; None where it is not set.
        """
        settings: dict[str, Any] = {}
        secrets: set[str] = set()
        unreadable = dict(self._unreadable)
        for place, name, value in self._find_parts():
            try:
                is_whole = place == name and self.is_secret(name)
                found = getattr(self, name) if is_whole else _look_up(value)
            except KeyError:
                unreadable[place] = _describe_missing(place, value)
                continue
            if has_reference(value):
                secrets.add(place)
            if place == name:
                settings[name] = found
            else:
                settings.setdefault(name, {})[place.removeprefix(f"{name}.")] = found
        return resolve_fields(
            settings,
            gpu_count=gpu_count,
            unreadable=unreadable,
            spelt=self._spelt,
            secrets=frozenset(secrets),
            defaults=frozenset(type(self).model_fields) - self.model_fields_set,
        )

    def _find_parts(self) -> Iterator[tuple[str, str, Any]]:
        """The settings, and each of the additional arguments: place, name of the setting, value."""
        for name in type(self).model_fields:
            value = self.__dict__.get(name)
            if name == ADDITIONAL_ARGS:
                yield from ((f"{name}.{key}", name, item) for key, item in (value or {}).items())
            else:
                yield name, name, value


class _Reference(SecretReferenceMixin):
    """ZenML looks up what it refers to when it is read."""

    text: str


def _look_up(value: Any) -> Any:
    """A value with the secrets that it refers to, however deep.

    ZenML itself looks up only a reference that is the whole value of a setting.

    Raises:
        KeyError: If there is no such secret, or no such key in it.
    """
    if not has_reference(value):
        return value
    if isinstance(value, Mapping):
        return {key: _look_up(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_look_up(item) for item in value]
    return _Reference(text=value).text


def _describe_missing(place: str, value: Any) -> str:
    """Say that what a setting refers to does not exist."""
    name, _, argument = place.partition(".")
    cited = f"`{argument}` in `{name}`" if argument else f"`{name}`"
    references = ", ".join(
        f"{show_value(found.name)} with a key {show_value(found.key)}"
        for found in map(parse_secret_reference, dict.fromkeys(_find_references(value)))
    )
    return (
        f"{cited} refers to the secret {references}, which ZenML does not find. `zenml secret "
        "list` shows the secrets."
    )


def _find_references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _find_references(item)
    elif has_reference(value):
        yield value


def find_json_settings(fields: Mapping[str, FieldInfo]) -> set[str]:
    """The settings whose values are objects or lists, and never text."""
    found = set()
    for name, field in fields.items():
        kind = field.annotation
        parts = (kind,) if get_origin(kind) in (dict, list) else get_args(kind)
        if str not in parts and {dict, list} & {get_origin(part) for part in parts}:
            found.add(name)
    return found


def read_json_texts(values: dict[str, Any], fields: Mapping[str, FieldInfo]) -> dict[str, str]:
    """Read settings that are JSON text, as the command line has them; empty text is unset.

    Args:
        values: Name of a setting -> its value; changed in place.
        fields: The settings.

    Returns:
        Name of a setting whose text is not JSON -> a sentence that says so.
    """
    unreadable = {}
    for name in values.keys() & find_json_settings(fields):
        if isinstance(text := values[name], str):
            del values[name]
            try:
                if text:
                    values[name] = json.loads(text)
            except (ValueError, RecursionError):
                # ZenML's own error shows the text, which may have secrets.
                unreadable[name] = f"`{name}` is text that is not JSON. {_JSON_CURE}"
    return unreadable
