import json
from pathlib import Path
from typing import Any

import pytest
from google.cloud import aiplatform_v1, aiplatform_v1beta1
from hypothesis import given
from hypothesis import strategies as st

from tests.support.generate_schema import SchemaError, build_schema
from vertex_emulator.core.errors import ApiError
from vertex_emulator.core.machine_facts import load_facts
from vertex_emulator.core.messages import Enum, Message
from vertex_emulator.core.proto_json import load_body, mask_message
from vertex_emulator.jobs import schema
from vertex_emulator.jobs.messages import read_custom_job, read_mask

OUTPUT_ONLY = {
    *("name", "state", "createTime", "startTime", "endTime", "updateTime", "error"),
    *("webAccessUris", "satisfiesPzs", "satisfiesPzi"),
}
SCALARS = {"string": 9, "bool": 8, "int32": 5, "int64": 3}
# An `Any` is an object with `@type` in it.
MESSAGES = {"duration": {"Duration"}, "timestamp": {"Timestamp"}, "struct": {"Struct", "Any"}}


def compare(message: Message, descriptor: Any, *, beta: bool) -> None:
    """Compare a message and all its fields with a descriptor."""
    fields = {name: field for name, field in message.fields.items() if beta or not field.beta_only}
    assert set(fields) == {field.json_name for field in descriptor.fields}, descriptor.full_name
    for field in descriptor.fields:
        mine = fields[field.json_name]
        if mine.type in {"output", "map"}:
            continue
        assert mine.repeated == field.is_repeated, field.full_name
        if isinstance(mine.type, Message):
            compare(mine.type, field.message_type, beta=beta)
        elif isinstance(mine.type, Enum):
            assert mine.type.numbers == {v.name: v.number for v in field.enum_type.values}
        elif mine.type in MESSAGES:
            package, _, name = field.message_type.full_name.rpartition(".")
            assert package == "google.protobuf"
            assert name in MESSAGES[mine.type]
        else:
            assert field.type == SCALARS[mine.type], field.full_name
        oneof = field.containing_oneof
        assert mine.oneof == (oneof.name if oneof else None)


@pytest.mark.parametrize("package", [aiplatform_v1, aiplatform_v1beta1])
def test_the_schema_is_googles(package: Any) -> None:
    """Fields, types, enums and oneofs equal those of Google's client in both API versions."""
    descriptor = package.CustomJob.pb().DESCRIPTOR
    compare(schema.CUSTOM_JOB, descriptor, beta=package is aiplatform_v1beta1)


def test_the_schema_is_current() -> None:
    """The module equals its generator's output; `make generate` writes it."""
    assert Path(schema.__file__).read_text("utf-8") == build_schema("CustomJob")


def test_the_generator_refuses_unsupported_types() -> None:
    """A type that the reader does not support is an error that names it, and is not left out."""
    with pytest.raises(SchemaError, match=r"FractionSplit\.training_fraction: scalar type 1"):
        build_schema("TrainingPipeline")


def test_output_only_fields_are_googles() -> None:
    """The output-only fields are exactly those that Google documents."""
    fields = schema.CUSTOM_JOB.fields.items()
    outputs = {name for name, field in fields if field.type == "output" or field.is_output}
    assert outputs == OUTPUT_ONLY
    text = Path(schema.__file__).read_text("utf-8")
    assert text.count('"output"') + text.count("is_output=True") == len(OUTPUT_ONLY)


def test_the_accelerators_of_the_rules_are_googles() -> None:
    """The data file has every AcceleratorType with its number."""
    types = load_facts()["accelerator_types"]
    assert {name: entry["number"] for name, entry in types.items()} == (
        schema.ACCELERATOR_TYPE.numbers
    )


def test_both_spellings_and_both_enums_are_read() -> None:
    """Both spellings of fields, enum names and numbers, and int64 strings are read alike."""
    camel = {
        "displayName": "x",
        "jobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {"acceleratorType": "NVIDIA_L4", "acceleratorCount": 1},
                    "replicaCount": "1",
                }
            ],
            "scheduling": {"strategy": "SPOT", "timeout": "3600s"},
        },
    }
    snake = {
        "display_name": "x",
        "job_spec": {
            "worker_pool_specs": [
                {
                    "machine_spec": {"accelerator_type": 11, "accelerator_count": "1"},
                    "replica_count": 1,
                }
            ],
            "scheduling": {"strategy": 4, "timeout": "3600s"},
        },
    }
    assert read_custom_job(camel) == read_custom_job(snake) == camel


def test_defaults_and_output_fields_are_left_out() -> None:
    """Unset values, nulls and output-only fields are left out; the text `0` is a value."""
    job = {
        "name": "mine",
        "state": "JOB_STATE_FAILED",
        "displayName": "x",
        "labels": {},
        "jobSpec": {
            "network": "",
            "enableWebAccess": False,
            "tensorboard": None,
            "workerPoolSpecs": [
                {"machineSpec": {"acceleratorType": 0}, "replicaCount": "0"},
                {"containerSpec": {"env": [{"name": "ZERO", "value": "0"}]}},
            ],
        },
        "encryptionSpec": {},
    }
    assert read_custom_job(job) == {
        "displayName": "x",
        "jobSpec": {
            "workerPoolSpecs": [
                {"machineSpec": {}},
                {"containerSpec": {"env": [{"name": "ZERO", "value": "0"}]}},
            ]
        },
        "encryptionSpec": {},
    }


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (
            {"dispalyName": "x"},
            "Invalid JSON payload received. Unknown name \"dispalyName\" at 'custom_job': "
            "Cannot find field.",
        ),
        (
            {"jobSpec": {"workerPoolSpecs": [{"machineSpec": {"minGpuDriverVersion": "1"}}]}},
            'Invalid JSON payload received. Unknown name "minGpuDriverVersion" at '
            "'custom_job.job_spec.worker_pool_specs[0].machine_spec': Cannot find field.",
        ),
        (
            {"jobSpec": {"workerPoolSpecs": [{"replicaCount": "one"}]}},
            "Invalid value at 'custom_job.job_spec.worker_pool_specs[0].replica_count' "
            '(TYPE_INT64), "one"',
        ),
        (
            {"jobSpec": {"workerPoolSpecs": [{"machineSpec": {"acceleratorType": "T4"}}]}},
            "Invalid value at "
            "'custom_job.job_spec.worker_pool_specs[0].machine_spec.accelerator_type' "
            '(type.googleapis.com/google.cloud.aiplatform.v1.AcceleratorType), "T4"',
        ),
        (
            {"jobSpec": {"workerPoolSpecs": [{"containerSpec": {}, "pythonPackageSpec": {}}]}},
            "Invalid value at 'custom_job.job_spec.worker_pool_specs[0]' (oneof), oneof field "
            "'task' is already set. Cannot set 'pythonPackageSpec'",
        ),
        ({"displayName": 5}, "Invalid value at 'custom_job.display_name' (TYPE_STRING), 5"),
        ({"jobSpec": []}, "Invalid value at 'custom_job.job_spec' (a message), []"),
        (
            {"jobSpec": {"scheduling": {"timeout": 3600}}},
            "Invalid value at 'custom_job.job_spec.scheduling.timeout' "
            "(type.googleapis.com/google.protobuf.Duration), 3600",
        ),
        (
            {"jobSpec": {"scheduling": {"timeout": "\N{ARABIC-INDIC DIGIT THREE}s"}}},
            "Invalid value at 'custom_job.job_spec.scheduling.timeout' "
            '(type.googleapis.com/google.protobuf.Duration), "\\u0663s"',
        ),
    ],
)
def test_violations_have_googles_text(job: dict[str, Any], text: str) -> None:
    """Unknown names and invalid values get the text of Google's transcoding, with the path."""
    with pytest.raises(ApiError) as error:
        read_custom_job(job)
    assert error.value.http_status == 400
    assert error.value.message == text
    assert [item.description for item in error.value.violations] == [text]


ENV = [{"name": "A", "value": "987654321"}]


@pytest.mark.parametrize(
    "pools",
    [
        *(
            [{"containerSpec": {"env": env}}]
            for env in (
                [{"name": "A", "value": 987654321}],
                [{"name": "A", "value": {"987654321": "987654321"}}],
                ["A=987654321"],
                {"A": "987654321"},
                "987654321",
                987654321,
            )
        ),
        [{"pythonPackageSpec": {"env": {"A": "987654321"}}}],
        [{"containerSpec": [{"env": ENV}]}],
        [{"containerSpec": json.dumps({"env": ENV})}],
        [[{"containerSpec": {"env": ENV}}]],
        {"containerSpec": {"env": ENV}},
        json.dumps([{"containerSpec": {"env": ENV}}]),
    ],
)
def test_an_invalid_environment_value_is_not_shown(pools: Any) -> None:
    """An error about environment variables of any wrong shape does not show their values."""
    with pytest.raises(ApiError) as error:
        read_custom_job({"jobSpec": {"workerPoolSpecs": pools}})
    shown = json.dumps(error.value.to_json())
    assert "987654321" not in shown
    assert "worker_pool_specs" in shown


def test_an_unknown_accelerator_number_is_kept() -> None:
    """An enum number without a name is kept, as in proto3's open enums."""
    pools = [{"machineSpec": {"acceleratorType": 99, "acceleratorCount": 1}}]
    job = {"jobSpec": {"workerPoolSpecs": pools}}
    assert read_custom_job(job) == job


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b"NaN", b'{"a": Infinity}', b"\xff\xfe", b'"\\ud800"',
     b'{"displayName": "\\ud800"}', b"[" * 100_000],
)  # fmt: skip
def test_a_body_that_is_not_an_object_is_an_invalid_argument(body: bytes) -> None:
    """A body that is not a JSON object gets 400, whatever its bytes."""
    with pytest.raises(ApiError, match="Invalid JSON payload received"):
        load_body(body)


def test_a_mask_selects_fields_in_either_spelling() -> None:
    """A mask names top-level and nested fields; `*` and an empty mask name all."""
    job = {"name": "n", "displayName": "d", "jobSpec": {"network": "x", "tensorboard": "t"}}
    assert mask_message(job, read_mask("name,display_name")) == {"name": "n", "displayName": "d"}
    assert mask_message(job, read_mask("jobSpec.network")) == {"jobSpec": {"network": "x"}}
    assert mask_message(job, read_mask("*")) == mask_message(job, read_mask("")) == job
    with pytest.raises(ApiError, match=r"`job_spec\.nothing` is not a path"):
        mask_message(job, read_mask("job_spec.nothing"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["displayName", "jobSpec", "workerPoolSpecs", "machineSpec", "labels", "env",
                 "containerSpec", "replicaCount", "scheduling", "timeout", "strategy", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["displayName", "jobSpec", "labels", "x"]), json_values))
def test_any_json_is_read_or_refused(body: dict[str, Any]) -> None:
    """Any JSON is read or gets INVALID_ARGUMENT, and what was read reads the same again."""
    try:
        job = read_custom_job(body)
    except ApiError as error:
        assert error.violations  # noqa: PT017 - either outcome is right
    else:
        assert read_custom_job(job) == job
