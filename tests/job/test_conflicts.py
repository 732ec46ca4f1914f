"""Rules on fields that do not go together: each broken alone gives one problem, with its cure."""

from typing import Any

import pytest

from zenml_vertex.config import VertexStepOperatorSettings
from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.rules import advise, find_problems

RESERVATION = "projects/p/zones/europe-west4-a/reservations/r"
SPECIFIC = {
    "reservation_affinity_type": "SPECIFIC_RESERVATION",
    "reservation_affinity_key": "compute.googleapis.com/reservation-name",
    "reservation_affinity_values": [RESERVATION],
}
L4 = {"machine_type": "g2-standard-12", "accelerator_type": "L4", "accelerator_count": 1}
H200 = {
    "machine_type": "a3-ultragpu-8g",
    "accelerator_type": "NVIDIA_H200_141GB",
    "accelerator_count": 8,
}
NETWORK = {"network": "projects/1/global/networks/vpc"}
ATTACHMENT = "projects/p/regions/europe-west4/networkAttachments/n"
INTERFACE = {"psc_interface_config": {"network_attachment": ATTACHMENT}}
PEERING = {"domain": "a.internal.", "target_project": "p", "target_network": "n"}
NFS = {"server": "10.0.0.2", "path": "/share", "mount_point": "data"}
LUSTRE = {
    "instance_ip": "10.0.0.3",
    "volume_handle": "projects/p/locations/z/instances/i",
    "filesystem": "scratch",
    "mount_point": "data",
}
BOARD = "projects/p/locations/europe-west4/tensorboards/1"
ACCOUNT = {"service_account": "trainer@p.iam.gserviceaccount.com"}


def find(settings: dict[str, Any]) -> list[str]:
    """The problems of settings, wherever they are found."""
    try:
        read = VertexStepOperatorSettings(region="europe-west4", **settings)
    except ConfigurationError as error:
        return list(error.problems)
    return find_problems(read.to_job_fields())


def without(mount: dict[str, str], *names: str) -> dict[str, str]:
    """A mount that lacks something."""
    return {name: value for name, value in mount.items() if name not in names}


@pytest.mark.parametrize(
    "settings",
    [
        L4 | {"scheduling_strategy": "FLEX_START", "max_wait_duration": "2h", "timeout": "7d"},
        {"scheduling_strategy": "SPOT", "timeout": "30d"},
        L4 | SPECIFIC,
        {"reservation_affinity_type": "ANY_RESERVATION"},
        {"reservation_affinity_type": "NO_RESERVATION", "persistent_resource_id": "pool"},
        NETWORK | {"reserved_ip_ranges": ["range-1"]},
        INTERFACE,
        H200 | INTERFACE,
        {"psc_interface_config": INTERFACE["psc_interface_config"] | {
            "dns_peering_configs": [PEERING]
        }},
        {"nfs_mounts": [NFS, NFS | {"mount_point": "more"}], "lustre_mounts": [LUSTRE]},
        {"models": ["projects/p/locations/r/models/1", "projects/p/locations/r/models/m@2"]},
        {"tensorboard": BOARD} | ACCOUNT,
    ],
)  # fmt: skip
def test_what_goes_together_is_no_problem(settings: dict[str, Any]) -> None:
    """What Google's pages combine passes."""
    assert find(settings) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_wait_duration": 60}, "scheduling_strategy='FLEX_START' alone"),
        (
            {"max_wait_duration": "1h", "scheduling_strategy": "SPOT"},
            "`max_wait_duration` is `3600s`",
        ),
        (L4 | {"scheduling_strategy": "FLEX_START", "timeout": "8d"}, "timeout='7d'"),
        (L4 | SPECIFIC | {"scheduling_strategy": "FLEX_START"}, "uses no reservation"),
        (SPECIFIC | {"persistent_resource_id": "pool"}, "job on a persistent resource uses no"),
        (
            {"reservation_affinity_type": "SPECIFIC_RESERVATION"} | {
                "reservation_affinity_values": [RESERVATION]
            },
            "reservation_affinity_key='compute.googleapis.com/reservation-name'",
        ),
        (
            {key: value for key, value in SPECIFIC.items() if not key.endswith("values")},
            "Write reservation_affinity_values=[",
        ),
        ({"reservation_affinity_key": "k"}, "`reservation_affinity_type` is not"),
        ({"reservation_affinity_values": [RESERVATION]}, "`reservation_affinity_type` is not"),
        (SPECIFIC | {"reservation_affinity_type": "ANY_RESERVATION"}, "neither key nor values"),
        (SPECIFIC | {"reservation_affinity_values": ["r"]}, "gcloud compute reservations list"),
        (NETWORK | INTERFACE, "Remove one of them."),
        (INTERFACE | {"reserved_ip_ranges": ["a"]}, "`reserved_ip_ranges` are both set"),
        ({"reserved_ip_ranges": ["a"]}, "and `network` is not"),
        (H200 | NETWORK, "set psc_interface_config={'network_attachment'"),
        ({"psc_interface_config": {"network_attachment": "n"}}, "gcloud compute network-att"),
        (
            {"psc_interface_config": {"network_attachment": ATTACHMENT.replace("west4", "west1")}},
            "Use an attachment in the job's region.",
        ),
        (
            {"psc_interface_config": {"network_attachment": ATTACHMENT, "subnet": "s"}},
            "its `subnet` is not a field of Vertex AI's",
        ),
        (
            {"psc_interface_config": {"dns_peering_configs": [without(PEERING, "domain")]}},
            "without `domain`",
        ),
        (
            {"psc_interface_config": {"dns_peering_configs": [PEERING | {"domain": "a.internal"}]}},
            "must end with a dot",
        ),
        ({"psc_interface_config": {"dns_peering_configs": "a"}}, "configs` must be a list"),
        *(({"nfs_mounts": [without(NFS, name)]}, f"without `{name}`") for name in NFS),
        *(({"lustre_mounts": [without(LUSTRE, name)]}, f"without `{name}`") for name in LUSTRE),
        ({"nfs_mounts": [NFS | {"path": "share"}]}, "must start with `/`"),
        ({"nfs_mounts": [NFS | {"options": "ro"}]}, "`[0].options` is not a field"),
        ({"nfs_mounts": [NFS | {"server": 5}]}, "`[0].server` must be a string"),
        ({"models": ["m"]}, "gcloud ai models list"),
        ({"tensorboard": BOARD}, "Set `service_account`"),
        (
            {"additional_training_job_args": {"env": [
                {"name": f"V{n}", "value": "1"} for n in range(101)
            ]}},
            "101 environment variables",
        ),
        (
            {"additional_training_job_args": {"env": [{"name": "V", "value": "x" * 131_070}]}},
            "`V` has 131072 bytes",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_one_problem(settings: dict[str, Any], words: str) -> None:
    """One broken rule gives one problem, which says what to write instead."""
    (problem,) = find(settings)
    assert words in problem


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scheduling_strategy": "ON_DEMAND"}, "scheduling_strategy='STANDARD'"),
        ({"scheduling_strategy": "LOW_COST"}, "scheduling_strategy='SPOT'"),
        ({"scheduling_strategy": "FLEX_START"}, "`accelerator_type` is not set"),
        (
            {
                "scheduling_strategy": "FLEX_START",
                "accelerator_type": "T4",
                "accelerator_count": 1,
            },
            "Google documents Flex-start for L4, A100",
        ),
        (
            {"scheduling_strategy": "SPOT", "persistent_resource_id": "pool"},
            "no strategy for jobs on a persistent resource",
        ),
    ],
)
def test_what_google_does_not_document_brings_advice(settings: dict[str, Any], words: str) -> None:
    """What may work some day is a warning."""
    read = VertexStepOperatorSettings(region="europe-west4", **settings).to_job_fields()
    assert find_problems(read) == []
    (advice,) = advise(read)
    assert words in advice
