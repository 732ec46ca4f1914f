"""The table of fields, and how a step's settings are resolved through it."""

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from zenml_vertex import VertexStepOperatorConfig, VertexStepOperatorSettings
from zenml_vertex.cloud.client_import import CustomJob
from zenml_vertex.job import messages, readers
from zenml_vertex.job.fields import ARGUMENTS, ROWS, SPELLINGS, JobFields
from zenml_vertex.job.readers import read_names
from zenml_vertex.job.resolution import resolve_fields

# Settings of the step operator itself, which are not part of the job.
OPERATOR_SETTINGS = {
    "on_client_exit",
    "lingering_seconds",
    "server_outage_seconds",
    "environment_secrets",
    "persistent_resource_match",
    "persistent_resource_fallback",
    "additional_training_job_args",
    "custom_job_overrides",
    "project",
    "service_account_path",
}
# https://google-cloud-pipeline-components.readthedocs.io/en/google-cloud-pipeline-components-2.22.0/api/v1/custom_job.html
DOCUMENTED_ARGUMENTS = {
    "display_name",
    "machine_type",
    "replica_count",
    "accelerator_type",
    "accelerator_count",
    "boot_disk_type",
    "boot_disk_size_gb",
    "timeout",
    "restart_job_on_worker_restart",
    "service_account",
    "network",
    "encryption_spec_key_name",
    "tensorboard",
    "enable_web_access",
    "reserved_ip_ranges",
    "nfs_mounts",
    "base_output_directory",
    "labels",
    "persistent_resource_id",
    "env",
    "strategy",
    "max_wait_duration",
}

# Nested more deeply than Python follows.
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


def resolve(arguments: dict[str, Any], gpu_count: int | None = None, **settings: Any) -> JobFields:
    """Resolve what a step asks for."""
    asked = VertexStepOperatorSettings(**settings, additional_training_job_args=arguments)
    return asked.to_job_fields(gpu_count=gpu_count)


def test_every_setting_has_a_row_or_belongs_to_the_operator() -> None:
    """No setting is accepted and then ignored: each has a row or concerns the operator itself."""
    settings = set(VertexStepOperatorSettings.model_fields) - OPERATOR_SETTINGS
    assert settings == set(ROWS) & settings | set(SPELLINGS)
    assert set(VertexStepOperatorConfig.model_fields) == set(
        VertexStepOperatorSettings.model_fields
    )


def test_every_documented_argument_is_accepted() -> None:
    """Every argument of Google's pipeline components, to which ZenML's page refers, is accepted."""
    assert set(ARGUMENTS) >= DOCUMENTED_ARGUMENTS


def test_a_path_belongs_to_one_field() -> None:
    """No two rows write to the same place in the request."""
    paths = [row.path for row in ROWS.values() if row.path]
    assert len(paths) == len(set(paths))


# What a reader returns -> type of the field in Google's own messages, and whether it is a list.
GOOGLES_TYPES: dict[readers.Reader, tuple[int, bool]] = {
    readers.read_string: (FieldDescriptor.TYPE_STRING, False),
    readers.read_enum: (FieldDescriptor.TYPE_ENUM, False),
    readers.read_accelerator_type: (FieldDescriptor.TYPE_ENUM, False),
    readers.read_duration: (FieldDescriptor.TYPE_MESSAGE, False),
    readers.read_integer: (FieldDescriptor.TYPE_INT32, False),
    readers.read_accelerator_count: (FieldDescriptor.TYPE_INT32, False),
    readers.read_replica_count: (FieldDescriptor.TYPE_INT64, False),
    readers.read_boolean: (FieldDescriptor.TYPE_BOOL, False),
    readers.read_names: (FieldDescriptor.TYPE_STRING, True),
    messages.read_psc_interface_config: (FieldDescriptor.TYPE_MESSAGE, False),
    messages.read_nfs_mounts: (FieldDescriptor.TYPE_MESSAGE, True),
    messages.read_lustre_mounts: (FieldDescriptor.TYPE_MESSAGE, True),
    readers.read_labels: (FieldDescriptor.TYPE_MESSAGE, True),
}


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.path])
def test_every_path_is_a_field_of_googles_custom_job(name: str) -> None:
    """Each path is a CustomJob field of the type that its reader returns; int64 is a string."""
    row = ROWS[name]
    message, found = CustomJob.pb(CustomJob()).DESCRIPTOR, None
    for part in row.path.replace("[0]", "").split("."):
        (found,) = (field for field in message.fields if field.json_name == part)
        message = found.message_type
    assert found is not None
    assert (found.type, found.is_repeated) == GOOGLES_TYPES[row.read]
    is_duration = message is not None and message.full_name == "google.protobuf.Duration"
    assert is_duration == (row.read is readers.read_duration)
    assert (row.write is str) == (found.type == FieldDescriptor.TYPE_INT64)


@pytest.mark.parametrize(
    ("arguments", "gpu_count", "accelerator"),
    [
        ({}, None, ("NVIDIA_L4", 2)),
        ({}, 1, ("NVIDIA_L4", 1)),
        ({}, 0, (None, None)),
        ({"accelerator_count": 4}, 1, ("NVIDIA_L4", 4)),
        ({"accelerator_count": 4}, 0, ("NVIDIA_L4", 4)),
        ({"accelerator_count": "4"}, None, ("NVIDIA_L4", 4)),
        ({"accelerator_type": "nvidia_tesla_t4"}, None, ("NVIDIA_TESLA_T4", 2)),
        (
            {"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 1},
            0,
            ("NVIDIA_TESLA_T4", 1),
        ),
        ({"accelerator_count": 0}, 1, (None, None)),
        ({"accelerator_count": None}, None, (None, None)),
        ({"accelerator_type": "", "accelerator_count": 0}, None, (None, None)),
        ({"accelerator_type": "NVIDIA_TESLA_T4"}, 0, (None, None)),
        ({"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 0}, 1, (None, None)),
    ],
)
def test_precedence_of_the_accelerator_count(
    arguments: dict[str, Any],
    gpu_count: int | None,
    accelerator: tuple[str | None, int | None],
) -> None:
    """`gpu_count` overrides the settings, an additional argument overrides both, and 0 disables."""
    job = resolve(arguments, gpu_count, accelerator_type="NVIDIA_L4", accelerator_count=2)
    assert (job.accelerator_type, job.accelerator_count) == accelerator


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        *(
            ({name: value}, "must be a duration: seconds, such as 3600 or `3600s`, or `90m`, ")
            for name in ("timeout", "max_wait_duration")
            for value in (
                *("s", "soon", "1h soon", "5 weeks", "1y", "P1M", "PT", "P", "-PT1H", "1:30"),
                *(-1, "-1", True, ["1s"], float("nan"), 10**5000, "9" * 13, "9" * 5000, 1e300),
                *(timedelta(hours=-1), "99999999w"),
            )
        ),
        ({"machine_type": ["n1-standard-4"]}, "must be a string."),
        ({"accelerator_count": "one"}, "must be an integer: digits alone"),
        ({"accelerator_count": True}, "must be an integer: digits alone"),
        ({"accelerator_count": ""}, "must be an integer: digits alone"),
        ({"accelerator_count": 10**5000}, "must be an integer that fits into 32 bits."),
        ({"boot_disk_size_gb": "9" * 5000}, "must be an integer that fits into 32 bits."),
        ({"boot_disk_size_gb": -(2**31)}, "must be an integer that fits into 32 bits."),
        ({"enable_web_access": "maybe"}, "must be true or false."),
        ({"enable_web_access": 2}, "must be true or false."),
        ({"boot_disk_size_gb": True}, "must be an integer: digits alone"),
        ({"boot_disk_size_gb": 200.5}, "must be an integer: digits alone"),
        ({"reserved_ip_ranges": [1]}, "is a list, and must be a list of strings, such as"),
        ({"nfs_mounts": {"server": "s"}}, "is an object, and must be a list of objects, such as"),
        ({"psc_interface_config": "a"}, "is `a`, and must be an object, such as"),
        ({"psc_interface_config": {"a": DEEP}}, "its `a` must be nested at most 20 levels deep"),
        ({"nfs_mounts": [{"a": DEEP}]}, "its `[0].a` must be nested at most 20 levels deep"),
        ({"psc_interface_config": {"a": 10**5000}}, "its `a` must have integers of at most"),
        ({"psc_interface_config": {"a": float("inf")}}, "its `a` must have numbers that are fini"),
        ({"psc_interface_config": {"a": {1: 2}}}, "its `a` must have names that are strings"),
        ({"psc_interface_config": {"a": {1}}}, "its `a` must consist of strings, numbers,"),
        ({"psc_interface_config": {"network": "n"}}, "its `network` is not a field of Vertex AI's"),
        ({"psc_interface_config": {"dnsPeeringConfigs": {}}}, "its `dnsPeeringConfigs` must be a"),
        ({"nfs_mounts": [{"pth": "/"}]}, "its `[0].pth` is not a field of Vertex AI's (did you me"),
        ({"nfs_mounts": [{"path": 3}]}, "its `[0].path` must be a string."),
        ({"lustre_mounts": [{"volume_handel": "v"}]}, "(did you mean `volume_handle`?)."),
        ({"lustre_mounts": ["x"]}, "must be a list of objects, such as [{'instance_ip':"),
        ({"labels": {"a": DEEP}}, "is an object, and must be an object of strings, such as"),
        ({"env": [{"name": "A", "value": 10**5000}]}, "must have names and values"),
        ({"env": [{"name": "A", "value": DEEP}]}, "must have names and values"),
        ({"labels": {"spot": True}}, "is an object, and must be an object of strings, such as"),
        ({"labels": {"version": None}}, "is an object, and must be an object of strings, such as"),
        ({"labels": {"version": 10**5000}}, "must have values that are strings."),
        ({"env": ["A=b"]}, "must be a list of {'name': ..., 'value': ...}."),
        ({"replica_count": 2}, "must be 1, because a step runs on one replica."),
        ({"x": 1}, "has no argument `x`. The arguments are:"),
        ({"region": "us-central1"}, "has no argument `region`."),
    ],
)
def test_an_argument_of_the_wrong_type_is_named(arguments: dict[str, Any], words: str) -> None:
    """An argument of the wrong type is an error that names the argument."""
    (problem,) = resolve(arguments).unreadable.values()
    assert words in problem
    assert all(f"`{name}`" in problem for name in (*arguments, "additional_training_job_args"))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        *((written, "3600s") for written in (3600, 3600.0, "3600", "3600s", "3600.0s")),
        *(
            (written, "5400s")
            for written in ("90m", "1h30m", "1h 30min", "1.5h", "1H30M", "PT1H30M")
        ),
        *((written, "5400s") for written in ("pt90m", timedelta(minutes=90), " 90m\n")),
        *((written, "93600s") for written in ("1d2h", "P1DT2H", timedelta(days=1, hours=2))),
        ("2w", "1209600s"),
        ("P1W", "604800s"),
        ("0.5s", "0.5s"),
        (timedelta(microseconds=1), "0.000001s"),
        (0, "0s"),
        (0.1 + 0.2, "0.3s"),
        (315_576_000_000, "315576000000s"),
    ],
)
@pytest.mark.parametrize("name", ["timeout", "max_wait_duration"])
def test_a_duration_can_be_written_in_every_usual_form(
    name: str, written: float | str | timedelta, seconds: str
) -> None:
    """Seconds, units and ISO 8601 are read alike, in an argument and in a setting."""
    assert getattr(resolve({name: written}), name) == seconds
    settings: dict[str, Any] = {name: written}
    assert getattr(resolve({}, **settings), name) == seconds


def test_a_duration_survives_zenml() -> None:
    """A timedelta that ZenML keeps as JSON is the same duration again."""
    written = VertexStepOperatorSettings(timeout=timedelta(days=1, minutes=1, seconds=1.5))
    kept = VertexStepOperatorSettings.model_validate_json(written.model_dump_json())
    assert kept.to_job_fields().timeout == "86461.5s"


@pytest.mark.parametrize(
    ("written", "value"),
    [(True, True), ("yes", True), ("On", True), ("1", True), (0, False), (" false ", False)],
)
def test_a_boolean_can_be_a_word(written: object, value: bool) -> None:
    """Words that the command line and YAML have for booleans are read in both places."""
    assert resolve({"enable_web_access": written}).enable_web_access is value
    assert resolve({}, enable_web_access=written).enable_web_access is value


def test_a_number_as_the_value_of_a_label_is_its_text() -> None:
    """YAML reads the digits of a version as a number."""
    labels = {"version": 3, "year": "2026"}
    assert resolve({"labels": labels}).labels == {"version": "3", "year": "2026"}
    assert resolve({}, labels=labels).labels == {"version": "3", "year": "2026"}


@pytest.mark.parametrize(
    ("written", "name"),
    [("strategy", "scheduling_strategy"), ("base_output_directory", "base_output_dir")],
)
def test_an_argument_has_googles_name_and_the_settings(written: str, name: str) -> None:
    """Both names of an argument work, and two that differ are refused."""
    for argument in (written, name):
        assert getattr(resolve({argument: "gs://aa"}), name).lower() == "gs://aa"
        settings: dict[str, Any] = {argument: "gs://aa"}
        assert getattr(resolve({}, **settings), name).lower() == "gs://aa"
    (problem,) = resolve({written: "gs://aa", name: "gs://bb"}).unreadable.values()
    assert f"`{name}` and `{written}` in `additional_training_job_args` are two names" in problem


@pytest.mark.parametrize("empty", [None, "", [], {}])
@pytest.mark.parametrize(
    "name", ["env", "labels", "nfs_mounts", "psc_interface_config", "reserved_ip_ranges"]
)
def test_an_empty_argument_of_any_type_is_unset(name: str, empty: object) -> None:
    """Where a list or an object is expected, anything empty counts as unset."""
    job = resolve({name: empty})
    assert getattr(job, name) is None
    assert job.unreadable == {}


def test_arguments_are_parsed_like_settings() -> None:
    """Arguments accept either case, comma-separated lists and int64 strings, as settings do."""
    written = {"strategy": "flex_start", "reserved_ip_ranges": "a, b", "boot_disk_size_gb": "200"}
    job = resolve(written)
    assert (job.scheduling_strategy, job.reserved_ip_ranges, job.boot_disk_size_gb) == (
        "FLEX_START",
        ["a", "b"],
        200,
    )


def test_the_name_of_a_field_says_where_it_was_set() -> None:
    """A message names the setting or argument that supplied the value, not an overridden one."""
    job = resolve({"network": "default"}, 2)
    assert job.cite("network") == "`network` in `additional_training_job_args`"
    assert job.cite("accelerator_count") == "`gpu_count` of ResourceSettings"
    assert job.cite("boot_disk_type") == "`boot_disk_type`"


def test_without_settings_only_replica_count_and_restarts_are_set() -> None:
    """Without settings, only the single replica and the restart policy are set."""
    assert resolve_fields({}) == JobFields(disable_retries=True)


@pytest.mark.parametrize(
    "written",
    ["a,b", " a , b ", '["a", "b"]', "['a', 'b']", "[a, b]", ["a", "b"]],
)
def test_reserved_ip_ranges_accept_every_documented_form(written: str | list[str]) -> None:
    """A comma-separated list and a JSON list of reserved IP ranges give the same result."""
    assert read_names(written) == ["a", "b"]


@pytest.mark.parametrize(
    ("written", "names"), [(None, None), ("", None), ("[]", None), ([], None), ("a", ["a"])]
)
def test_reserved_ip_ranges_can_be_one_name_or_none(
    written: str | list[str] | None, names: list[str] | None
) -> None:
    """A single range name needs no comma, and an empty value leaves the field unset."""
    assert read_names(written) == names
