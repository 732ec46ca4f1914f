"""The flavor `vertex`: what ZenML reads to list, register and load the step operator."""

from typing import TYPE_CHECKING

from zenml.config.source import Source
from zenml.models import FlavorRequest, ServiceConnectorRequirements
from zenml.step_operators.base_step_operator import BaseStepOperatorFlavor

from zenml_vertex.builtin_flavor import describe_builtin
from zenml_vertex.cloud import ignore_support_warnings
from zenml_vertex.config import VertexStepOperatorConfig

if TYPE_CHECKING:
    from zenml_vertex.steps.operator import VertexStepOperator

FLAVOR_NAME = "vertex"

# ZenML's flavors are imported all at once, before the artifact store of any of them, which
# is the first to import Google's packages.
ignore_support_warnings()


class VertexStepOperatorFlavor(BaseStepOperatorFlavor):
    """Runs steps as Vertex AI CustomJobs; has the name of ZenML's built-in flavor."""

    # ZenML takes a package that is installed from a checkout for the user's own code,
    # and looks for it below the user's source root; a notebook has none.
    __zenml_source__ = Source.from_import_path(f"{__module__}.VertexStepOperatorFlavor")

    @property
    def name(self) -> str:
        """Name of the flavor."""
        return FLAVOR_NAME

    @property
    def display_name(self) -> str:
        """Name that ZenML's dashboard shows."""
        return "Vertex AI"

    @property
    def service_connector_requirements(self) -> ServiceConnectorRequirements | None:
        """Which service connectors fit: any that yields generic Google Cloud credentials."""
        return ServiceConnectorRequirements(resource_type="gcp-generic")

    @property
    def docs_url(self) -> str | None:
        """ZenML's page on the flavor; every command on it works with this one."""
        return self.generate_default_docs_url()

    @property
    def logo_url(self) -> str:
        """Logo that ZenML's dashboard shows."""
        return (
            "https://public-flavor-logos.s3.eu-central-1.amazonaws.com/step_operator/vertexai.png"
        )

    @property
    def config_class(self) -> type[VertexStepOperatorConfig]:
        """Config of a component of this flavor."""
        return VertexStepOperatorConfig

    @property
    def implementation_class(self) -> "type[VertexStepOperator]":
        """The step operator itself."""
        from zenml_vertex.steps.operator import VertexStepOperator

        return VertexStepOperator

    def to_model(self, integration: str | None = None, is_custom: bool = True) -> FlavorRequest:
        """The record of the flavor in ZenML's database.

        ZenML asks for one that is not custom when it creates or migrates a database, and
        writes it for all who use that. The record stays ZenML's own, so that nobody
        needs this package unless a person has run `zenml-vertex flavor install`.

        Args:
            integration: The integration that the flavor belongs to.
            is_custom: Whether a user registers the flavor.
        """
        if is_custom:
            return super().to_model(integration, is_custom)
        return describe_builtin()
