"""The request: what steps ask for -> a PersistentResource that their jobs fit. Pure."""

from dataclasses import dataclass
from typing import Any

from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.request import build_custom_job
from zenml_vertex.resources.resource import ResourceJson

# Help of `gcloud ai persistent-resources create`.
MAX_REPLICAS = 1000


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many machines a resource has: a number, or from a least to a most number."""

    number: int | None = None
    least: int | None = None
    most: int | None = None

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigurationError: Says what to write instead.
        """
        numbers = (self.number, self.least, self.most)
        if any(one is not None and not 1 <= one <= MAX_REPLICAS for one in numbers):
            raise ConfigurationError([f"A number of replicas is from 1 to {MAX_REPLICAS}."])
        if (self.least is None) != (self.most is None):
            raise ConfigurationError(
                ["A pool that scales has both a least and a most number of replicas: set both."]
            )
        if self.least is not None and self.most is not None:
            if self.least >= self.most:
                raise ConfigurationError(
                    [
                        f"The least number of replicas is {self.least} and the most {self.most}: "
                        "the most must be more."
                    ]
                )
            if self.number is not None and not self.least <= self.number <= self.most:
                raise ConfigurationError(
                    [f"{self.number} replicas are not from {self.least} to {self.most}."]
                )


def build_resource(job: JobFields, replicas: Replicas) -> ResourceJson:
    """A resource with one pool, whose machines, network and key are those of a job.

    The parts are taken from the job itself, so that they match by construction. A reservation is
    left out: jobs on a persistent resource have none.

    Args:
        job: What the steps ask for.
        replicas: How many machines.

    Raises:
        ConfigurationError: If the job or the numbers cannot work.
    """
    replicas.check()
    built = build_custom_job(job, display_name="", image="", command=(), environment={}, labels={})
    spec: dict[str, Any] = built["jobSpec"]
    worker: dict[str, Any] = spec["workerPoolSpecs"][0]
    machine = {k: v for k, v in worker.get("machineSpec", {}).items() if k != "reservationAffinity"}
    pool: dict[str, Any] = {"machineSpec": machine}
    if disk := worker.get("diskSpec"):
        pool["diskSpec"] = disk
    if replicas.least is not None:
        pool["autoscalingSpec"] = {
            "minReplicaCount": str(replicas.least),
            "maxReplicaCount": str(replicas.most),
        }
    if replicas.number is not None or replicas.least is None:
        pool["replicaCount"] = str(replicas.number or 1)
    resource: ResourceJson = {"resourcePools": [pool]}
    for key in ("network", "reservedIpRanges", "pscInterfaceConfig"):
        if key in spec:
            resource[key] = spec[key]
    if "encryptionSpec" in built:
        resource["encryptionSpec"] = built["encryptionSpec"]
    if job.labels:
        resource["labels"] = dict(job.labels)
    account = {"enableCustomServiceAccount": bool(job.service_account)}
    resource["resourceRuntimeSpec"] = {"serviceAccountSpec": account}
    return resource
