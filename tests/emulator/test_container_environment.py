import json
import re
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from vertex_emulator.jobs.container_environment import (
    build_args,
    build_command,
    build_environment,
    expand,
)
from vertex_emulator.jobs.job import Job

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def job(container: dict[str, Any], **spec: Any) -> Job:
    """Build a job with a container, and with more in its spec."""
    request = {"jobSpec": {"workerPoolSpecs": [{"containerSpec": container}], **spec}}
    return Job(
        project="p",
        number="123456789012",
        location="us-central1",
        job_id="42",
        request=request,
        create_time=NOW,
        update_time=NOW,
    )


def test_the_environment_is_vertex_ais() -> None:
    """Project number, job ID and cluster are always set, AIP_* only with an output directory."""
    plain = job({"env": [{"name": "A", "value": "1"}, {"name": "EMPTY"}]})
    environment = build_environment(plain)
    cluster = json.loads(environment.pop("CLUSTER_SPEC"))
    assert environment == {
        "CLOUD_ML_PROJECT_ID": "123456789012",
        "CLOUD_ML_JOB_ID": "42",
        "A": "1",
        "EMPTY": "",
    }
    assert cluster["task"] == {"type": "workerpool0", "index": 0}
    assert cluster["environment"] == "cloud"
    assert cluster["job"] == '{"python_module":"","package_uris":[],"job_args":[]}'
    (host,) = cluster["cluster"]["workerpool0"]
    assert re.fullmatch(r"cmle-training-workerpool0-[0-9a-f]{10}-0:2222", host)
    directed = job({}, baseOutputDirectory={"outputUriPrefix": "gs://b/out/"})
    environment = build_environment(directed)
    assert environment["AIP_MODEL_DIR"] == "gs://b/out/model/"
    assert environment["AIP_CHECKPOINT_DIR"] == "gs://b/out/checkpoints/"
    assert environment["AIP_TENSORBOARD_LOG_DIR"] == "gs://b/out/logs/"


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)/x/$(A)", "1/x/1"),
        ("$$(A)", "$(A)"),
        ("$$(NOT_SET)", "$(NOT_SET)"),
        ("$(NOT_SET)", "$(NOT_SET)"),
        ("$A ${A} $ $$ $(1) $()", "$A ${A} $ $$ $(1) $()"),
        ("$$$(A)", "$$(A)"),
        ("$(B)", "$(A)"),
    ],
)
def test_references_are_expanded(text: str, expanded: str) -> None:
    """`$(NAME)` is expanded once, `$$(NAME)` is an escape, and a value is not expanded again."""
    assert expand(text, {"A": "1", "B": "$(A)"}) == expanded


def test_variables_see_earlier_ones_and_commands_see_all() -> None:
    """A variable may refer to Vertex AI's and to earlier ones, and a command to all of them."""
    env = [
        {"name": "FIRST", "value": "$(SECOND)"},
        {"name": "SECOND", "value": "$(CLOUD_ML_JOB_ID)-$(FIRST)"},
    ]
    described = job({"command": ["echo", "$(SECOND)"], "args": ["$(FIRST)"], "env": env})
    environment = build_environment(described)
    assert environment["FIRST"] == "$(SECOND)"
    assert environment["SECOND"] == "42-$(SECOND)"
    assert build_command(described, environment) == ("echo", "42-$(SECOND)")
    assert build_args(described, environment) == ("$(SECOND)",)
    assert build_command(replace(described, request=job({}).request), environment) == ()
