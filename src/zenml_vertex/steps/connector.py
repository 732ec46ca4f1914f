"""ZenML's GCP service connector, as a source of credentials."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zenml.exceptions import RunInterruptedException, RunStoppedException
from zenml.stack import StackComponent

from zenml_vertex.cloud.credentials import ConnectorAccess
from zenml_vertex.errors import CredentialsError
from zenml_vertex.foreign_text import clean_line, clean_sentence, presentable
from zenml_vertex.installation import install_command

if TYPE_CHECKING:
    from zenml.service_connectors.service_connector import ServiceConnector

# ZenML adds ` (RESOURCE TYPE | RESOURCE client)` to the name it was given.
_CLIENT_SUFFIX = re.compile(r" \([^()]* client\)$")


def access_connector(component: StackComponent) -> ConnectorAccess:
    """Access the connector that a component is linked to.

    Raises:
        CredentialsError: If the connector cannot be used.
    """
    connector = _get_connector(component)
    config = getattr(connector, "config", None)
    name = connector.name or str(component.connector)
    return ConnectorAccess(
        name=clean_line(_CLIENT_SUFFIX.sub("", name)),
        project=getattr(config, "gcp_project_id", ""),
        fetch=lambda: _fetch(component),
        account=clean_line(getattr(config, "service_account_email", None) or ""),
    )


def _get_connector(component: StackComponent) -> "ServiceConnector":
    with _zenml_errors(component.name):
        connector = component.get_connector()
    if connector is None:
        raise CredentialsError(
            f"`{clean_line(component.name)}` is not linked to a service connector."
        )
    return connector


def _fetch(component: StackComponent) -> object:
    connector = _get_connector(component)
    with _zenml_errors(component.name):
        return connector.connect()


@contextmanager
def _zenml_errors(component_name: str) -> Iterator[None]:
    """Turn what ZenML raises for a connector into an error that names the component."""
    component_name = clean_line(component_name)
    try:
        yield
    except (RunInterruptedException, RunStoppedException):
        # ZenML's handler of SIGTERM raises them, at any point of the program.
        raise
    except ImportError as error:
        raise CredentialsError(
            f"The service connector of `{component_name}` needs a package that is not installed "
            f"({error.name}). Run `{install_command('connectors')}`."
        ) from error
    except Exception as error:  # noqa: BLE001 - connectors raise what they like
        raise CredentialsError(
            f"The service connector of `{component_name}` returned no credentials: "
            f"{clean_sentence(str(error))} `zenml service-connector verify CONNECTOR` checks it."
        ) from presentable(error)
