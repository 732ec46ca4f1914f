"""Which step operator a command works with: the one that is named, or the active stack's."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zenml.client import Client
from zenml.constants import ENV_ZENML_ACTIVE_STACK_ID
from zenml.enums import StackComponentType
from zenml.exceptions import ZenKeyError
from zenml.stack import StackComponent
from zenml.utils.uuid_utils import is_valid_uuid

from zenml_vertex.errors import StackError
from zenml_vertex.flavor import FLAVOR_NAME
from zenml_vertex.foreign_text import clean_line, shell_word
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
                f"The step operator `{clean_line(model.name)}` is of flavor "
                f"`{clean_line(model.flavor_name)}`, and not `{FLAVOR_NAME}`. {_describe_choice()}"
            )
        component = StackComponent.from_model(model)
    if not isinstance(component, VertexStepOperator):
        raise StackError(
            f"The step operator `{clean_line(model.name)}` is run by ZenML's built-in flavor here, "
            "or another package's. `zenml-vertex flavor status` shows why, and what to do."
        )
    return component


def _find_named(name: str) -> "ComponentResponse":
    client = Client()
    try:
        return client.get_stack_component(_TYPE, name)
    except ZenKeyError as error:
        # ZenML finds by the beginning of a name or of an ID, too.
        found = [*_iter_beginning_with(name)]
        listed = " and ".join([", ".join(found[:-1]), found[-1]] if found[1:] else found)
        raise StackError(
            f"`{name}` is the beginning of more than one step operator's name or ID: {listed}. "
            "Name one of them in full."
        ) from error
    except KeyError as error:
        raise StackError(
            f"There is no step operator `{name}`. `zenml step-operator list` shows them."
        ) from error


def _iter_beginning_with(text: str) -> Iterator[str]:
    """The step operators whose name or ID begins with a text, for people."""
    client = Client()
    pages = (
        client.list_stack_components(type=_TYPE, name=f"startswith:{text}"),
        client.list_stack_components(type=_TYPE, id=f"startswith:{text}"),
    )
    found = {model.name: str(model.id) for page in pages for model in page.items}
    for name, component_id in sorted(found.items()):
        shown = f"`{clean_line(name)}`"
        yield shown if name.startswith(text) else f"{shown} ({component_id})"


def _find_active() -> "ComponentResponse":
    stack = _read_active_stack()
    found = stack.components.get(_TYPE)
    if not found:
        raise StackError(
            f"The active stack `{clean_line(stack.name)}` has no step operator. "
            f"{_describe_choice()}"
        )
    # Where a stack has several, the first is ZenML's default.
    return found[0]


def _read_active_stack() -> "StackResponse":
    client = Client()
    stack_id = os.environ.get(ENV_ZENML_ACTIVE_STACK_ID)
    if stack_id and not is_valid_uuid(stack_id):
        raise _refuse_stack_id(stack_id)
    try:
        return client.active_stack_model
    except KeyError as error:
        # What ZenML raises for a stack that does not exist.
        if stack_id:
            raise _refuse_stack_id(stack_id) from error
        raise StackError(
            "There is no active stack. `zenml stack list` shows the stacks, and `zenml stack set "
            "default` makes one of them the active one."
        ) from error


def _refuse_stack_id(stack_id: str) -> StackError:
    return StackError(
        f"{ENV_ZENML_ACTIVE_STACK_ID} is `{stack_id}`, which is not the ID of a stack. `zenml "
        "stack list` shows the IDs; without the variable, `zenml stack set default` makes a stack "
        "the active one."
    )


def _describe_choice() -> str:
    """What to run, by the step operators that exist."""
    page = Client().list_stack_components(type=_TYPE, flavor=FLAVOR_NAME)
    if not page.items:
        return (
            "Register one and add it to the stack: "
            f"`zenml step-operator register vertex --flavor={FLAVOR_NAME} --region=europe-west4`, "
            "then `zenml stack update -s vertex`."
        )
    names = ", ".join(f"`{clean_line(model.name)}`" for model in page.items)
    name = shell_word(page.items[0].name, page.items[0].id)
    return (
        f"Those of flavor `{FLAVOR_NAME}`: {names}. Add "
        f"`--step-operator {name}` to this command, or run "
        f"`zenml stack update -s {name}`."
    )
