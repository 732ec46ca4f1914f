"""Which step operator a step belongs to: ZenML asks the stack's default one about all of them."""

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from zenml.client import Client
from zenml.enums import StackComponentType
from zenml.stack import StackComponent

from zenml_vertex.steps.server import server_errors

if TYPE_CHECKING:
    from zenml.models import StepRunResponse

    from zenml_vertex.cloud.credentials import ConnectorAccess
    from zenml_vertex.config import VertexStepOperatorSettings
    from zenml_vertex.steps.connections import ConnectionKey
    from zenml_vertex.steps.preflight import Preflight
    from zenml_vertex.steps.records import ZenMLStepRuns


class Owner(Protocol):
    """What running a step needs of the step operator that it belongs to."""

    name: str

    def access_connector(self) -> "ConnectorAccess":
        """The service connector that it is linked to."""

    @property
    def preflight(self) -> "Preflight":
        """Checks its steps."""

    @property
    def step_runs(self) -> "ZenMLStepRuns":
        """The ZenML server's record of step runs."""

    def get_settings(self, container: Any) -> "VertexStepOperatorSettings":
        """The settings of a step over its own."""

    def choose_key(self, settings: "VertexStepOperatorSettings") -> "ConnectionKey":
        """Which connection jobs with these settings need."""


T = TypeVar("T", bound=Owner)


def find_owner(step_run: "StepRunResponse", asked: T) -> T:
    """The step operator that a step names, whose settings say where its job is.

    Args:
        step_run: A run of the step.
        asked: The one that ZenML asks; returned where the other one is gone.

    Raises:
        ServerUnreachable: If the ZenML server cannot be asked.
    """
    name = step_run.config.step_operator
    if not isinstance(name, str) or name == asked.name:
        return asked
    with server_errors():
        try:
            component = StackComponent.from_model(
                Client().get_stack_component(
                    StackComponentType.STEP_OPERATOR, name, allow_name_prefix_match=False
                )
            )
        except KeyError:
            return asked
    return component if isinstance(component, type(asked)) else asked
