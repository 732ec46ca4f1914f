"""What a user can set: the settings of a step, and the config of the component.

Every field of the component can be overridden by a step. The fields and their
defaults are a superset of those of ZenML's built-in `vertex` step operator, so
that its components and pipelines work unchanged; `disk_type` and `disk_size_gb`
are the spelling of ZenML's own page on it. The others are named as the arguments of
Google's Python SDK.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field
from zenml.step_operators.base_step_operator import BaseStepOperatorConfig

from zenml_vertex.job.readers import (
    Reader,
    UnreadableValue,
    read_boolean,
    read_integer,
    read_string,
)
from zenml_vertex.reading import CheckedSettings

ClientExit = Literal["cancel", "detach"]
EnvironmentSecrets = Literal["inline", "secret-manager"]
ResourceMatch = Literal["exact", "adopt"]
Duration = int | float | str | timedelta

_DURATION_FORMS = (
    "As seconds (3600, `3600s`), in units (`90m`, `2h30m`, `1d`) or in ISO 8601 (`PT1H30M`)."
)
# 68 years. A number of thousands of digits could not be written into a job.
_MAX_SECONDS = 2**31 - 1


def _read_client_exit(value: Any) -> str | None:
    if value not in get_args(ClientExit):
        raise UnreadableValue("must be `cancel` or `detach`")
    return str(value)


def _read_environment_secrets(value: Any) -> str | None:
    if value not in get_args(EnvironmentSecrets):
        raise UnreadableValue("must be `inline` or `secret-manager`")
    return str(value)


def _read_resource_match(value: Any) -> str | None:
    if value not in get_args(ResourceMatch):
        raise UnreadableValue("must be `exact` or `adopt`")
    return str(value)


def _read_seconds(value: Any) -> int | None:
    seconds = read_integer(value)
    if seconds is not None and seconds < 0:
        raise UnreadableValue(f"must be 0 to {_MAX_SECONDS}")
    return seconds


class VertexStepOperatorSettings(CheckedSettings):
    """How one step runs on Vertex AI.

    Pass it as `settings={"step_operator": VertexStepOperatorSettings(...)}`, or
    write the same names under `settings: step_operator:` in the pipeline's YAML.
    What is not set comes from the component, else from the defaults here.

    Raises:
        ConfigurationError: For an unknown name (with the nearest right one), and
            for a value that can never work.
    """

    readers: ClassVar[Mapping[str, Reader]] = {
        "on_client_exit": _read_client_exit,
        "lingering_seconds": _read_seconds,
        "server_outage_seconds": _read_seconds,
        "environment_secrets": _read_environment_secrets,
        "persistent_resource_match": _read_resource_match,
        "persistent_resource_fallback": read_boolean,
        "project": read_string,
        "service_account_path": read_string,
    }

    machine_type: str = Field(
        default="n1-standard-4",
        description="Machine type of the job, e.g. `n1-standard-8` or `a2-highgpu-1g`. See "
        "https://cloud.google.com/vertex-ai/docs/training/configure-compute#machine-types. Where "
        "it is not set, the step's ResourceSettings and accelerator choose it.",
    )
    accelerator_type: str | None = Field(
        default=None,
        description="Accelerator, e.g. `NVIDIA_TESLA_T4`; other usual spellings of it (`T4`, "
        "`nvidia-t4`) are understood. `A100` has 40 GB, `A100-80GB` 80. Needs "
        "`accelerator_count`, or `gpu_count` in the step's ResourceSettings; that of a "
        "machine which has one built in is filled in.",
    )
    accelerator_count: int = Field(
        default=0,
        description="Number of accelerators; 0 is none. Overridden by `gpu_count` in the step's "
        "ResourceSettings, where 0 turns the accelerator off.",
    )
    gpu_partition_size: str | None = Field(
        default=None,
        description="Part of a GPU (MIG) that the job gets, e.g. `1g.10gb`; `accelerator_count` "
        "is 1 then.",
    )
    tpu_topology: str | None = Field(
        default=None,
        description="Topology of the TPUs, e.g. `2x2`, for TPU machine types from v5e on.",
    )
    reservation_affinity_type: str | None = Field(
        default=None,
        description="Which Compute Engine reservations the machine may come from: "
        "`NO_RESERVATION`, `ANY_RESERVATION` or `SPECIFIC_RESERVATION`.",
    )
    reservation_affinity_key: str | None = Field(
        default=None,
        description="With `SPECIFIC_RESERVATION`: `compute.googleapis.com/reservation-name`.",
    )
    reservation_affinity_values: str | list[str] | None = Field(
        default=None,
        description="With `SPECIFIC_RESERVATION`: the reservations, as "
        "`projects/P/zones/ZONE/reservations/NAME`.",
    )
    persistent_resource_id: str | None = Field(
        default=None,
        description="ID of the persistent resource to run on.",
    )
    persistent_resource_match: ResourceMatch = Field(
        default="exact",
        description="What happens where the job differs from its persistent resource in machine, "
        "accelerator, disk, network or key: with `exact` the step fails before its job is created, "
        "and the error names every difference; with `adopt` the job takes over what the resource "
        "has.",
    )
    persistent_resource_fallback: bool = Field(
        default=False,
        description="Run the job on a machine of its own if the persistent resource does not "
        "exist, is not RUNNING or has no free replica.",
    )
    boot_disk_type: str = Field(
        default="pd-ssd",
        description="Type of the boot disk: `pd-ssd`, `pd-standard` or `hyperdisk-balanced`, which "
        "is the default on `a3-ultragpu-8g` and `a4-highgpu-8g`.",
    )
    boot_disk_size_gb: int = Field(
        default=100,
        description="Size of the boot disk in GB, 100 to 64000.",
    )
    disk_type: str | None = Field(
        default=None,
        description="Another spelling of `boot_disk_type`.",
    )
    disk_size_gb: int | None = Field(
        default=None,
        description="Another spelling of `boot_disk_size_gb`.",
    )
    timeout: Duration | None = Field(
        default=None,
        description="How long the job may run; Vertex AI ends it then. " + _DURATION_FORMS + " "
        "Default: 7 days.",
    )
    scheduling_strategy: str | None = Field(
        default=None,
        description="How Vertex AI finds a machine: `STANDARD`, `SPOT` or `FLEX_START`. Default: "
        "`STANDARD`.",
    )
    strategy: str | None = Field(
        default=None,
        description="Another spelling of `scheduling_strategy`.",
    )
    max_wait_duration: Duration | None = Field(
        default=None,
        description="With `FLEX_START`: how long the job may wait for its machine, written as "
        "`timeout` is; 0 is for ever. Default: 24 hours.",
    )
    restart_job_on_worker_restart: bool = Field(
        default=False,
        description="Restart the whole job when its machine is restarted.",
    )
    disable_retries: bool | None = Field(
        default=None,
        description="Turn off Vertex AI's own restarts of the job after an internal error. A "
        "restart runs the step's code from its beginning. Default: turned off, unless "
        "`restart_job_on_worker_restart` is on. After a stockout or a preemption Vertex AI may "
        "restart the job all the same.",
    )
    network: str | None = Field(
        default=None,
        description="VPC network to peer the job with: "
        "`projects/{project number}/global/networks/{name}`.",
    )
    reserved_ip_ranges: str | list[str] | None = Field(
        default=None,
        description="Names of reserved IP ranges of that network: one name, a comma-separated "
        "list, or a (JSON) list.",
    )
    psc_interface_config: dict[str, Any] | None = Field(
        default=None,
        description="Private Service Connect interface, instead of `network`: an object with "
        "`network_attachment` (`projects/P/regions/REGION/networkAttachments/NAME`) and, for DNS "
        "peering, `dns_peering_configs`, a list of objects with `domain`, `target_project` and "
        "`target_network`.",
    )
    service_account: str | None = Field(
        default=None,
        description="E-mail address of the service account that the job runs as. The identity "
        "that submits the job needs `iam.serviceAccounts.actAs` on it. Default: the Vertex AI "
        "Custom Code Service Agent.",
    )
    service_account_path: str | None = Field(
        default=None,
        description="Path of a service account key file to submit jobs with. Default: a linked "
        "service connector, Application Default Credentials, or the gcloud login.",
    )
    project: str | None = Field(
        default=None,
        description="Google Cloud project ID. Default: the project of the credentials.",
    )
    region: str | None = Field(
        default=None,
        description="Region that the job runs in, e.g. `europe-west4`.",
    )
    api_endpoint: str | None = Field(
        default=None,
        description="Address of the Vertex AI API: a host, or a URL such as "
        "`http://127.0.0.1:8085` for an emulator. Default: the environment variable "
        "AIPLATFORM_EMULATOR_HOST if it is set, else the endpoint of the region. A host that is "
        "not Google's must be in ZENML_VERTEX_ALLOWED_HOSTS where the pipeline is started.",
    )
    encryption_spec_key_name: str | None = Field(
        default=None,
        description="Customer-managed encryption key for what the job creates: "
        "`projects/P/locations/REGION/keyRings/R/cryptoKeys/K`, in the job's region.",
    )
    base_output_dir: str | None = Field(
        default=None,
        description="Folder in Cloud Storage, `gs://BUCKET/FOLDER`, whose subfolders for models, "
        "checkpoints and TensorBoard logs the container has in AIP_MODEL_DIR, AIP_CHECKPOINT_DIR "
        "and AIP_TENSORBOARD_LOG_DIR.",
    )
    base_output_directory: str | None = Field(
        default=None,
        description="Another spelling of `base_output_dir`.",
    )
    nfs_mounts: list[dict[str, Any]] | None = Field(
        default=None,
        description="NFS shares: objects with `server` (an IP address), `path` and "
        "`mount_point`; a share is in `/mnt/nfs/MOUNT_POINT`.",
    )
    lustre_mounts: list[dict[str, Any]] | None = Field(
        default=None,
        description="Managed Lustre instances: objects with `instance_ip`, `volume_handle`, "
        "`filesystem` and `mount_point`; an instance is in `/mnt/lustre/MOUNT_POINT`.",
    )
    models: str | list[str] | None = Field(
        default=None,
        description="Models of the Model Registry that the step uses: "
        "`projects/P/locations/REGION/models/ID`, `@VERSION` after it or not.",
    )
    protected_artifact_location_id: str | None = Field(
        default=None,
        description="Location of protected artifacts, where it is not the job's.",
    )
    display_name: str | None = Field(
        default=None,
        description="Name of the job, at most 128 characters. Default: the names of the run and "
        "the step.",
    )
    labels: dict[str, Any] | None = Field(
        default=None,
        description="Labels of the job, besides its own, which they cannot replace. A step's are "
        "added to the component's.",
    )
    tensorboard: str | None = Field(
        default=None,
        description="TensorBoard instance that the job's logs are uploaded to: "
        "`projects/P/locations/REGION/tensorboards/ID`. Needs `service_account` and "
        "`base_output_dir`.",
    )
    experiment: str | None = Field(
        default=None,
        description="Vertex AI experiment that the job belongs to: "
        "`projects/P/locations/REGION/metadataStores/default/contexts/NAME`.",
    )
    experiment_run: str | None = Field(
        default=None,
        description="Run of the experiment: "
        "`projects/P/locations/REGION/metadataStores/default/contexts/NAME-RUN`.",
    )
    enable_web_access: bool | None = Field(
        default=None,
        description="Let people open a shell in the running container; its image needs `bash`.",
    )
    enable_dashboard_access: bool | None = Field(
        default=None,
        description="Let people open a dashboard that the container serves.",
    )
    on_client_exit: ClientExit = Field(
        default="cancel",
        description="What Ctrl-C, SIGTERM, SIGHUP or SIGQUIT does to a step's job while a static "
        "pipeline waits for it, and what a second Ctrl-C does in a dynamic one: `cancel` the "
        "job, or `detach` and let it run.",
    )
    lingering_seconds: int = Field(
        default=300,
        ge=0,
        le=_MAX_SECONDS,
        description="How long a job may keep running after its step has finished, in seconds, "
        "0 or more. A container that hangs is stopped after that.",
    )
    server_outage_seconds: int = Field(
        default=1800,
        ge=0,
        le=_MAX_SECONDS,
        description="How long a step waits in its container for a ZenML server that does not "
        "respond, in seconds, 0 or more, before it fails and its result is lost. The job runs "
        "meanwhile.",
    )
    environment_secrets: EnvironmentSecrets = Field(
        default="inline",
        description="Where the step's environment variables are, among them the token with which "
        "it reports to the ZenML server: `inline` in the job, for everybody who may read jobs, or "
        "in a secret of its own in Secret Manager with `secret-manager`, which needs a "
        "`service_account` that may read it.",
    )
    # Its `env` may hold secrets.
    additional_training_job_args: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="Further arguments under the names of Google Cloud Pipeline Components' "
        "`create_custom_training_job_from_component`; they override the settings of the same "
        "meaning, and `gpu_count`.",
    )
    custom_job_overrides: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="Any part of the CustomJob as the API's JSON, merged into the request last.",
    )


class VertexStepOperatorConfig(BaseStepOperatorConfig, VertexStepOperatorSettings):
    """What `zenml step-operator register NAME --flavor=vertex` takes.

    The component's values are the defaults of every step that runs on it.
    """

    # ZenML refuses unknown keys at registration itself. A component that is
    # already registered must load, whatever an older version left in it.
    model_config = ConfigDict(extra="ignore")

    region: str = Field(description="Region that jobs run in, e.g. `europe-west4`.")

    @classmethod
    def _describe_wrong(cls, name: str, value: Any, cited: str, reason: str) -> str:
        """Say how a component gets the region that it must have."""
        if name == "region" and value is None:
            return "`region` is not set. Add, for example, --region=europe-west4 to the command."
        return super()._describe_wrong(name, value, cited, reason)

    @property
    def is_remote(self) -> bool:
        """Whether the component runs code remotely, and so needs a ZenML server it can reach."""
        return True
