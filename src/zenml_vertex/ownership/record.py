"""The ZenML server's record of the flavor `vertex`: who owns it, and changing that.

A server keeps one record for each flavor. Its source says where every client loads
the flavor from, and its schema what the server lets a component be registered with,
unless the record is a custom flavor's. A record is changed in place, which is safe
while components use the flavor; deleting it is refused then.

Every migration of the server's database writes the built-in records anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from pydantic import ValidationError
from requests.exceptions import RequestException
from zenml.client import Client
from zenml.enums import StackComponentType
from zenml.exceptions import AuthorizationException, CredentialsNotValid, IllegalOperationError
from zenml.models import ComponentResponse, FlavorFilter, FlavorRequest, FlavorUpdate
from zenml.utils.pagination_utils import depaginate

from zenml_vertex.builtin_flavor import BUILTIN_SOURCE, describe_builtin, load_builtin_flavor
from zenml_vertex.errors import FlavorOwnershipError
from zenml_vertex.flavor import FLAVOR_NAME, VertexStepOperatorFlavor
from zenml_vertex.foreign_text import clean_line, clean_sentence, presentable
from zenml_vertex.steps.server import describe_refusal, describe_server

OUR_SOURCE = f"{VertexStepOperatorFlavor.__module__}.{VertexStepOperatorFlavor.__name__}"


class Owner(Enum):
    """Whose flavor a record names."""

    ZENML_VERTEX = "zenml-vertex"
    BUILTIN = "ZenML's built-in flavor"
    OTHER = "another custom flavor"
    NONE = "nobody: there is no record"


@dataclass(frozen=True, slots=True)
class FlavorRecord:
    """What the server says of the flavor.

    Args:
        id: ID of the record; None where there is none.
        owner: Whose flavor it is.
        source: Where clients load it from.
        is_custom: Whether the server takes it for a user's own flavor, whose
            package it need not have.
        has_our_schema: Whether its schema is that of this version.
    """

    id: UUID | None
    owner: Owner
    source: str
    is_custom: bool
    has_our_schema: bool

    @property
    def is_installed(self) -> bool:
        """Whether it is what `install_record` writes."""
        return self.owner is Owner.ZENML_VERTEX and self.is_custom and self.has_our_schema

    @property
    def is_unasked(self) -> bool:
        """Whether an earlier version of this package has made ZenML write it for its own."""
        return self.owner is Owner.ZENML_VERTEX and not self.is_custom


def read_record() -> FlavorRecord:
    """The record as it is now.

    Raises:
        FlavorOwnershipError: If the server cannot be reached or does not let us read.
    """
    with _server_errors("read"):
        wanted = FlavorFilter(name=FLAVOR_NAME, type=StackComponentType.STEP_OPERATOR.value)
        found = Client().zen_store.list_flavors(wanted, hydrate=True).items
    if not found:
        return FlavorRecord(None, Owner.NONE, "", is_custom=False, has_our_schema=False)
    flavor = found[0]
    owner = {OUR_SOURCE: Owner.ZENML_VERTEX, BUILTIN_SOURCE: Owner.BUILTIN}.get(
        flavor.source, Owner.OTHER
    )
    return FlavorRecord(
        flavor.id,
        owner,
        clean_line(flavor.source),
        is_custom=flavor.is_custom,
        has_our_schema=flavor.config_schema == VertexStepOperatorFlavor().config_schema,
    )


def install_record() -> bool:
    """Make the server's record name this package; returns whether anything changed.

    Raises:
        FlavorOwnershipError: If the server refuses, or another package owns the name.
    """
    record = read_record()
    if record.owner is Owner.OTHER:
        raise FlavorOwnershipError(
            f"The flavor `{FLAVOR_NAME}` of {describe_server()} is loaded from `{record.source}`, "
            "which belongs neither to ZenML nor to zenml-vertex. Run `zenml-vertex flavor restore` "
            "to give the name back to ZenML, then `zenml-vertex flavor install` again."
        )
    if record.is_installed:
        return False
    _write(record.id, VertexStepOperatorFlavor().to_model("custom", is_custom=True))
    return True


def restore_record() -> bool:
    """Give the server's record back to ZenML's built-in flavor; returns whether anything changed.

    Raises:
        FlavorOwnershipError: If the server refuses.
    """
    record = read_record()
    if record.owner is Owner.BUILTIN:
        return False
    _write(record.id, describe_builtin())
    return True


def list_components() -> list[ComponentResponse]:
    """The step operators of the flavor.

    Raises:
        FlavorOwnershipError: If the server cannot be reached or does not let us read.
    """
    with _server_errors("read"):
        return depaginate(
            Client().list_stack_components,
            type=StackComponentType.STEP_OPERATOR.value,
            flavor=FLAVOR_NAME,
            hydrate=True,
        )


def find_own_settings(component: ComponentResponse) -> list[str]:
    """The settings of a step operator that ZenML's built-in one has not, or cannot read.

    Args:
        component: The step operator.
    """
    config_class = load_builtin_flavor().config_class
    configuration = component.configuration
    found = set(configuration) - set(config_class.model_fields)
    try:
        config_class(**configuration)
    except ValidationError as error:
        found |= {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}
    return sorted(found)


def _write(record_id: UUID | None, request: FlavorRequest) -> None:
    with _server_errors("change"):
        store = Client().zen_store
        if record_id is None:
            store.create_flavor(request)
        else:
            # As ZenML writes its own.
            store.update_flavor(record_id, FlavorUpdate.model_validate(dict(request)))


@contextmanager
def _server_errors(verb: str) -> Iterator[None]:
    """Turn what ZenML's client raises into an error that says what to do.

    Args:
        verb: What was to be done with the record.
    """
    try:
        yield
    except CredentialsNotValid as error:
        raise FlavorOwnershipError(describe_refusal(error)) from presentable(error)
    except (IllegalOperationError, AuthorizationException) as error:
        raise FlavorOwnershipError(
            f"You are not allowed to {verb} the flavor `{FLAVOR_NAME}` on {describe_server()}: "
            f"{clean_sentence(str(error))} Ask an administrator of the server to run the same "
            "command; `zenml status` shows who you are."
        ) from presentable(error)
    except (RequestException, RuntimeError) as error:
        # ZenML's REST store wraps the first of its requests in a RuntimeError.
        reason = error if isinstance(error, RequestException) else error.__cause__
        if not isinstance(reason, RequestException):
            raise
        raise FlavorOwnershipError(describe_refusal(error)) from presentable(error)
