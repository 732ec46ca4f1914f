"""What a step's function does to its process does not keep its result from being reported.

ZenML saves the outputs and reports the result in the process that the function has run in.
"""

import os
from collections.abc import Mapping
from typing import Any

from zenml.steps import BaseStep

from zenml_vertex.container.own_failure import as_failure


def guard_step_function() -> None:
    """Guard the next call of a step's function in this process, which ZenML is about to make.

    The variables that the function has removed are back when it has ended: without them, the
    artifact store and the ZenML server may be out of reach. Those that it has set stay as they are.
    """
    original = BaseStep.call_entrypoint

    def call_once(step: BaseStep, /, *arguments: Any, **options: Any) -> Any:
        # A function may call other steps as functions.
        setattr(BaseStep, original.__name__, original)
        environment = dict(os.environ)
        try:
            return original(step, *arguments, **options)
        except (Exception, KeyboardInterrupt):
            # ZenML interrupts a step that was told to stop.
            raise
        except BaseException as error:
            raise as_failure(error) from error
        finally:
            restore_removed(environment)

    setattr(BaseStep, original.__name__, call_once)


def restore_removed(environment: Mapping[str, str]) -> None:
    """Set the environment variables that are not set any more.

    Args:
        environment: All of them, as they were.
    """
    for name, value in environment.items():
        os.environ.setdefault(name, value)
