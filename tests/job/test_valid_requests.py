"""Any valid settings, wherever they are written, give one request that Vertex AI accepts."""

import json
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.job.test_request import build
from vertex_emulator.jobs.messages import read_custom_job
from vertex_emulator.jobs.rules import find_violations
from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.cloud.client_import import CustomJob
from zenml_vertex.job.fields import ROWS, split_path
from zenml_vertex.job.messages import snake_case
from zenml_vertex.job.rules import find_problems

REGION = "europe-west4"
PLACE = f"projects/p/locations/{REGION}"
ACCOUNT = "trainer@my-project.iam.gserviceaccount.com"
RESERVATION = "projects/p/zones/europe-west4-a/reservations/r"
NAME = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)


def maybe(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these settings."""
    return st.fixed_dictionaries({}, optional=values)


def all_or_none(**values: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Settings that go together."""
    return st.sampled_from([{}, values])


DURATIONS = st.one_of(
    st.integers(1, 600_000),
    st.integers(1, 600_000).map(str),
    st.timedeltas(timedelta(seconds=1), timedelta(days=6)),
    st.tuples(st.integers(0, 100), st.integers(1, 59)).map(lambda two: f"{two[0]}h{two[1]}m"),
    st.integers(1, 100).map(lambda hours: f"PT{hours}H"),
)
# What stands in one of these goes together; of each, one is drawn.
MACHINES: list[dict[str, Any]] = [
    {},
    {"machine_type": "e2-highmem-16"},
    {"machine_type": "n1-standard-16", "accelerator_type": "T4", "accelerator_count": 2},
    {"machine_type": "g2-standard-24", "accelerator_type": "nvidia-l4", "accelerator_count": "2"},
    {"machine_type": "a2-ultragpu-1g", "accelerator_type": "A100-80GB", "accelerator_count": 1},
    {"machine_type": "ct5lp-hightpu-4t", "tpu_topology": "2x2"},
]
ON_DEMAND = st.one_of(
    all_or_none(reservation_affinity_type="any_reservation"),
    all_or_none(
        reservation_affinity_type="SPECIFIC_RESERVATION",
        reservation_affinity_key="compute.googleapis.com/reservation-name",
        reservation_affinity_values=[RESERVATION],
    ),
    all_or_none(scheduling_strategy="standard"),
)
NETWORKS = st.one_of(
    st.just({}),
    maybe(reserved_ip_ranges=st.lists(NAME, min_size=1)).map(
        lambda more: {"network": "projects/123/global/networks/n", **more}
    ),
    st.fixed_dictionaries(
        {
            "psc_interface_config": st.just(
                {
                    "network_attachment": f"projects/p/regions/{REGION}/networkAttachments/a",
                    "dnsPeeringConfigs": [
                        {"domain": "a.b.", "target_project": "p", "targetNetwork": "n"}
                    ],
                }
            )
        }
    ),
)
STORAGE = maybe(
    boot_disk_type=st.sampled_from(["pd-ssd", "pd-standard"]),
    boot_disk_size_gb=st.one_of(st.integers(100, 64_000), st.integers(100, 999).map(str)),
    base_output_dir=NAME.map("gs://bucket/{}".format),
    nfs_mounts=st.lists(
        st.builds(lambda name: {"server": "10.0.0.2", "path": "/d", "mountPoint": name}, NAME)
    ),
    lustre_mounts=st.lists(
        st.builds(
            lambda name: {
                "instance_ip": "10.0.0.3",
                "volume_handle": "v",
                "filesystem": name,
                "mount_point": "m",
            },
            NAME,
        )
    ),
    models=st.lists(NAME.map((PLACE + "/models/{}@1").format), min_size=1),
    encryption_spec_key_name=st.just(f"{PLACE}/keyRings/r/cryptoKeys/k"),
    protected_artifact_location_id=st.just("europe-west1"),
)
OTHERS = maybe(
    display_name=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1),
    labels=st.dictionaries(NAME, st.one_of(NAME, st.integers(0, 99)), max_size=5),
    timeout=DURATIONS,
    service_account=st.just(ACCOUNT),
    experiment=NAME.map((PLACE + "/metadataStores/default/contexts/{}").format),
    enable_web_access=st.booleans(),
    enable_dashboard_access=st.booleans(),
    disable_retries=st.sampled_from([False]),
    restart_job_on_worker_restart=st.booleans(),
)
VALID = st.tuples(
    st.sampled_from(MACHINES),
    ON_DEMAND,
    NETWORKS,
    STORAGE,
    OTHERS,
    all_or_none(
        tensorboard=f"{PLACE}/tensorboards/1",
        service_account=ACCOUNT,
        base_output_dir="gs://bucket/c",
    ),
).map(lambda parts: {name: value for part in parts for name, value in part.items()})
FLEX_START = st.tuples(
    st.sampled_from([machine for machine in MACHINES if "A100" in str(machine)]),
    STORAGE,
    maybe(timeout=DURATIONS, max_wait_duration=DURATIONS),
).map(lambda parts: {"scheduling_strategy": "flex_start", **parts[0], **parts[1], **parts[2]})


def put(job: dict[str, Any], name: str, value: Any, *, snake: bool) -> None:
    """Put a value where its field stands in a CustomJob."""
    row = ROWS[name]
    target: Any = job
    parts = [snake_case(p) if snake and isinstance(p, str) else p for p in split_path(row.path)]
    read = row.read(value)
    if read is None:
        return
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        if following is None:
            target[part] = row.write(read) if row.write else read
        elif isinstance(part, int):
            target = target[part]
        else:
            target = target.setdefault(part, [{}] if following == 0 else {})


@settings(max_examples=100, deadline=None)
@given(written=st.one_of(VALID, FLEX_START), data=st.data())
def test_valid_settings_give_a_request_that_is_accepted(
    written: dict[str, Any], data: st.DataObject
) -> None:
    """Google's message has all of it, the emulator's rules accept it, and its place is all one.

    Each setting is written as a setting, as an additional argument, or in the overrides, in one of
    the spellings that it has there.
    """
    asked = VertexStepOperatorSettings(region=REGION, **written)
    assert find_problems(asked.to_job_fields()) == []
    job = build(asked)
    assert CustomJob.to_dict(CustomJob.from_json(json.dumps(job)))["display_name"]
    assert find_violations(read_custom_job(job), REGION) == []

    placed: dict[str, Any] = {"region": REGION}
    arguments: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    for name, value in written.items():
        row = ROWS[name]
        place = data.draw(st.sampled_from(["setting", "argument", "override"]))
        if place == "setting":
            placed[data.draw(st.sampled_from([name, *row.spellings]))] = value
        elif place == "argument":
            arguments[data.draw(st.sampled_from([name, row.argument or name]))] = value
        else:
            put(overrides, name, value, snake=data.draw(st.booleans()))
    elsewhere = VertexStepOperatorSettings(
        **placed, additional_training_job_args=arguments, custom_job_overrides=overrides
    )
    assert build(elsewhere) == job
