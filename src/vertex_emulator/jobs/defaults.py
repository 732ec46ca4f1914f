"""What the service fills in where a client has sent nothing. Pure.

https://cloud.google.com/vertex-ai/docs/training/configure-compute
"""

from vertex_emulator.core.errors import Json
from vertex_emulator.core.machine_facts import load_facts


def fill_defaults(request: Json) -> Json:
    """The CustomJob with one replica, and the default disk."""
    pools = [
        fill_disk({**pool, "replicaCount": pool.get("replicaCount", "1")}) if pool else pool
        for pool in request["jobSpec"]["workerPoolSpecs"]
    ]
    return {**request, "jobSpec": {**request["jobSpec"], "workerPoolSpecs": pools}}


def fill_disk(pool: Json) -> Json:
    """A pool of machines with the default disk, as far as it has none."""
    disk = load_facts()["boot_disk"]
    machine_type = pool.get("machineSpec", {}).get("machineType")
    kind = disk["default_type_exceptions"].get(machine_type, disk["default_type"])
    filled = {"bootDiskType": kind, "bootDiskSizeGb": disk["size_gb"]["default"]}
    return {**pool, "diskSpec": {**filled, **pool.get("diskSpec", {})}}
