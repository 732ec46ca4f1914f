"""`custom_job_overrides`: any part of the request, merged into it last."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.job.test_request import build
from tests.support.generate_messages import render
from zenml_vertex import VertexStepOperatorConfig, VertexStepOperatorSettings, data
from zenml_vertex.cloud.enum_values import is_known
from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.identity import OWN_LABELS
from zenml_vertex.job.rules import find_problems


def build_with(overrides: Any, **settings: Any) -> dict[str, Any]:
    """Build a job with overrides."""
    return build(VertexStepOperatorSettings(**settings, custom_job_overrides=overrides))


def pool_of(**pool: Any) -> dict[str, Any]:
    """A job with something in its first worker pool."""
    return {"jobSpec": {"workerPoolSpecs": [pool]}}


def test_the_table_of_messages_is_current() -> None:
    """The data file is what Google's client says."""
    assert (Path(data.__file__).parent / "custom_job.json").read_text("utf-8") == render()


@pytest.mark.parametrize(
    "overrides",
    [
        {"jobSpec": {"scheduling": {"maxWaitDuration": "60s"}, "enableWebAccess": True}},
        {"job_spec": {"scheduling": {"max_wait_duration": "60s"}, "enable_web_access": True}},
        {
            "job_spec": {"enable_web_access": True},
            "jobSpec": {"scheduling": {"maxWaitDuration": 60}},
        },
    ],
)
@pytest.mark.parametrize("form", [dict, json.dumps])
def test_both_spellings_and_forms_reach_the_job(overrides: dict[str, Any], form: Any) -> None:
    """Names in camelCase and snake_case, as an object or JSON text, give the same request."""
    spec = build_with(form(overrides), scheduling_strategy="FLEX_START")["jobSpec"]
    assert spec["scheduling"]["maxWaitDuration"] == "60s"
    assert spec["scheduling"]["strategy"] == "FLEX_START"
    assert spec["enableWebAccess"] is True


def test_overrides_are_merged_last() -> None:
    """Objects are merged, lists are replaced, null takes away, and other settings give way."""
    job = build_with(
        {
            "displayName": "mine",
            "labels": {"team": "audio"},
            "jobSpec": {
                "network": None,
                "reservedIpRanges": ["c"],
                "workerPoolSpecs": [
                    {
                        "machineSpec": {"machineType": "n1-standard-16"},
                        "diskSpec": None,
                        "containerSpec": {"env": [{"name": "MODE", "value": " fast "}]},
                    }
                ],
            },
        },
        network="projects/1/global/networks/n",
        reserved_ip_ranges=["a", "b"],
        labels={"team": "vision", "stage": "dev"},
        additional_training_job_args={
            "machine_type": "n1-standard-8",
            "env": [{"name": "MODE", "value": "slow"}, {"name": "LEVEL", "value": "1"}],
        },
    )
    (pool,) = job["jobSpec"].pop("workerPoolSpecs")
    assert job["displayName"] == "mine"
    assert job["labels"] == {"team": "audio", "stage": "dev", "zenml-step": "train"}
    assert "network" not in job["jobSpec"]
    assert job["jobSpec"]["reservedIpRanges"] == ["c"]
    assert pool["machineSpec"] == {"machineType": "n1-standard-16"}
    assert "diskSpec" not in pool
    assert pool["containerSpec"]["env"][1:] == [
        {"name": "MODE", "value": " fast "},
        {"name": "LEVEL", "value": "1"},
    ]


def test_further_worker_pools_are_added() -> None:
    """Worker pools are merged by their index, and a further one is as it was written."""
    worker = {
        "containerSpec": {"imageUri": "europe-docker.pkg.dev/p/r/worker", "args": ["--worker"]},
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": "3",
    }
    written = {"jobSpec": {"workerPoolSpecs": [{}, {**worker, "replicaCount": 3}, {}]}}
    first, *others = build_with(written)["jobSpec"]["workerPoolSpecs"]
    assert first == build(VertexStepOperatorSettings())["jobSpec"]["workerPoolSpecs"][0]
    assert others == [worker, {}]


def test_a_gpu_of_the_overrides_is_like_any_other() -> None:
    """It is checked, and its container gets the variables that a GPU needs."""
    machine = {"acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1}
    (pool,) = build_with(pool_of(machineSpec=machine))["jobSpec"]["workerPoolSpecs"]
    assert pool["containerSpec"]["env"][0]["name"] == "NVIDIA_VISIBLE_DEVICES"
    settings = VertexStepOperatorSettings(
        region="europe-west4",
        custom_job_overrides=pool_of(machine_spec={"accelerator_count": 1}),
    )
    (problem,) = find_problems(settings.to_job_fields())
    assert problem.startswith(
        "`jobSpec.workerPoolSpecs[0].machine_spec.accelerator_count` in `custom_job_overrides` is 1"
    )


WRONG: list[tuple[Any, str]] = [
    ({"jobSpec": 3}, "`jobSpec` in `custom_job_overrides` must be an object."),
    ({"jobSpec": None}, "`jobSpec` in `custom_job_overrides` must not be empty: the step runs"),
    (
        {"jobSpec": {"workerPoolSpecs": {}}},
        "`jobSpec.workerPoolSpecs` in `custom_job_overrides` mu",
    ),
    ({"jobSpec": {"workerPoolSpecs": [3]}}, "`jobSpec.workerPoolSpecs[0]` in `custom_job_overr"),
    ({"jobSpec": {"workerPoolSpecs": [{}, None]}}, "`jobSpec.workerPoolSpecs[1]` in `custom_job"),
    ({"jobSpec": {"network": 3}}, "`jobSpec.network` in `custom_job_overrides` must be a string."),
    ({"jobSpec": {"network": "x"}}, "`jobSpec.network` in `custom_job_overrides` is `x`. Write"),
    ({"jobSpec": {"models": "x"}}, "`jobSpec.models` in `custom_job_overrides` must be a list."),
    (
        {"jobSpec": {"models": [3]}},
        "`jobSpec.models[0]` in `custom_job_overrides` must be a string",
    ),
    ({"jobSpec": {"enableWebAccess": "x"}}, "in `custom_job_overrides` must be true or false."),
    ({"jobSpec": {"scheduling": {"timeout": "x"}}}, "must be a duration: seconds, such as 3600"),
    ({"jobSpec": {"scheduling": {"strategy": []}}}, "`jobSpec.scheduling.strategy` in `custom_"),
    ({"labels": ["a"]}, "`labels` in `custom_job_overrides` must be an object of strings"),
    ({"labels": {"Team": "a"}}, "`labels` in `custom_job_overrides` has the key `Team`. A key"),
    ({"name": "x"}, "`name` in `custom_job_overrides` is set by Vertex AI alone. Remove it."),
    ({"state": 3}, "`state` in `custom_job_overrides` is set by Vertex AI alone. Remove it."),
    (pool_of(replicaCount=2), "must be 1, because a step runs on one replica"),
    (pool_of(replica_count="x"), "`jobSpec.workerPoolSpecs[0].replica_count` in `custom_job_over"),
    (pool_of(diskSpec={"bootDiskSizeGb": True}), "in `custom_job_overrides` must be an integer"),
    (pool_of(diskSpec={"bootDiskSizeGb": 9}), "diskSpec.bootDiskSizeGb` in `custom_job_overrides`"),
    (pool_of(containerSpec=None), "containerSpec` in `custom_job_overrides` must not be empty"),
    (pool_of(containerSpec={"command": []}), "containerSpec.command` in `custom_job_overrides` is"),
    (pool_of(containerSpec={"args": ["x"]}), "Remove it; a `CommandStep` has a command of its own"),
    (
        pool_of(container_spec={"image_uri": "x"}),
        "set `parent_image` or `dockerfile` of the step's",
    ),
    (pool_of(pythonPackageSpec={}), "in place of which the step has its container. Remove it;"),
    (pool_of(containerSpec={"env": [{"name": "A", "value": 3}]}), "env[0].value` in `custom_job_o"),
    (
        pool_of(containerSpec={"env": [{"name": "A"}]}),
        "containerSpec.env` in `custom_job_overrides`",
    ),
    (
        pool_of(containerSpec={"env": [{"name": "ZENML_VERTEX_ATTEMPT", "value": "7"}]}),
        "containerSpec.env: ZENML_VERTEX_ATTEMPT` in `custom_job_overrides` is the operator's own",
    ),
    *(
        ({"labels": {label: "x"}}, f"`labels.{label}` in `custom_job_overrides` is")
        for label in OWN_LABELS
    ),
    ("x", "`custom_job_overrides` is text that is not JSON. Write JSON in single quotes on"),
    ([1], "`custom_job_overrides` is a list, and must be an object, such as {'name': 'value'}."),
]


@pytest.mark.parametrize(("overrides", "words"), WRONG)
@pytest.mark.parametrize("kind", [VertexStepOperatorSettings, VertexStepOperatorConfig])
def test_wrong_overrides_are_refused_with_their_path(kind: Any, overrides: Any, words: str) -> None:
    """A value of another type, what Vertex AI sets and what the operator needs are refused."""
    with pytest.raises(ConfigurationError) as raised:
        kind(region="europe-west4", custom_job_overrides=overrides)
    (problem,) = raised.value.problems
    assert words in problem
    assert "`custom_job_overrides`" in problem


def test_what_only_a_newer_client_may_know_is_kept() -> None:
    """A field that the table lacks is left to Google's client, with the path that was written."""
    written = {
        "jobSpec": {"netwrk": "x", "scheduling": {"strategy": "SPTO"}},
        "job_spec": {"worker_pool_specs": [{"disk_spek": {}}, {"machine_spec": {"kind": 1}}]},
    }
    job = VertexStepOperatorSettings(custom_job_overrides=written).to_job_fields()
    assert {path: unlisted.close for path, unlisted in job.unlisted.items()} == {
        "jobSpec.netwrk": "network",
        "job_spec.worker_pool_specs[0].disk_spek": "disk_spec",
        "job_spec.worker_pool_specs[1].machine_spec.kind": None,
    }
    assert job.scheduling_strategy == "SPTO"
    assert not any(is_known(unlisted.path, unlisted.value) for unlisted in job.unlisted.values())
    assert is_known("jobSpec.workerPoolSpecs[1].machineSpec.acceleratorType", "NVIDIA_L4")
    assert is_known("jobSpec.workerPoolSpecs[1].machineSpec.machine_type", None)
    assert not is_known("jobSpec.workerPoolSpecs[1].machineSpec.acceleratorType", "NVIDIA_L5")


def test_no_repr_shows_overrides() -> None:
    """They may have variables with secrets, of the first worker pool or another."""
    env = {"containerSpec": {"imageUri": "i", "env": [{"name": "TOKEN", "value": "hunter2"}]}}
    (first,) = [{"containerSpec": {"env": env["containerSpec"]["env"]}}]
    written = {"jobSpec": {"workerPoolSpecs": [first, env]}}
    settings = VertexStepOperatorSettings(custom_job_overrides=written)
    assert "hunter2" not in f"{settings!r} {settings} {settings.to_job_fields()!r}"
