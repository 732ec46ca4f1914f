"""What a user can set: the settings of a step, and the config of the component.

Every field of the component can be overridden by a step. The fields and their
defaults are a superset of those of ZenML's built-in `vertex` step operator, so
that its components and pipelines work unchanged; `disk_type` and `disk_size_gb`
are the spelling of ZenML's own page on it.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import ConfigDict, Field, model_validator
from zenml.config.base_settings import BaseSettings
from zenml.step_operators.base_step_operator import BaseStepOperatorConfig
from zenml.utils.secret_utils import is_secret_reference

from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.fields import ADDITIONAL_ARGS, ROWS, SPELLINGS, JobFields, resolve_fields
from zenml_vertex.job.machines import nearest
from zenml_vertex.job.readers import UnreadableValue
from zenml_vertex.job.rules import check_values

ClientExit = Literal["cancel", "detach"]

# 68 years. A number of thousands of digits could not be written into a job.
_MAX_LINGERING_SECONDS = 2**31 - 1


class VertexStepOperatorSettings(BaseSettings):
    """How one step runs on Vertex AI.

    Pass it as `settings={"step_operator": VertexStepOperatorSettings(...)}`, or
    write the same names under `settings: step_operator:` in the pipeline's YAML.
    What is not set comes from the component, else from the defaults here.

    Raises:
        ConfigurationError: For an unknown name (with the nearest right one), and
            for a value that can never work.
    """

    # pydantic's own errors show what was written, and that may be a secret.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    machine_type: str = Field(
        default="n1-standard-4",
        description="Machine type of the job, e.g. `n1-standard-8` or `a2-highgpu-1g`. See "
        "https://cloud.google.com/vertex-ai/docs/training/configure-compute#machine-types.",
    )
    accelerator_type: str | None = Field(
        default=None,
        description="Accelerator, e.g. `NVIDIA_TESLA_T4`; other usual spellings of it (`T4`, "
        "`nvidia-t4`) are understood. `A100` has 40 GB, `A100-80GB` 80. Needs "
        "`accelerator_count`, or `gpu_count` in the step's ResourceSettings.",
    )
    accelerator_count: int = Field(
        default=0,
        description="Number of accelerators; 0 is none. Overridden by `gpu_count` in the step's "
        "ResourceSettings, where 0 turns the accelerator off.",
    )
    boot_disk_type: str = Field(
        default="pd-ssd",
        description="Type of the boot disk: `pd-ssd`, `pd-standard` or `hyperdisk-balanced`.",
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
    service_account: str | None = Field(
        default=None,
        description="E-mail address of the service account that the job runs as. The identity "
        "that submits the job needs `iam.serviceAccounts.actAs` on it. Default: the Vertex AI "
        "Custom Code Service Agent.",
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
    encryption_spec_key_name: str | None = Field(
        default=None,
        description="Customer-managed encryption key for what the job creates: "
        "`projects/P/locations/REGION/keyRings/R/cryptoKeys/K`, in the job's region.",
    )
    persistent_resource_id: str | None = Field(
        default=None,
        description="ID of the persistent resource to run on.",
    )
    disable_retries: bool | None = Field(
        default=None,
        description="Turn off Vertex AI's own restarts of the job after an internal error. A "
        "restart runs the step's code from its beginning. Default: turned off, unless "
        "`restart_job_on_worker_restart` is on. After a stockout or a preemption Vertex AI may "
        "restart the job all the same.",
    )
    restart_job_on_worker_restart: bool = Field(
        default=False,
        description="Restart the whole job when its machine is restarted.",
    )
    on_client_exit: ClientExit = Field(
        default="cancel",
        description="What Ctrl-C or SIGTERM does to a step's job while a static pipeline waits "
        "for it: `cancel` the job, or `detach` and let it run.",
    )
    lingering_seconds: int = Field(
        default=300,
        description="How long a job may keep running after its step has finished, in seconds, "
        "0 or more. A container that hangs is stopped after that.",
    )
    # Its `env` may hold secrets.
    additional_training_job_args: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="Further arguments under the names of Google Cloud Pipeline Components' "
        "`create_custom_training_job_from_component`; they override the settings of the same "
        "meaning, and `gpu_count`.",
    )
    project: str | None = Field(
        default=None,
        description="Google Cloud project ID. Default: the project of the credentials.",
    )
    region: str | None = Field(
        default=None,
        description="Region that the job runs in, e.g. `europe-west4`.",
    )
    service_account_path: str | None = Field(
        default=None,
        description="Path of a service account key file to submit jobs with. Default: a linked "
        "service connector, Application Default Credentials, or the gcloud login.",
    )
    api_endpoint: str | None = Field(
        default=None,
        description="Address of the Vertex AI API: a host, or a URL such as "
        "`http://127.0.0.1:8085` for an emulator. Default: the environment variable "
        "AIPLATFORM_EMULATOR_HOST if it is set, else the endpoint of the region.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_names(cls, data: Any) -> Any:
        """Accept the other spellings, and refuse an unknown name."""
        if not isinstance(data, Mapping):
            return data
        values = dict(data)
        client_exit = values.get("on_client_exit")
        if client_exit not in (None, *get_args(ClientExit)):
            # pydantic's own error would lose its reason on the way through ZenML.
            raise ConfigurationError(
                [f"`on_client_exit` is `{client_exit}`. Write `cancel` or `detach`."]
            )
        unknown = [name for name in values if name not in cls.model_fields]
        if unknown and cls.model_config.get("extra") == "forbid":
            raise ConfigurationError(_describe_unknown(name, cls.model_fields) for name in unknown)
        for spelling, field in SPELLINGS.items():
            value = values.pop(spelling, None)
            if value in (None, ""):
                continue
            if values.get(field) not in (None, "") and not _is_same(field, values[field], value):
                problem = (
                    f"`{spelling}` ({value}) and `{field}` ({values[field]}) are two "
                    f"spellings of one setting and differ. Keep `{field}`."
                )
                raise ConfigurationError([problem])
            values[field] = value
        return values

    @model_validator(mode="after")
    def _check(self) -> "VertexStepOperatorSettings":
        """Refuse values that are wrong whatever the other settings are.

        A `{{secret.key}}` is looked up when it is read, so it is not read here. Nor are the
        additional arguments: a component that is already registered must load with them.
        """
        known = {
            name: None if is_secret_reference(value) else value
            for name, value in self.__dict__.items()
            if name != ADDITIONAL_ARGS
        }
        check_values(resolve_fields(known))
        if not 0 <= self.lingering_seconds <= _MAX_LINGERING_SECONDS:
            raise ConfigurationError(
                [f"`lingering_seconds` is out of range. Write 0 to {_MAX_LINGERING_SECONDS}."]
            )
        return self

    def to_job_fields(self, *, gpu_count: int | None = None) -> JobFields:
        """What a job with these settings asks for; looks up secret references.

        Args:
            gpu_count: `gpu_count` of the step's ResourceSettings; None where it is not set.
        """
        names = [name for name in type(self).model_fields if name in ROWS]
        settings = {name: getattr(self, name) for name in (*names, ADDITIONAL_ARGS)}
        return resolve_fields(settings, gpu_count=gpu_count)


class VertexStepOperatorConfig(BaseStepOperatorConfig, VertexStepOperatorSettings):
    """What `zenml step-operator register NAME --flavor=vertex` takes.

    The component's values are the defaults of every step that runs on it.
    """

    # ZenML refuses unknown keys at registration itself. A component that is
    # already registered must load, whatever an older version left in it.
    model_config = ConfigDict(extra="ignore")

    region: str = Field(description="Region that jobs run in, e.g. `europe-west4`.")

    @model_validator(mode="before")
    @classmethod
    def _require_region(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("region") is None:
            raise ConfigurationError(
                ["`region` is not set. Add, for example, --region=europe-west4 to the command."]
            )
        return data

    @property
    def is_remote(self) -> bool:
        """Whether the component runs code remotely, and so needs a ZenML server it can reach."""
        return True


def _is_same(field: str, value: Any, other: Any) -> bool:
    """Whether two values of a field are the same once they are read."""
    read = ROWS[field].read
    try:
        return bool(read(value) == read(other))
    except UnreadableValue:
        return bool(value == other)


def _describe_unknown(name: str, known: Mapping[str, Any]) -> str:
    """Say that a setting does not exist, and which one was probably meant."""
    if close := nearest(name, known):
        return f"there is no setting `{name}`. Did you mean `{close}`?"
    return f"there is no setting `{name}`. The settings are: {', '.join(sorted(known))}."
