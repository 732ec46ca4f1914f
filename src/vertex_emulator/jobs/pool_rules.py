"""The rules for worker pools: machines, disks, mounts and containers. Pure.

https://cloud.google.com/vertex-ai/docs/training/configure-compute and the Vertex
API reference, `WorkerPoolSpec`.
"""

import re
from collections.abc import Iterator
from typing import Any

from vertex_emulator.core.errors import Json, Violation
from vertex_emulator.core.machine_facts import load_facts
from vertex_emulator.core.proto_json import snake_case

# Vertex API reference, ContainerSpec.env and PythonPackageSpec.packageUris.
MAX_ENV = 100
MAX_PACKAGES = 100

REQUIRED = "Required field is not set."
# prefect-gcp #175
BOTH_OR_NONE_MESSAGE = (
    "Both `accelerator_type` and `accelerator_count` should be specified or none."
)
# Seen on another resource of the same API.
UNIQUE_ENV_MESSAGE = "EnvVar names must be unique."

_C_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_POOLS = "job_spec.worker_pool_specs"
_MOUNT_FIELDS = {
    "nfsMounts": ("server", "path", "mountPoint"),
    "lustreMounts": ("instanceIp", "volumeHandle", "filesystem", "mountPoint"),
}


def find_pool_violations(spec: Json) -> Iterator[Violation]:
    """Everything that is wrong with the worker pools of a job.

    Args:
        spec: The CustomJobSpec.
    """
    pools: list[Json] = spec.get("workerPoolSpecs", [])
    if not pools:
        yield Violation(_POOLS, REQUIRED)
        return
    if int(pools[0].get("replicaCount", 1)) != 1:
        yield Violation(f"{_POOLS}[0].replica_count", "The first worker pool has one replica.")
    for index, pool in enumerate(pools):
        # A later pool can be empty, so that those after it keep their role.
        if pool or index == 0:
            yield from _check_pool(pool, f"{_POOLS}[{index}]", spec)
    yield from _check_together([pool for pool in pools if pool], spec)


def _check_together(pools: list[Json], spec: Json) -> Iterator[Violation]:
    """What holds for all pools of a job that are not empty."""
    machines = [pool.get("machineSpec", {}) for pool in pools]
    replicas = sum(int(pool.get("replicaCount", 1)) for pool in pools)
    tpus = load_facts()["tpu_machine_types"]
    # https://cloud.google.com/vertex-ai/docs/training/training-with-tpu-vm
    if replicas > 1 and any(machine.get("machineType") in tpus for machine in machines):
        yield Violation(_POOLS, "With a TPU there is one worker pool, with one replica.")
    # https://cloud.google.com/vertex-ai/docs/training/schedule-jobs-dws
    is_flex_start = spec.get("scheduling", {}).get("strategy") == "FLEX_START"
    if is_flex_start and any(machine != machines[0] for machine in machines):
        yield Violation(_POOLS, "With FLEX_START all worker pools have the same machines.")


def _check_pool(pool: Json, where: str, spec: Json) -> Iterator[Violation]:
    if int(pool.get("replicaCount", 1)) < 0:
        yield Violation(f"{where}.replica_count", "The number must not be negative.")
    if "containerSpec" in pool:
        at = f"{where}.container_spec"
        yield from _require(pool["containerSpec"], at, "imageUri")
        yield from _check_env(pool["containerSpec"], at)
    elif "pythonPackageSpec" in pool:
        package = pool["pythonPackageSpec"]
        at = f"{where}.python_package_spec"
        yield from _require(package, at, "executorImageUri", "packageUris", "pythonModule")
        if len(package.get("packageUris", ())) > MAX_PACKAGES:
            yield Violation(f"{at}.package_uris", f"There can be at most {MAX_PACKAGES} packages.")
        yield from _check_env(package, at)
    else:
        yield Violation(
            where, "One of `container_spec` and `python_package_spec` must be specified."
        )
    yield from check_machine(pool.get("machineSpec", {}), f"{where}.machine_spec", spec)
    yield from check_disk(pool.get("diskSpec", {}), f"{where}.disk_spec")
    yield from _check_mounts(pool, where)


def _require(message: Json, where: str, *names: str) -> Iterator[Violation]:
    for name in names:
        if not message.get(name):
            yield Violation(f"{where}.{snake_case(name)}", REQUIRED)


def _check_env(message: Json, where: str) -> Iterator[Violation]:
    env: list[Json] = message.get("env", [])
    names = [variable.get("name", "") for variable in env]
    if len(env) > MAX_ENV:
        yield Violation(f"{where}.env", f"There can be at most {MAX_ENV} environment variables.")
    for index, name in enumerate(names):
        if not _C_IDENTIFIER.fullmatch(name):
            yield Violation(f"{where}.env[{index}].name", "The name must be a C identifier.")
    if len(set(names)) != len(names):
        yield Violation(f"{where}.env", UNIQUE_ENV_MESSAGE)


def check_machine(
    machine: Json, where: str, spec: Json, network_at: str = "job_spec.network"
) -> Iterator[Violation]:
    """Everything that is wrong with a MachineSpec.

    Args:
        machine: The MachineSpec.
        where: Path of it.
        spec: What it is for: `network` and `scheduling` count.
        network_at: Path of the network there.
    """
    facts = load_facts()
    name = machine.get("machineType", "")
    accelerator = machine.get("acceleratorType")
    count = machine.get("acceleratorCount", 0)
    known: Json | None = facts["machine_types"].get(name)
    tpu: Json | None = facts["tpu_machine_types"].get(name)
    if not name:
        yield Violation(f"{where}.machine_type", REQUIRED)
    elif known is None and tpu is None and name not in facts["machine_types_named_elsewhere"]:
        # https://cloud.google.com/vertex-ai/docs/general/troubleshooting
        yield Violation(f"{where}.machine_type", f'Machine type "{name}" is not supported.')
    if (accelerator is None) != (count == 0):
        yield Violation(f"{where}.accelerator_type", BOTH_OR_NONE_MESSAGE)
    elif known is not None:
        yield from _check_accelerator(name, known, accelerator, count, where)
    elif tpu is not None:
        yield from _check_tpu(name, tpu, machine, where)
    strategy = spec.get("scheduling", {}).get("strategy")
    yield from _check_reservation(machine, where, strategy)
    if strategy == "FLEX_START" and known is not None and not known.get("dws_flex_start"):
        yield Violation(
            f"{where}.machine_type", f'Machine type "{name}" does not support FLEX_START.'
        )
    if spec.get("network") and known is not None and not known.get("vpc_peering", True):
        yield Violation(
            network_at,
            f'Machine type "{name}" does not support VPC peering; use `psc_interface_config`.',
        )


def _check_accelerator(
    name: str, known: Json, accelerator: Any, count: int, where: str
) -> Iterator[Violation]:
    fitting: dict[str, list[int]] = known["accelerators"]
    if accelerator is None:
        if known["accelerator_required"]:
            yield Violation(
                f"{where}.accelerator_type",
                f'Machine type "{name}" must be given with its accelerator.',
            )
    elif accelerator not in fitting:
        # terraform-provider-google #18907
        yield Violation(
            f"{where}.accelerator_type",
            f'Accelerator "{accelerator}" is not supported for machine type "{name}".',
        )
    elif count not in fitting[accelerator]:
        yield Violation(
            f"{where}.accelerator_count",
            f'{count} of accelerator "{accelerator}" are not supported for machine type "{name}".',
        )


def _check_tpu(name: str, tpu: Json, machine: Json, where: str) -> Iterator[Violation]:
    accelerator = machine.get("acceleratorType")
    topology = machine.get("tpuTopology")
    if tpu["selector"] == "accelerator":
        if accelerator not in tpu["accelerators"]:
            yield Violation(
                f"{where}.accelerator_type",
                f'Accelerator "{accelerator}" is not supported for machine type "{name}".',
            )
    elif topology not in tpu["topologies"]:
        yield Violation(
            f"{where}.tpu_topology",
            f'TPU topology "{topology or ""}" is not supported for machine type "{name}".',
        )


def _check_reservation(machine: Json, where: str, strategy: Any) -> Iterator[Violation]:
    affinity = machine.get("reservationAffinity")
    if affinity is None:
        return
    at = f"{where}.reservation_affinity"
    kind = affinity.get("reservationAffinityType")
    if kind is None:
        yield Violation(f"{at}.reservation_affinity_type", REQUIRED)
    if kind == "SPECIFIC_RESERVATION":
        yield from _require(affinity, at, "key", "values")
    if strategy == "FLEX_START":
        yield Violation(at, "FLEX_START cannot be used with a reservation affinity.")


def check_disk(disk: Json, where: str) -> Iterator[Violation]:
    """Everything that is wrong with a DiskSpec."""
    documented = load_facts()["boot_disk"]
    kind = disk.get("bootDiskType")
    if kind is not None and kind not in documented["types"]:
        yield Violation(f"{where}.boot_disk_type", f'Boot disk type "{kind}" is not supported.')
    size = disk.get("bootDiskSizeGb")
    least, most = documented["size_gb"]["min"], documented["size_gb"]["max"]
    if size is not None and not least <= size <= most:
        yield Violation(
            f"{where}.boot_disk_size_gb", f"The size must be between {least} and {most} GB."
        )


def _check_mounts(pool: Json, where: str) -> Iterator[Violation]:
    for field, required in _MOUNT_FIELDS.items():
        for index, mount in enumerate(pool.get(field, ())):
            at = f"{where}.{snake_case(field)}[{index}]"
            yield from _require(mount, at, *required)
            path = mount.get("path", "/")
            if not path.startswith("/"):
                yield Violation(f"{at}.path", "The path must start with `/`.")
