"""A step's settings on their way through ZenML, and how they are read.

While ZenML compiles a pipeline it converts settings to their class, and knows neither the
name of the step nor what else is wrong with it; of pydantic's errors it drops the reason. So
they keep what was written until a step is checked as a whole.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import model_serializer, model_validator

from zenml_vertex.config import VertexStepOperatorSettings
from zenml_vertex.job.spellings import keep_spellings
from zenml_vertex.reading import find_json_settings, read_json_texts

if TYPE_CHECKING:
    from zenml_vertex.config import VertexStepOperatorConfig


class ReadSettings(VertexStepOperatorSettings):
    """Settings that keep what is wrong with them for `to_job_fields`, and raise nothing."""

    def _judge(self) -> None:
        """Leave it to the check of the whole step."""


class WrittenSettings(VertexStepOperatorSettings):
    """Settings as somebody has written them, right or wrong.

    It has the fields of its base, which ZenML's templates show, and of their values only
    those that were written. An object that was written as JSON text is an object here, so that
    ZenML merges it with another as it merges all objects: key by key.
    """

    def __init__(self, **written: Any) -> None:
        values = keep_spellings(written)
        objects = dict(values)
        wrong = read_json_texts(objects, type(self).model_fields)
        values |= {name: value for name, value in objects.items() if name not in wrong}
        for name, value in {
            "__dict__": values,
            "__pydantic_fields_set__": set(values),
            "__pydantic_extra__": None,
            "__pydantic_private__": {},
        }.items():
            object.__setattr__(self, name, value)

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, data: Any, handler: Callable[[Any], Any]) -> Any:
        """Leave everything as it is."""
        return handler(data)

    @model_serializer(mode="plain")
    def _write(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def over(self, config: "VertexStepOperatorConfig") -> "WrittenSettings":
        """These settings, with what the objects of a component have besides.

        ZenML merges the objects of a component and of a pipeline, but not where one of them was
        JSON text when it did so.
        """
        values = dict(self.__dict__)
        for name in find_json_settings(type(self).model_fields):
            below = config.__dict__.get(name)
            if isinstance(below, Mapping) and isinstance(values.get(name), Mapping):
                values[name] = _merge(below, values[name])
        return WrittenSettings(**values)

    def read(self) -> ReadSettings:
        """Read what was written."""
        return ReadSettings(**self.__dict__)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two objects as one, key by key; lists are replaced."""
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        if isinstance(lower, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(lower, value)
        else:
            merged[key] = value
    return merged
