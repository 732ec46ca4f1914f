"""The parts of a job that no runtime here can run. Pure."""

from vertex_emulator.core.errors import Json

WHERE = "job_spec.worker_pool_specs"


def find_unserved_pools(job_spec: Json) -> list[str]:
    """What is more than the container of one replica, each with a reason.

    Args:
        job_spec: The CustomJobSpec.
    """
    pools = job_spec["workerPoolSpecs"]
    unserved = []
    if any(pool for pool in pools[1:]):
        unserved.append(f"{WHERE}: only the first worker pool can be run")
    if "pythonPackageSpec" in pools[0]:
        unserved.append(f"{WHERE}[0].python_package_spec: only containers can be run")
    return unserved
