"""A connection to Vertex AI: who acts, where, and the jobs there."""

import logging
import os
from dataclasses import dataclass

from zenml_vertex.cloud.credentials import (
    ConnectorAccess,
    Identity,
    find_universe,
    resolve_identity,
)
from zenml_vertex.cloud.endpoint import check_host, choose_endpoint, has_console
from zenml_vertex.cloud.jobs import VertexJobs
from zenml_vertex.cloud.logs import VertexLogs
from zenml_vertex.cloud.persistent_resources import VertexPersistentResources
from zenml_vertex.cloud.secrets import SecretManager

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything that is needed to create and follow jobs in one project and region."""

    # Who acts, and in which project.
    identity: Identity
    jobs: VertexJobs
    logs: VertexLogs
    secrets: SecretManager
    persistent_resources: VertexPersistentResources
    region: str
    # Whether Google's console shows the jobs.
    has_console: bool = True

    @property
    def parent(self) -> str:
        """The project and region, as the API names them."""
        return f"projects/{self.identity.project}/locations/{self.region}"


def connect(
    *,
    region: str,
    project: str | None,
    key_file: str | None,
    api_endpoint: str | None,
    connector: ConnectorAccess | None,
) -> Connection:
    """Connect to Vertex AI, and log in one line who acts.

    Raises:
        CredentialsError: If there is no identity, or no project.
        ConfigurationError: If the endpoint cannot be used, or must not get access tokens.
    """
    endpoint = choose_endpoint(region=region, api_endpoint=api_endpoint, environ=os.environ)
    identity = resolve_identity(
        project=project,
        key_file=key_file,
        connector=connector,
        is_emulator=endpoint.is_emulator,
    )
    check_host(endpoint, lambda: find_universe(identity.credentials), os.environ)
    logger.info(
        "Vertex AI: acting as %s in project `%s`, region `%s` (%s).",
        identity.description,
        identity.project,
        region,
        endpoint.shown,
    )
    return Connection(
        identity=identity,
        jobs=VertexJobs(identity, endpoint),
        logs=VertexLogs(identity, endpoint),
        secrets=SecretManager(identity, endpoint),
        persistent_resources=VertexPersistentResources(identity, endpoint),
        region=region,
        has_console=has_console(endpoint, lambda: find_universe(identity.credentials)),
    )
