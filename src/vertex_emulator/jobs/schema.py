"""The messages of a CustomJob as data: every field, its type and who sets it.

Vertex API reference, `CustomJob` and the messages below it, v1 and v1beta1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Scalar = Literal["string", "bool", "int32", "int64", "duration", "output"]
"""`output` is a field that the service sets; a request may carry it and it is dropped."""


@dataclass(frozen=True, slots=True, eq=False)
class Enum:
    """An enum of the API; equal to itself only.

    Args:
        name: Its full name.
        numbers: Name of a member -> its number.
    """

    name: str
    numbers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message.

    Args:
        type: A scalar, an enum, a message, or `map` for a map from text to text.
        repeated: Whether it is a list.
        oneof: Name of the oneof it belongs to.
        beta_only: Whether v1 does not have it.
    """

    type: "Scalar | Literal['map', 'accelerator'] | Enum | Message"
    repeated: bool = False
    oneof: str | None = None
    beta_only: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A message of the API; equal to itself only.

    Args:
        fields: Name in lowerCamelCase -> field, in the order of the reference.
    """

    fields: Mapping[str, Field] = field(default_factory=dict)


_PACKAGE = "google.cloud.aiplatform.v1"
_STRING = Field("string")
_STRINGS = Field("string", repeated=True)
_BOOL = Field("bool")
_INT32 = Field("int32")
_OUTPUT = Field("output")

STRATEGY = Enum(
    f"{_PACKAGE}.Scheduling.Strategy",
    {
        "STRATEGY_UNSPECIFIED": 0,
        "ON_DEMAND": 1,
        "LOW_COST": 2,
        "STANDARD": 3,
        "SPOT": 4,
        "FLEX_START": 6,
    },
)
RESERVATION_TYPE = Enum(
    f"{_PACKAGE}.ReservationAffinity.Type",
    {"TYPE_UNSPECIFIED": 0, "NO_RESERVATION": 1, "ANY_RESERVATION": 2, "SPECIFIC_RESERVATION": 3},
)
ACCELERATOR_TYPE_NAME = f"{_PACKAGE}.AcceleratorType"

ENV_VAR = Message({"name": _STRING, "value": _STRING})
CONTAINER_SPEC = Message(
    {
        "imageUri": _STRING,
        "command": _STRINGS,
        "args": _STRINGS,
        "env": Field(ENV_VAR, repeated=True),
    }
)
PYTHON_PACKAGE_SPEC = Message(
    {
        "executorImageUri": _STRING,
        "packageUris": _STRINGS,
        "pythonModule": _STRING,
        "args": _STRINGS,
        "env": Field(ENV_VAR, repeated=True),
    }
)
RESERVATION_AFFINITY = Message(
    {"reservationAffinityType": Field(RESERVATION_TYPE), "key": _STRING, "values": _STRINGS}
)
MACHINE_SPEC = Message(
    {
        "machineType": _STRING,
        "acceleratorType": Field("accelerator"),
        "acceleratorCount": _INT32,
        "gpuPartitionSize": _STRING,
        "tpuTopology": _STRING,
        "multihostGpuNodeCount": Field("int32", beta_only=True),
        "reservationAffinity": Field(RESERVATION_AFFINITY),
        "minGpuDriverVersion": Field("string", beta_only=True),
    }
)
NFS_MOUNT = Message({"server": _STRING, "path": _STRING, "mountPoint": _STRING})
LUSTRE_MOUNT = Message(
    {"instanceIp": _STRING, "volumeHandle": _STRING, "filesystem": _STRING, "mountPoint": _STRING}
)
DISK_SPEC = Message({"bootDiskType": _STRING, "bootDiskSizeGb": _INT32})
WORKER_POOL_SPEC = Message(
    {
        "containerSpec": Field(CONTAINER_SPEC, oneof="task"),
        "pythonPackageSpec": Field(PYTHON_PACKAGE_SPEC, oneof="task"),
        "machineSpec": Field(MACHINE_SPEC),
        "replicaCount": Field("int64"),
        "nfsMounts": Field(NFS_MOUNT, repeated=True),
        "lustreMounts": Field(LUSTRE_MOUNT, repeated=True),
        "diskSpec": Field(DISK_SPEC),
    }
)
SCHEDULING = Message(
    {
        "timeout": Field("duration"),
        "restartJobOnWorkerRestart": _BOOL,
        "strategy": Field(STRATEGY),
        "disableRetries": _BOOL,
        "maxWaitDuration": Field("duration"),
    }
)
DNS_PEERING_CONFIG = Message(
    {"domain": _STRING, "targetProject": _STRING, "targetNetwork": _STRING}
)
PSC_INTERFACE_CONFIG = Message(
    {
        "networkAttachment": _STRING,
        "dnsPeeringConfigs": Field(DNS_PEERING_CONFIG, repeated=True),
    }
)
CUSTOM_JOB_SPEC = Message(
    {
        "persistentResourceId": _STRING,
        "workerPoolSpecs": Field(WORKER_POOL_SPEC, repeated=True),
        "scheduling": Field(SCHEDULING),
        "serviceAccount": _STRING,
        "network": _STRING,
        "reservedIpRanges": _STRINGS,
        "pscInterfaceConfig": Field(PSC_INTERFACE_CONFIG),
        "baseOutputDirectory": Field(Message({"outputUriPrefix": _STRING})),
        "protectedArtifactLocationId": _STRING,
        "tensorboard": _STRING,
        "enableWebAccess": _BOOL,
        "enableDashboardAccess": _BOOL,
        "experiment": _STRING,
        "experimentRun": _STRING,
        "models": _STRINGS,
    }
)
CUSTOM_JOB = Message(
    {
        "name": _OUTPUT,
        "displayName": _STRING,
        "jobSpec": Field(CUSTOM_JOB_SPEC),
        "state": _OUTPUT,
        "createTime": _OUTPUT,
        "startTime": _OUTPUT,
        "endTime": _OUTPUT,
        "updateTime": _OUTPUT,
        "error": _OUTPUT,
        "labels": Field("map"),
        "encryptionSpec": Field(Message({"kmsKeyName": _STRING})),
        "webAccessUris": _OUTPUT,
        "satisfiesPzs": _OUTPUT,
        "satisfiesPzi": _OUTPUT,
    }
)
