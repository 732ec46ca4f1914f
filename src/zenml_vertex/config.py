"""What a user can set: the settings of a step, and the config of the component.

Every field of the component can be overridden by a step. The fields and their
defaults are a superset of those of ZenML's built-in `vertex` step operator, so
that its components and pipelines work unchanged; `disk_type` and `disk_size_gb`
are the spelling of ZenML's own page on it.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import (
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from zenml.config.base_settings import BaseSettings
from zenml.step_operators.base_step_operator import BaseStepOperatorConfig
from zenml.utils.secret_utils import is_secret_reference

from zenml_vertex.job.fields import (
    ADDITIONAL_ARGS,
    ROWS,
    JobFields,
    describe_unreadable,
    resolve_fields,
)
from zenml_vertex.job.readers import (
    Reader,
    UnreadableValue,
    read_integer,
    read_object,
    read_string,
    show_value,
)
from zenml_vertex.job.rules import check_values
from zenml_vertex.job.spellings import describe_unknown_setting, join_spellings

if TYPE_CHECKING:
    from typing_extensions import Self

ClientExit = Literal["cancel", "detach"]
EnvironmentSecrets = Literal["inline", "secret-manager"]

_JSON_CURE = (
    "Write a JSON object in single quotes on the command line, such as "
    """'{"timeout": "3600s"}', and an object without quotes in YAML and in code."""
)
# 68 years. A number of thousands of digits could not be written into a job.
_MAX_SECONDS = 2**31 - 1


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
        "AIPLATFORM_EMULATOR_HOST if it is set, else the endpoint of the region. A host that is "
        "not Google's must be in ZENML_VERTEX_ALLOWED_HOSTS where the pipeline is started.",
    )

    # Name of a setting that is wrong -> what is said of it; the setting has its default.
    _unreadable: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, data: Any, handler: "ModelWrapValidatorHandler[Self]") -> "Self":
        """Read what was written; names and types that are wrong are collected, with reasons."""
        if not isinstance(data, Mapping):
            return handler(data)
        stripped = {
            name: value.strip() if isinstance(value, str) else value for name, value in data.items()
        }
        values, unreadable = join_spellings(stripped)
        for name in [name for name in values if name not in cls.model_fields]:
            del values[name]
            if cls.model_config.get("extra") == "forbid":
                unreadable[name] = describe_unknown_setting(name, cls.model_fields)
        unreadable |= _read_json_texts(values, cls.model_fields)
        while True:
            try:
                settings = handler(values)
            except ValidationError as error:
                # pydantic's own error would lose its reasons on the way through ZenML.
                wrong = {str(detail["loc"][0]): detail["msg"] for detail in error.errors()}
                for name, reason in wrong.items():
                    unreadable[name] = cls._describe_wrong(name, values.get(name), reason)
                    values.pop(name, None)
                    if cls.model_fields[name].is_required():
                        values[name] = ""
            else:
                break
        settings._unreadable.update(unreadable)  # noqa: SLF001 - of this class
        settings._judge()  # noqa: SLF001 - of this class
        return settings

    @classmethod
    def _describe_wrong(cls, name: str, value: Any, reason: str) -> str:
        """Say what is wrong with a value that pydantic does not accept.

        Args:
            name: Name of the setting.
            value: Its value; None where there is none.
            reason: What pydantic says.
        """
        if value is None:
            return f"`{name}` is empty. Write a value, or remove it."
        try:
            (_READERS.get(name) or ROWS[name].read)(value)
        except UnreadableValue as unreadable:
            shown = None if name == ADDITIONAL_ARGS else show_value(value)
            return describe_unreadable(f"`{name}`", unreadable, shown)
        return f"`{name}` cannot be used: {reason}."

    def _judge(self) -> None:
        """Refuse what is wrong whatever the other settings are.

        A `{{secret.key}}` is looked up when it is read, so it is not read here. Nor are the
        additional arguments: a component that is already registered must load with them.
        """
        known = {
            name: None if is_secret_reference(value) else value
            for name, value in self.__dict__.items()
            if name != ADDITIONAL_ARGS and name not in self._unreadable
        }
        check_values(resolve_fields(known, unreadable=self._unreadable))

    def is_secret(self, name: str) -> bool:
        """Whether ZenML looks up a setting's value in a secret."""
        return is_secret_reference(self.__dict__.get(name))

    def to_job_fields(self, *, gpu_count: int | None = None) -> JobFields:
        """What a job with these settings asks for; looks up secret references.

        Args:
            gpu_count: `gpu_count` of the step's ResourceSettings; None where it is not set.
        """
        names = [name for name in type(self).model_fields if name in ROWS]
        settings = {name: getattr(self, name) for name in (*names, ADDITIONAL_ARGS)}
        secrets = (name for name in names if self.is_secret(name))
        return resolve_fields(
            settings,
            gpu_count=gpu_count,
            unreadable=self._unreadable,
            secrets=frozenset(secrets),
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
    def _describe_wrong(cls, name: str, value: Any, reason: str) -> str:
        """Say how a component gets the region that it must have."""
        if name == "region" and value is None:
            return "`region` is not set. Add, for example, --region=europe-west4 to the command."
        return super()._describe_wrong(name, value, reason)

    @property
    def is_remote(self) -> bool:
        """Whether the component runs code remotely, and so needs a ZenML server it can reach."""
        return True


def _find_json_fields(fields: Mapping[str, FieldInfo]) -> set[str]:
    """The settings whose values are objects or lists, and never text."""
    found = set()
    for name, field in fields.items():
        kind = field.annotation
        parts = (kind,) if get_origin(kind) in (dict, list) else get_args(kind)
        if str not in parts and {dict, list} & {get_origin(part) for part in parts}:
            found.add(name)
    return found


def _read_json_texts(values: dict[str, Any], fields: Mapping[str, FieldInfo]) -> dict[str, str]:
    """Read settings that are JSON text, as the command line has them; empty text is unset.

    Args:
        values: Name of a setting -> its value; changed in place.
        fields: The settings.

    Returns:
        Name of a setting whose text is not JSON -> a sentence that says so.
    """
    unreadable = {}
    for name in values.keys() & _find_json_fields(fields):
        if isinstance(text := values[name], str):
            del values[name]
            try:
                if text:
                    values[name] = json.loads(text)
            except (ValueError, RecursionError):
                # ZenML's own error shows the text, which may have secrets.
                unreadable[name] = f"`{name}` is text that is not JSON. {_JSON_CURE}"
    return unreadable


def _read_client_exit(value: Any) -> str | None:
    if value not in get_args(ClientExit):
        raise UnreadableValue("must be `cancel` or `detach`")
    return str(value)


def _read_environment_secrets(value: Any) -> str | None:
    if value not in get_args(EnvironmentSecrets):
        raise UnreadableValue("must be `inline` or `secret-manager`")
    return str(value)


def _read_seconds(value: Any) -> int | None:
    seconds = read_integer(value)
    if seconds is not None and seconds < 0:
        raise UnreadableValue(f"must be 0 to {_MAX_SECONDS}")
    return seconds


# The settings that say nothing of the job, and how they are read.
_READERS: Mapping[str, Reader] = {
    "on_client_exit": _read_client_exit,
    "lingering_seconds": _read_seconds,
    "server_outage_seconds": _read_seconds,
    "environment_secrets": _read_environment_secrets,
    "project": read_string,
    "service_account_path": read_string,
    ADDITIONAL_ARGS: read_object,
}
