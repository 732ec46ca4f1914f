"""Pipelines that several tests examine: each is started once for all tests of a module."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.pipelines import StartShared
    from zenml_vertex.local_stack.stack import LocalStack
    from zenml_vertex.local_stack.views.pipelines import PipelineProcess

_PIPELINES = Path(__file__).with_name("pipelines")


@pytest.fixture(scope="module")
def start_shared(local_stack: "LocalStack") -> Iterator["StartShared"]:
    """Start a script of `pipelines`: `start_shared(name, *arguments, **environment)`."""
    with ExitStack() as running:

        def start(name: str, *arguments: str, **environment: str) -> "PipelineProcess":
            script = _PIPELINES / f"{name}.py"
            folder = local_stack.make_project("-".join([name, *arguments]), script)
            process = local_stack.start_pipeline(
                folder / script.name, *arguments, environment=environment
            )
            return running.enter_context(process)

        yield start
