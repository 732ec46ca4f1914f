"""Which step operator a command works with: the one that is named, or the active stack's."""

import os
import shlex
from typing import TYPE_CHECKING

from zenml.client import Client
from zenml.constants import ENV_ZENML_ACTIVE_STACK_ID
from zenml.enums import StackComponentType
from zenml.stack import StackComponent

from zenml_vertex.errors import StackError
from zenml_vertex.flavor import FLAVOR_NAME
from zenml_vertex.steps.operator import VertexStepOperator
from zenml_vertex.steps.server import server_errors

if TYPE_CHECKING:
    from zenml.models import ComponentResponse, StackResponse

_TYPE = StackComponentType.STEP_OPERATOR


def load_step_operator(name: str | None) -> VertexStepOperator:
    """The step operator of a command.

    Args:
        name: Its name, ID or the beginning of one; None for the active stack's.

    Raises:
        StackError: If it does not exist, or is not of this package's flavor; says what to
            run instead.
        ServerUnreachable: If the ZenML server does not respond, or wants a login.
    """
    with server_errors():
        model = _find_named(name) if name else _find_active()
        if model.flavor_name != FLAVOR_NAME:
            raise StackError(
                f"The step operator `{model.name}` is of flavor `{model.flavor_name}`, and not "
                f"`{FLAVOR_NAME}`. {_describe_choice()}"
            )
        component = StackComponent.from_model(model)
    if not isinstance(component, VertexStepOperator):
        raise StackError(
            f"The step operator `{model.name}` is run by ZenML's built-in flavor here, or another "
            "package's. `zenml-vertex flavor status` shows why, and what to do."
        )
    return component


def _find_named(name: str) -> "ComponentResponse":
    try:
        return Client().get_stack_component(_TYPE, name)
    except KeyError:
        raise StackError(
            f"There is no step operator `{name}`. `zenml step-operator list` shows them."
        ) from None


def _find_active() -> "ComponentResponse":
    stack = _read_active_stack()
    found = stack.components.get(_TYPE)
    if not found:
        raise StackError(
            f"The active stack `{stack.name}` has no step operator. {_describe_choice()}"
        )
    # Where a stack has several, the first is ZenML's default.
    return found[0]


def _read_active_stack() -> "StackResponse":
    try:
        return Client().active_stack_model
    except (KeyError, ValueError):
        stack_id = os.environ.get(ENV_ZENML_ACTIVE_STACK_ID)
        if not stack_id:
            raise StackError(
                "There is no active stack. `zenml stack list` shows the stacks, and `zenml stack "
                "set default` makes one of them the active one."
            ) from None
        raise StackError(
            f"{ENV_ZENML_ACTIVE_STACK_ID} is `{stack_id}`, which is not the ID of a stack. "
            "`zenml stack list` shows the IDs; without the variable, `zenml stack set default` "
            "makes a stack the active one."
        ) from None


def _describe_choice() -> str:
    """What to run, by the step operators that exist."""
    page = Client().list_stack_components(type=_TYPE, flavor=FLAVOR_NAME)
    names = [model.name for model in page.items]
    if not names:
        return (
            "Register one and add it to the stack: "
            f"`zenml step-operator register vertex --flavor={FLAVOR_NAME} --region=europe-west4`, "
            "then `zenml stack update --step-operator=vertex`."
        )
    name = shlex.quote(names[0])
    return (
        f"Of flavor `{FLAVOR_NAME}` there is {', '.join(f'`{known}`' for known in names)}: add "
        f"`--step-operator {name}` to this command, or run "
        f"`zenml stack update --step-operator={name}`."
    )
