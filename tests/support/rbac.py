"""Permissions for the tests' ZenML server, as a paid server has them."""

from zenml.models import UserResponse
from zenml.zen_server.rbac.models import Action, Resource, ResourceType
from zenml.zen_server.rbac.rbac_interface import RBACInterface

PLAIN_USER = "plain-user"


class NoFlavorsForPlainUsers(RBACInterface):
    """Every user may do everything, but a plain user may not change a flavor."""

    def check_permissions(
        self, user: UserResponse, resources: set[Resource], action: Action
    ) -> dict[Resource, bool]:
        return {
            resource: not (
                user.name == PLAIN_USER
                and resource.type == ResourceType.FLAVOR
                and action == Action.UPDATE
            )
            for resource in resources
        }

    def list_allowed_resource_ids(
        self, user: UserResponse, resource: Resource, action: Action
    ) -> tuple[bool, list[str]]:
        del user, resource, action
        return True, []

    def update_resource_membership(
        self,
        sharing_user: UserResponse,
        resource: Resource,
        actions: list[Action],
        user_id: str | None = None,
        team_id: str | None = None,
    ) -> None:
        del sharing_user, resource, actions, user_id, team_id

    def delete_resources(self, resources: list[Resource]) -> None:
        del resources
