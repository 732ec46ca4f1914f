"""The request of a persistent resource, and the reading of one."""

import pytest

from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.errors import ConfigurationError, VertexStepOperatorError
from zenml_vertex.resources.request import Replicas, build_resource
from zenml_vertex.resources.resource import parse_name, read_resource


def test_everything_that_a_job_must_share_is_in_the_request() -> None:
    """Machine, disk, network, ranges, key, labels and the kind of account; and no reservation."""
    job = VertexStepOperatorSettings(
        machine_type="n1-standard-8",
        accelerator_type="T4",
        accelerator_count=2,
        network="projects/1/global/networks/a",
        reserved_ip_ranges="a",
        encryption_spec_key_name="projects/p/locations/us-central1/keyRings/r/cryptoKeys/k",
        service_account="trainer@p.iam.gserviceaccount.com",
        additional_training_job_args={
            "labels": {"team": "vision"},
            "reservation_affinity_type": "ANY_RESERVATION",
        },
    ).to_job_fields()
    assert build_resource(job, Replicas(2)) == {
        "resourcePools": [
            {
                "machineSpec": {
                    "machineType": "n1-standard-8",
                    "acceleratorType": "NVIDIA_TESLA_T4",
                    "acceleratorCount": 2,
                },
                "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100},
                "replicaCount": "2",
            }
        ],
        "network": "projects/1/global/networks/a",
        "reservedIpRanges": ["a"],
        "encryptionSpec": {
            "kmsKeyName": "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
        },
        "labels": {"team": "vision"},
        "resourceRuntimeSpec": {"serviceAccountSpec": {"enableCustomServiceAccount": True}},
    }


def test_a_pool_that_scales_has_no_number_of_its_own() -> None:
    """Vertex AI begins with the least number, unless one is asked for."""
    job = VertexStepOperatorSettings().to_job_fields()
    (pool,) = build_resource(job, Replicas(least=1, most=3))["resourcePools"]
    assert pool["autoscalingSpec"] == {"minReplicaCount": "1", "maxReplicaCount": "3"}
    assert "replicaCount" not in pool
    (pool,) = build_resource(job, Replicas())["resourcePools"]
    assert (pool["replicaCount"], "autoscalingSpec" in pool) == ("1", False)


@pytest.mark.parametrize(
    ("replicas", "words"),
    [
        (Replicas(0), "from 1 to 1000"),
        (Replicas(1001), "from 1 to 1000"),
        (Replicas(least=2), "set both"),
        (Replicas(most=2), "set both"),
        (Replicas(least=3, most=3), "the most must be more"),
        (Replicas(5, least=1, most=3), "5 replicas are not from 1 to 3"),
    ],
)
def test_numbers_that_cannot_be_are_refused(replicas: Replicas, words: str) -> None:
    """Numbers of machines are checked here, with the cure, and not by a 400."""
    with pytest.raises(ConfigurationError, match=words):
        build_resource(VertexStepOperatorSettings().to_job_fields(), replicas)


@pytest.mark.parametrize(
    "text",
    ["", "warm", "projects/p/locations/l/persistentResources/", "projects/p/locations/l/x/warm",
     "projects/p/locations/l/persistentResources/Warm", "projects/p/../x/persistentResources/a",
     "projects/p/locations/l/persistentResources/a/../b", "projects/p/locations/l@evil/x/warm"],
)  # fmt: skip
def test_what_is_not_a_name_becomes_no_part_of_an_address(text: str) -> None:
    """A name is typed or copied from anywhere, and becomes part of a path and of commands."""
    with pytest.raises(VertexStepOperatorError, match="not the name of a persistent resource"):
        parse_name(text)
    name = "projects/p/locations/europe-west4/persistentResources/a-1"
    assert parse_name(name) == ("projects/p/locations/europe-west4", "a-1")


def test_an_answer_of_any_shape_is_read() -> None:
    """Fields of other types than documented count as not there."""
    resource = read_resource({"name": 3, "resourcePools": [{"replicaCount": "x"}, 7], "error": []})
    (pool,) = resource.pools
    assert (pool.replicas, pool.free, resource.error, resource.state) == (
        0, 0, "", "STATE_UNSPECIFIED",
    )  # fmt: skip
    assert read_resource({"resourcePools": "none"}).pools == ()
