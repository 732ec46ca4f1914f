"""Persistent resources for the jobs of a stack."""

from typing import Any

import requests

Pool = tuple[dict[str, Any], dict[str, Any]]


def make_resource(
    url: str,
    parent: str,
    resource_id: str,
    *pools: Pool,
    network: str = "",
    key: str = "",
    has_custom_account: bool = True,
) -> None:
    """Create a persistent resource, and wait for it.

    Args:
        url: Address of the emulator.
        parent: Project and region.
        resource_id: Its ID.
        pools: The machine and the disk of each pool, which has one replica.
        network: Name of its network; empty for none.
        key: Name of its key; empty for none.
        has_custom_account: Whether its jobs name a service account.
    """
    account = {"enableCustomServiceAccount": has_custom_account}
    body = {
        "resourcePools": [
            {"machineSpec": machine, "diskSpec": disk, "replicaCount": "1"}
            for machine, disk in pools
        ],
        "network": network,
        "encryptionSpec": {"kmsKeyName": key},
        "resourceRuntimeSpec": {"serviceAccountSpec": account},
    }
    address = f"{url}/v1/{parent}/persistentResources?persistentResourceId={resource_id}"
    answer = requests.post(address, json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    waited = requests.post(f"{url}/v1/{answer.json()['name']}:wait", timeout=60)
    assert waited.json()["done"] is True, waited.text
