"""The fields of a job, one row each, and what a step asks for in them.

`JobFields` is both. As a class it is the table: each row is a field's name in the
settings, its type, how it is read and where it stands in the CustomJob. Everything else
that speaks of fields is made from the table: the request, the names that
`additional_training_job_args` takes, the settings' other spellings, the reference page.
As an object it is what one step asks for, after everything that has a say in it; the
rules, the advice, the container's environment and the request all read it.

A new field is a row here, a `Field` in `config.py` and an example in
`docs/reference/generate_settings.py`.

Fields are named as the arguments of Google's Python SDK
(https://cloud.google.com/python/docs/reference/aiplatform/latest/google.cloud.aiplatform.CustomJob).
Paths are those of the CustomJob reference
(https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs),
arguments those of Google Cloud Pipeline Components'
`create_custom_training_job_from_component`
(https://google-cloud-pipeline-components.readthedocs.io/en/google-cloud-pipeline-components-2.22.0/api/v1/custom_job.html).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_type_hints

from zenml_vertex.job import messages, readers
from zenml_vertex.job.readers import (
    SECRET,
    UnreadableValue,
    read_boolean,
    read_duration,
    read_enum,
    read_integer,
    read_names,
    read_string,
    show_value,
)

ADDITIONAL_ARGS = "additional_training_job_args"
OVERRIDES = "custom_job_overrides"
GPU_COUNT = "gpu_count"

SPEC = "jobSpec"
POOL = f"{SPEC}.workerPoolSpecs[0]"
CONTAINER = f"{POOL}.containerSpec"
_MACHINE = f"{POOL}.machineSpec"
_RESERVATION = f"{_MACHINE}.reservationAffinity"
_DISK = f"{POOL}.diskSpec"
_SCHEDULING = f"{SPEC}.scheduling"

_PATH_PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    read: readers.Reader
    # In the CustomJob; empty for what is not set there as it is.
    path: str = ""
    # Whether `additional_training_job_args` take it,
    is_argument: bool = True
    # and by which name in Google Cloud Pipeline Components, if by another than the field's.
    argument: str = ""
    # Further names that the settings take for it.
    spellings: tuple[str, ...] = ()
    # Whether its value may be a secret, and is shown nowhere.
    is_secret: bool = False
    # How the API's JSON spells its value, if not as Python's does.
    write: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class JobFields:
    """What a step asks for; None is unset, see `readers`."""

    # Where the job runs: part of the address that it is sent to.
    region: Annotated[str | None, Row(read_string, is_argument=False)] = None
    api_endpoint: Annotated[str | None, Row(read_string, is_argument=False)] = None

    display_name: Annotated[str | None, Row(read_string, "displayName")] = None
    # Added to the job's own labels, which it is found by and which replace them.
    labels: Annotated[dict[str, str] | None, Row(readers.read_labels, "labels")] = None
    # Added to the step's environment variables, whose values may be secrets.
    env: Annotated[dict[str, str] | None, Row(readers.read_environment, is_secret=True)] = None

    machine_type: Annotated[str | None, Row(read_string, f"{_MACHINE}.machineType")] = None
    accelerator_type: Annotated[
        str | None, Row(readers.read_accelerator_type, f"{_MACHINE}.acceleratorType")
    ] = None
    accelerator_count: Annotated[
        int | None, Row(readers.read_accelerator_count, f"{_MACHINE}.acceleratorCount")
    ] = None
    gpu_partition_size: Annotated[str | None, Row(read_string, f"{_MACHINE}.gpuPartitionSize")] = (
        None
    )
    tpu_topology: Annotated[str | None, Row(read_string, f"{_MACHINE}.tpuTopology")] = None
    reservation_affinity_type: Annotated[
        str | None, Row(read_enum, f"{_RESERVATION}.reservationAffinityType")
    ] = None
    reservation_affinity_key: Annotated[str | None, Row(read_string, f"{_RESERVATION}.key")] = None
    reservation_affinity_values: Annotated[
        list[str] | None, Row(read_names, f"{_RESERVATION}.values")
    ] = None
    # The API's JSON spells 64-bit integers as strings.
    replica_count: Annotated[
        int, Row(readers.read_replica_count, f"{POOL}.replicaCount", write=str)
    ] = 1
    persistent_resource_id: Annotated[
        str | None, Row(read_string, f"{SPEC}.persistentResourceId")
    ] = None

    boot_disk_type: Annotated[
        str | None, Row(read_string, f"{_DISK}.bootDiskType", spellings=("disk_type",))
    ] = None
    boot_disk_size_gb: Annotated[
        int | None, Row(read_integer, f"{_DISK}.bootDiskSizeGb", spellings=("disk_size_gb",))
    ] = None
    nfs_mounts: Annotated[
        list[dict[str, Any]] | None, Row(messages.read_nfs_mounts, f"{POOL}.nfsMounts")
    ] = None
    lustre_mounts: Annotated[
        list[dict[str, Any]] | None, Row(messages.read_lustre_mounts, f"{POOL}.lustreMounts")
    ] = None
    base_output_dir: Annotated[
        str | None,
        Row(
            read_string,
            f"{SPEC}.baseOutputDirectory.outputUriPrefix",
            argument="base_output_directory",
            spellings=("base_output_directory",),
        ),
    ] = None
    models: Annotated[list[str] | None, Row(read_names, f"{SPEC}.models")] = None
    encryption_spec_key_name: Annotated[
        str | None, Row(read_string, "encryptionSpec.kmsKeyName")
    ] = None
    protected_artifact_location_id: Annotated[
        str | None, Row(read_string, f"{SPEC}.protectedArtifactLocationId")
    ] = None

    network: Annotated[str | None, Row(read_string, f"{SPEC}.network")] = None
    reserved_ip_ranges: Annotated[list[str] | None, Row(read_names, f"{SPEC}.reservedIpRanges")] = (
        None
    )
    psc_interface_config: Annotated[
        dict[str, Any] | None, Row(messages.read_psc_interface_config, f"{SPEC}.pscInterfaceConfig")
    ] = None

    service_account: Annotated[str | None, Row(read_string, f"{SPEC}.serviceAccount")] = None
    tensorboard: Annotated[str | None, Row(read_string, f"{SPEC}.tensorboard")] = None
    experiment: Annotated[str | None, Row(read_string, f"{SPEC}.experiment")] = None
    experiment_run: Annotated[str | None, Row(read_string, f"{SPEC}.experimentRun")] = None
    enable_web_access: Annotated[bool | None, Row(read_boolean, f"{SPEC}.enableWebAccess")] = None
    enable_dashboard_access: Annotated[
        bool | None, Row(read_boolean, f"{SPEC}.enableDashboardAccess")
    ] = None

    timeout: Annotated[str | None, Row(read_duration, f"{_SCHEDULING}.timeout")] = None
    scheduling_strategy: Annotated[
        str | None,
        Row(read_enum, f"{_SCHEDULING}.strategy", argument="strategy", spellings=("strategy",)),
    ] = None
    max_wait_duration: Annotated[
        str | None, Row(read_duration, f"{_SCHEDULING}.maxWaitDuration")
    ] = None
    restart_job_on_worker_restart: Annotated[
        bool | None, Row(read_boolean, f"{_SCHEDULING}.restartJobOnWorkerRestart")
    ] = None
    # Where nothing sets it, the opposite of `restart_job_on_worker_restart`: Vertex AI's own
    # restarts run a step's code again, so only those that are asked for.
    disable_retries: Annotated[bool | None, Row(read_boolean, f"{_SCHEDULING}.disableRetries")] = (
        None
    )

    # What else the request gets, and what of it only Google's client may know; see `overrides`.
    overrides: Mapping[str, Any] = field(default_factory=dict)
    unlisted: Mapping[str, messages.Unlisted] = field(default_factory=dict)
    # The rest is not fields of the job, but what messages need:
    # name of a field -> what has set it, unless that is a setting of its own;
    sources: Mapping[str, str] = field(default_factory=dict)
    # name of a field -> how it was spelt there, unless as here;
    spelt: Mapping[str, str] = field(default_factory=dict)
    # name of a setting or an argument that does not exist or cannot be read -> a sentence that
    # says so; it counts as unset;
    unreadable: Mapping[str, str] = field(default_factory=dict)
    # names of the fields whose values ZenML has looked up in a secret;
    secrets: frozenset[str] = frozenset()
    # names of the fields that nothing has set, so that they have the default of the setting.
    defaults: frozenset[str] = frozenset()

    @property
    def has_nvidia_gpu(self) -> bool:
        """Whether the job has an accelerator of NVIDIA's; a TPU is not one."""
        return bool(self.accelerator_count) and (self.accelerator_type or "").startswith("NVIDIA_")

    @property
    def is_accelerator_off(self) -> bool:
        """Whether a count that overrides the setting has turned the accelerator off."""
        return self.accelerator_count is None and "accelerator_count" in self.sources

    def spell(self, name: str) -> str:
        """How a person who has set a field spells its name."""
        return self.spelt.get(name, name)

    def cite(self, name: str) -> str:
        """How a message names a field, see `cite_field`."""
        return cite_field(name, self.sources, self.spelt)

    def is_secret(self, name: str) -> bool:
        """Whether a field's value is a secret, so that no message has any part of it."""
        return ROWS[name].is_secret or name in self.secrets

    def show(self, name: str) -> str:
        """A field's value as a message shows it: short, on one line, and no secret."""
        return SECRET if self.is_secret(name) else show_value(getattr(self, name))

    def state(self, name: str) -> str:
        """How a message says which value a field has."""
        return f"{self.cite(name)} is {self.show(name)}"

    def __repr__(self) -> str:
        values = {name: getattr(self, name) for name in ROWS}
        shown = (f"{name}={self.show(name)}" for name in ROWS if values[name] is not None)
        return f"JobFields({', '.join(shown)})"


ROWS: Mapping[str, Row] = {
    name: row
    for name, hint in get_type_hints(JobFields, include_extras=True).items()
    for row in getattr(hint, "__metadata__", ())
}
"""The table, by the names of the fields."""

ARGUMENTS: Mapping[str, str] = {
    argument: name
    for name, row in ROWS.items()
    if row.is_argument
    for argument in dict.fromkeys((row.argument or name, name, *row.spellings))
}
"""Name in `additional_training_job_args` -> name of the field; Google's names come first."""

SPELLINGS: Mapping[str, str] = {
    spelling: name for name, row in ROWS.items() for spelling in row.spellings
}
"""Further name of a setting -> name of the field."""


def split_path(path: str) -> list[int | str]:
    """The names and indices of a path such as `jobSpec.workerPoolSpecs[0].machineSpec`."""
    return [int(index) if index else name for index, name in _PATH_PART.findall(path)]


def cite_field(name: str, sources: Mapping[str, str], spelt: Mapping[str, str]) -> str:
    """How a message names a field, so that a person finds where it was set.

    Args:
        name: Name of the field.
        sources: Name of a field -> what has set it, unless that is a setting of its own.
        spelt: Name of a field -> how it was spelt there, unless as here.
    """
    source = sources.get(name)
    if source == GPU_COUNT:
        return "`gpu_count` of ResourceSettings"
    shown = show_value(spelt.get(name, name))
    return f"{shown} in `{source}`" if source else shown


def describe_unreadable(cited: str, reason: UnreadableValue, shown: str | None) -> str:
    """Say what is wrong with a value that cannot be read.

    Args:
        cited: The setting or argument, as a message names it.
        reason: What its reader says.
        shown: The value as a message shows it; None where it is not shown.
    """
    return f"{cited} is {shown}, and {reason}." if shown else f"{cited} {reason}."
