"""A step's settings on their way through ZenML, and how they are read.

While ZenML compiles a pipeline it converts settings to their class, and knows neither the
name of the step nor what else is wrong with it; of pydantic's errors it drops the reason. So
they keep what was written until a step is checked as a whole.
"""

from collections.abc import Callable
from typing import Any

from pydantic import model_serializer, model_validator

from zenml_vertex.config import VertexStepOperatorSettings
from zenml_vertex.job.spellings import join_spellings


class ReadSettings(VertexStepOperatorSettings):
    """Settings that keep what is wrong with them for `to_job_fields`, and raise nothing."""

    def _judge(self) -> None:
        """Leave it to the check of the whole step."""


class WrittenSettings(VertexStepOperatorSettings):
    """Settings as somebody has written them, right or wrong.

    It has the fields of its base, which ZenML's templates show, and of their values only
    those that were written.
    """

    def __init__(self, **written: Any) -> None:
        values, contradictions = join_spellings(written)
        values |= {name: written[name] for name in contradictions}
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

    def read(self) -> ReadSettings:
        """Read what was written."""
        return ReadSettings(**self.__dict__)
