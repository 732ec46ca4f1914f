"""Persistent resources for the jobs of a stack."""

from typing import Any

import requests

Pool = tuple[dict[str, Any], dict[str, Any]]


def make_resource(
    url: str, parent: str, resource_id: str, *pools: Pool, network: str, key: str
) -> None:
    """Create a persistent resource whose jobs name a service account, and wait for it.

    Args:
        url: Address of the emulator.
        parent: Project and region.
        resource_id: Its ID.
        pools: The machine and the disk of each pool, which has one replica.
        network: Name of its network.
        key: Name of its key.
    """
    body = {
        "resourcePools": [
            {"machineSpec": machine, "diskSpec": disk, "replicaCount": "1"}
            for machine, disk in pools
        ],
        "network": network,
        "encryptionSpec": {"kmsKeyName": key},
        "resourceRuntimeSpec": {"serviceAccountSpec": {"enableCustomServiceAccount": True}},
    }
    address = f"{url}/v1/{parent}/persistentResources?persistentResourceId={resource_id}"
    answer = requests.post(address, json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    waited = requests.post(f"{url}/v1/{answer.json()['name']}:wait", timeout=60)
    assert waited.json()["done"] is True, waited.text
