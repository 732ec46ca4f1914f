"""The machine of a job: chosen from wishes where none is set, completed, and never too small."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.machine_choice import FittedJob, Wishes, fit_machine
from zenml_vertex.job.machines import RESERVATION, Machine, load_catalogue
from zenml_vertex.job.rules import advise, find_problems

pytestmark = pytest.mark.smoke


def make_job(gpu_count: int | None = None, **written: Any) -> JobFields:
    """What a step with these settings asks for, in `europe-west4`."""
    return VertexStepOperatorSettings(**({"region": "europe-west4"} | written)).to_job_fields(
        gpu_count=gpu_count
    )


def fit(
    cpus: float = 0, memory_gib: float = 0, gpu_count: int | None = None, **written: Any
) -> FittedJob:
    """Fit a machine to a step's settings and wishes."""
    return fit_machine(make_job(gpu_count, **written), Wishes(cpus, memory_gib))


@pytest.mark.parametrize(
    ("wishes", "chosen"),
    [
        ({"cpus": 8}, "n1-standard-8"),
        ({"cpus": 5}, "n1-standard-8"),
        ({"cpus": 0.5}, "e2-highmem-2"),
        ({"cpus": 4}, "n1-standard-4"),
        ({"cpus": 2, "memory_gib": 8}, "n1-highmem-2"),
        ({"cpus": 16}, "e2-highcpu-16"),
        ({"memory_gib": 64}, "e2-highmem-8"),
        ({"memory_gib": 40}, "n1-highmem-8"),
        ({"cpus": 30, "memory_gib": 64}, "n1-standard-32"),
        ({"cpus": 96, "memory_gib": 500}, "n1-highmem-96"),
        ({"memory_gib": 2000}, "m1-ultramem-160"),
    ],
)
def test_the_smallest_machine_type_is_chosen(wishes: dict[str, Any], chosen: str) -> None:
    """Where no machine type is set, ResourceSettings choose it, by the order in the docs."""
    fitted = fit(**wishes)
    assert fitted.problems == ()
    assert fitted.job.machine_type == chosen
    assert f"`{chosen}` (" in fitted.choices[0]


@pytest.mark.parametrize(
    ("written", "wishes", "chosen", "count"),
    [
        ({"accelerator_type": "L4", "accelerator_count": 1}, {}, "g2-standard-4", 1),
        ({"accelerator_type": "NVIDIA_L4", "accelerator_count": 1}, {}, "g2-standard-4", 1),
        ({"accelerator_type": "L4", "gpu_count": 1}, {"memory_gib": 40}, "g2-standard-12", 1),
        ({"accelerator_type": "L4", "gpu_count": 2}, {}, "g2-standard-24", 2),
        ({"accelerator_type": "L4", "gpu_count": 3}, {}, "g2-standard-48", 4),
        ({"accelerator_type": "A100", "gpu_count": 1}, {}, "a2-highgpu-1g", 1),
        ({"accelerator_type": "A100-80GB", "gpu_count": 8}, {}, "a2-ultragpu-8g", 8),
        ({"accelerator_type": "H100", "gpu_count": 1}, {}, "a3-highgpu-1g", 1),
        ({"accelerator_type": "T4", "gpu_count": 1}, {"cpus": 8}, "n1-standard-8", 1),
        ({"accelerator_type": "T4", "gpu_count": 1}, {"cpus": 1, "memory_gib": 1}, None, 1),
        ({"accelerator_type": "T4", "gpu_count": 1}, {"memory_gib": 200}, "n1-highmem-32", 2),
        ({"accelerator_type": "TPU_V3", "accelerator_count": 8}, {}, "cloud-tpu", 8),
    ],
)
def test_a_machine_type_that_carries_the_accelerator_is_chosen(
    written: dict[str, Any], wishes: dict[str, Any], chosen: str | None, count: int
) -> None:
    """A wanted accelerator restricts the choice; more of it come only where no type has as few.

    A GPU beside fewer than four CPUs is not chosen.
    """
    fitted = fit(**wishes, **written)
    assert fitted.problems == ()
    assert fitted.job.machine_type == (chosen or "n1-standard-4")
    assert fitted.job.accelerator_count == count
    assert find_problems(fitted.job) == []


def test_the_default_machine_type_stays_where_it_fits() -> None:
    """Without a wish, and with a GPU that it takes, nothing is chosen and nothing is said."""
    kind: dict[str, Any] = {"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 1}
    for job in (make_job(), make_job(**kind), make_job(accelerator_type="T4", gpu_count=0)):
        assert fit_machine(job, Wishes()) == FittedJob(job)


def test_a_choice_says_what_it_was_chosen_from() -> None:
    """One sentence has the machine, its size, how many fit, the wishes and the next larger one."""
    wishes = Wishes(cpus=8, memory_gib=29.8, memory="32GB")
    fitted = fit_machine(make_job(accelerator_type="L4", accelerator_count=1), wishes)
    assert fitted.choices == (
        "`g2-standard-8` (8 vCPUs, 32 GiB, 1 NVIDIA_L4) is the smallest of 7 machine types with "
        "cpu_count=8, memory=32GB and 1 NVIDIA_L4 in europe-west4; the next larger is "
        "`g2-standard-12`.",
    )
    only = fit(gpu_count=1, accelerator_type="H200")
    assert only.choices == (
        "`a3-ultragpu-8g` (224 vCPUs, 2952 GiB, 8 NVIDIA_H200_141GB) is the only machine type with "
        "1 NVIDIA_H200_141GB in europe-west4.",
    )


@pytest.mark.parametrize(
    "written",
    [
        {"machine_type": "n1-standard-4"},
        {"additional_training_job_args": {"machine_type": "n1-standard-4"}},
    ],
)
def test_a_machine_type_that_is_set_is_never_changed(written: dict[str, Any]) -> None:
    """The default that somebody has written is a wish: too small, it is an error with a way out."""
    fitted = fit(cpus=8, **written)
    assert fitted.job.machine_type == "n1-standard-4"
    (problem,) = fitted.problems
    assert (
        "is `n1-standard-4` (4 vCPUs, 15 GiB), which is smaller than ResourceSettings(" in problem
    )
    assert "cpu_count=8) of the step. The smallest that fits is `n1-standard-8` (8 vCPUs" in problem
    assert fit(cpus=4, memory_gib=15, **written).problems == ()


@pytest.mark.parametrize(
    ("written", "wishes", "words"),
    [
        ({"machine_type": "n1-standard-8"}, {"memory_gib": 40}, "is `n1-highmem-8` ("),
        ({"machine_type": "e2-standard-4"}, {"cpus": 5}, "is `e2-standard-8` ("),
        ({"machine_type": "n2-standard-4"}, {"cpus": 96}, "is `n1-highcpu-96` ("),
        ({"machine_type": "g2-standard-4"}, {"memory_gib": 90}, "is `g2-standard-32` ("),
        ({"machine_type": "a2-highgpu-1g"}, {"memory_gib": 500}, "is `a2-highgpu-8g` ("),
        ({"machine_type": "n1-standard-4"}, {"cpus": 1000}, "The largest is `m1-ultramem-160`"),
        ({"machine_type": "ct5lp-hightpu-1t"}, {"cpus": 100}, "Ask for less, or set a larger one."),
    ],
)
def test_the_smallest_machine_type_that_fits_is_named(
    written: dict[str, Any], wishes: dict[str, Any], words: str
) -> None:
    """It is of the family that was set, if one of that is large enough."""
    (problem,) = fit(**wishes, **written).problems
    assert words in problem


@pytest.mark.parametrize(
    ("written", "wishes", "words"),
    [
        (
            {},
            {"cpus": 1000},
            "The largest is `m1-ultramem-160` (160 vCPUs, 3844 GiB). Ask for less",
        ),
        (
            {"gpu_count": 9, "accelerator_type": "L4"},
            {},
            "The largest is `g2-standard-96` (96 vCPU",
        ),
        (
            {"gpu_count": 1, "accelerator_type": "L4"},
            {"memory_gib": 500},
            "memory=500GiB and 1 NVIDIA_L4. The largest is `g2-standard-96` (96 vCPUs, 384 GiB,",
        ),
        (
            {"gpu_count": 1, "accelerator_type": "L4", "region": "us-west3"},
            {},
            "not available for training in `us-west3`, says Google's list of 2026-08-22",
        ),
        (
            {"gpu_count": 4, "accelerator_type": "GB200", "region": "us-central1"},
            {},
            "`a4x-highgpu-4g` has 4 NVIDIA_GB200, and needs a reservation.",
        ),
    ],
)
def test_where_nothing_fits_the_error_has_a_way_out(
    written: dict[str, Any], wishes: dict[str, Any], words: str
) -> None:
    """The largest machine type is named, or the regions that have the accelerator."""
    fitted = fit(**wishes, **written)
    (problem,) = fitted.problems
    assert words in problem
    assert fitted.job.machine_type == "n1-standard-4"
    assert fitted.choices == ()


def test_a_reservation_allows_the_machine_that_needs_one() -> None:
    """What needs a reservation is chosen where the job has one."""
    reserved = {"reservation_affinity_type": "ANY_RESERVATION"}
    fitted = fit(
        gpu_count=4,
        accelerator_type="GB200",
        region="us-central1",
        additional_training_job_args=reserved,
    )
    assert fitted.job.machine_type == "a4x-highgpu-4g"
    assert advise(fitted.job) == []


def test_a_machine_type_that_needs_a_hyperdisk_is_chosen_with_one_only() -> None:
    """N4 has no Persistent Disk, which is the default."""
    assert fit(cpus=2, memory_gib=4).job.machine_type == "n1-highmem-2"
    chosen = fit(cpus=2, memory_gib=4, boot_disk_type="hyperdisk-balanced").job.machine_type
    assert chosen == "n4-highcpu-2"


def test_a_persistent_resource_keeps_the_default_where_it_is_large_enough() -> None:
    """A wish for less than the default does not make a job differ from its resource."""
    job = make_job(persistent_resource_id="pool")
    assert fit_machine(job, Wishes(cpus=2, memory_gib=8)) == FittedJob(job)
    assert fit(cpus=8, persistent_resource_id="pool").job.machine_type == "n1-standard-8"


@pytest.mark.parametrize(
    ("machine_type", "written", "kind", "count"),
    [
        ("a2-highgpu-1g", {}, "NVIDIA_TESLA_A100", 1),
        ("a2-ultragpu-4g", {}, "NVIDIA_A100_80GB", 4),
        ("a3-highgpu-8g", {}, "NVIDIA_H100_80GB", 8),
        ("a4-highgpu-8g", {}, "NVIDIA_B200", 8),
        ("g2-standard-24", {}, "NVIDIA_L4", 2),
        ("g4-standard-384", {}, "NVIDIA_RTX_PRO_6000", 8),
        ("g2-standard-24", {"accelerator_type": "L4"}, "NVIDIA_L4", 2),
        ("g2-standard-24", {"gpu_count": 2}, "NVIDIA_L4", 2),
    ],
)
def test_the_accelerator_that_is_built_in_is_filled_in(
    machine_type: str, written: dict[str, Any], kind: str, count: int
) -> None:
    """Type and count are filled in where they are not set, which is said."""
    fitted = fit(machine_type=machine_type, **written)
    assert (fitted.job.accelerator_type, fitted.job.accelerator_count) == (kind, count)
    assert find_problems(fitted.job) == []
    assert fitted.job.has_nvidia_gpu
    assert f"`{machine_type}` has {count} {kind} built in, which the job names." in fitted.choices


def test_the_boot_disk_is_the_one_that_the_machine_has_by_default() -> None:
    """`a3-ultragpu-8g` and `a4-highgpu-8g` have a Hyperdisk, unless another disk is written."""
    for machine in ("a3-ultragpu-8g", "a4-highgpu-8g"):
        assert fit(machine_type=machine).job.boot_disk_type == "hyperdisk-balanced"
        written = fit(machine_type=machine, boot_disk_type="pd-ssd")
        assert written.job.boot_disk_type == "pd-ssd"
    assert fit(gpu_count=8, accelerator_type="B200").job.boot_disk_type == "hyperdisk-balanced"
    assert fit(machine_type="a3-highgpu-8g").job.boot_disk_type == "pd-ssd"


def test_an_accelerator_that_is_written_is_not_filled_in() -> None:
    """Nothing is said where the settings are whole."""
    fitted = fit(machine_type="g2-standard-4", accelerator_type="L4", accelerator_count=1)
    assert fitted.choices == ()


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (
            {"machine_type": "a2-highgpu-1g", "accelerator_type": "A100", "accelerator_count": 4},
            "has 1 NVIDIA_TESLA_A100 built in, and not 4 NVIDIA_TESLA_A100. Machines that take 4 "
            "of them: `a2-highgpu-4g`.",
        ),
        (
            {"machine_type": "g2-standard-4", "accelerator_type": "T4", "accelerator_count": 1},
            "`g2-standard-4` has 1 NVIDIA_L4 built in, and not 1 NVIDIA_TESLA_T4.",
        ),
        ({"machine_type": "g2-standard-4", "accelerator_type": "T4"}, "and not NVIDIA_TESLA_T4."),
        ({"machine_type": "g2-standard-4", "gpu_count": 2}, "built in, and not 2 NVIDIA_L4."),
        (
            {"machine_type": "g2-standard-4", "gpu_count": 0},
            "and `gpu_count` of ResourceSettings turns the accelerator off. Set a machine type "
            "without one",
        ),
    ],
)
def test_another_accelerator_than_the_one_built_in_is_refused(
    written: dict[str, Any], words: str
) -> None:
    """A2, A3, A4, G2 and G4 machines have one accelerator, in one number."""
    (problem,) = find_problems(fit(**written).job)
    assert words in problem


def test_a_choice_shows_no_secret() -> None:
    """Neither the region nor the accelerator type is shown where it is a secret."""
    job = make_job(accelerator_type="L4", accelerator_count=1)
    hidden = JobFields(
        region="us-west3",
        machine_type="n1-standard-4",
        accelerator_type=job.accelerator_type,
        accelerator_count=1,
        secrets=frozenset({"region", "accelerator_type"}),
        defaults=job.defaults,
    )
    (problem,) = fit_machine(hidden, Wishes()).problems
    assert "us-west3 " not in problem
    assert "NVIDIA_L4" not in problem


def read_carrying(kind: str | None, count: int) -> list[Machine]:
    """Machine types with at least as many accelerators, which need no reservation."""
    return [
        machine
        for machine in load_catalogue().machines.values()
        if machine.capacity != RESERVATION
        and machine.family != "n4"
        and (max(machine.accelerators.get(kind, (0,))) >= count if kind else not machine.built_in)
    ]


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.just(0.0), st.floats(0.25, 200)),
    st.one_of(st.just(0.0), st.floats(0.5, 4000)),
    st.one_of(
        st.none(), st.sampled_from(sorted(k for k in load_catalogue().accelerators if "NV" in k))
    ),
    st.integers(1, 9),
    st.sampled_from(sorted(load_catalogue().regions)),
)
def test_a_choice_fits_and_none_of_its_family_is_smaller(
    cpus: float, memory_gib: float, kind: str | None, count: int, region: str
) -> None:
    """Whatever is wished for: the choice has it, here, and the job has no problem; or none has it.

    No other machine type of its family with as few accelerators has fewer CPUs, or as many and
    less memory.
    """
    wanted: dict[str, Any] = {}
    if kind:
        wanted = {"accelerator_type": kind, "accelerator_count": count}
    fitted = fit(cpus, memory_gib, region=region, **wanted)
    carrying = read_carrying(kind, count)
    machine = load_catalogue().machines[str(fitted.job.machine_type)]
    if fitted.problems:
        assert (kind and load_catalogue().lacks(region, kind)) or not [
            one for one in carrying if one.is_at_least(cpus or 4, memory_gib or 15)
        ]
        return
    assert find_problems(fitted.job) == []
    if not fitted.choices:
        assert machine.name == "n1-standard-4"
        return
    assert machine.is_at_least(cpus or 4, memory_gib or 15)
    assert not (kind and load_catalogue().lacks(region, kind))
    found = fitted.job.accelerator_count
    for other in carrying:
        counts = other.accelerators.get(str(kind), (None,))
        if other.family == machine.family and found in counts:
            fits = other.is_at_least(cpus or 4, memory_gib or 15) and (other.cpus > 3 or not kind)
            smaller = (other.cpus, other.memory_gib) < (machine.cpus, machine.memory_gib)
            assert not (fits and smaller), other.name
