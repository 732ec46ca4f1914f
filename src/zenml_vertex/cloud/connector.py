"""ZenML's GCP service connector, as a source of credentials."""

from zenml.stack import StackComponent

from zenml_vertex.cloud.credentials import ConnectorAccess
from zenml_vertex.errors import CredentialsError


def access_connector(component: StackComponent) -> ConnectorAccess:
    """Get at the connector that a component is linked with.

    Raises:
        CredentialsError: If the connector cannot be used.
    """

    def fetch() -> object:
        connector = component.get_connector()
        if connector is None:
            raise CredentialsError(f"`{component.name}` is not linked to a service connector.")
        return connector.connect()

    try:
        connector = component.get_connector()
    except ImportError as error:
        raise CredentialsError(
            f"The service connector of `{component.name}` needs a package that is not installed "
            f"({error.name}). Run `pip install 'zenml-vertex[connectors]'`."
        ) from error
    except RuntimeError as error:
        raise CredentialsError(
            f"The service connector of `{component.name}` gives no credentials: {error} "
            "`zenml service-connector verify CONNECTOR` checks it."
        ) from error
    project = getattr(getattr(connector, "config", None), "gcp_project_id", "")
    name = getattr(connector, "name", "") or str(component.connector)
    return ConnectorAccess(name=name, project=project, fetch=fetch)
