"""The pytest plugin: a whole ZenML stack for tests of pipelines.

pytest loads it in every environment that has this package (entry point `pytest11`), so that it
imports nothing of ZenML before a fixture is used.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from zenml_vertex.local_stack.stack import LocalStack


@pytest.fixture(scope="session")
def vertex_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator["LocalStack"]:
    """A ZenML server, a Vertex AI emulator and a storage emulator; `run_pipeline` runs a script.

    Its stack has the step operator `vertex`. Nothing of your own ZenML and Google configuration
    is read or changed. It takes some seconds to start, and is there for all tests.
    """
    from zenml_vertex.installation import find_missing, install_command

    if missing := find_missing("demo"):
        pytest.fail(
            f"`vertex_stack` needs the extra `demo`, of which {missing[0]} is not installed here. "
            f"Run this first: {install_command('demo')}",
            pytrace=False,
        )
    from zenml_vertex.local_stack.start import start_local_stack

    with start_local_stack(tmp_path_factory.mktemp("vertex-stack") / "stack") as stack:
        yield stack
