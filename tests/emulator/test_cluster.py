"""What a replica is told of the others."""

import json
from typing import Any

import pytest

from tests.emulator.test_container_environment import job
from vertex_emulator.jobs.cluster import Task, list_tasks, name_addresses, place_addresses
from vertex_emulator.jobs.container_environment import (
    build_args,
    build_command,
    build_environment,
)
from vertex_emulator.jobs.job import Job

CLUSTER = ("TF_CONFIG", "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK")


def of_pools(*pools: Any) -> Job:
    """Build a job with worker pools: the number of replicas of each, None for an empty one."""
    specs = [
        {}
        if count is None
        else {"replicaCount": str(count), "containerSpec": {"imageUri": "i", "args": [str(place)]}}
        for place, count in enumerate(pools)
    ]
    return job({}, workerPoolSpecs=specs)


def test_each_replica_learns_its_place() -> None:
    """CLUSTER_SPEC is the recorded text but for the digits: pools, hosts, task, package."""
    three = of_pools(1, 2)
    cluster = {
        pool: [f"cmle-training-{pool}-73475cb40a-{index}:2222" for index in range(count)]
        for pool, count in (("workerpool0", 1), ("workerpool1", 2))
    }
    assert [task.name for task in list_tasks(three.request["jobSpec"])] == [
        "workerpool0-0",
        "workerpool1-0",
        "workerpool1-1",
    ]
    for task in list_tasks(three.request["jobSpec"]):
        assert json.loads(build_environment(three, task)["CLUSTER_SPEC"]) == {
            "cluster": cluster,
            "environment": "cloud",
            "task": {"type": task.pool_name, "index": task.index},
            "job": '{"python_module":"","package_uris":[],"job_args":[]}',
        }


def test_pytorch_finds_its_variables() -> None:
    """All replicas name the same master and size, and the ranks go through the pools in order."""
    five = of_pools(1, 2, None, 2)
    tasks = list_tasks(five.request["jobSpec"])
    given = [build_environment(five, task) for task in tasks]
    assert [one["RANK"] for one in given] == ["0", "1", "2", "3", "4"]
    assert {one["WORLD_SIZE"] for one in given} == {"5"}
    (master,) = {one["MASTER_ADDR"] for one in given}
    assert json.loads(given[0]["CLUSTER_SPEC"])["cluster"]["workerpool0"] == [f"{master}:2222"]
    assert len({one["MASTER_PORT"] for one in given}) == 1


def test_tensorflow_finds_its_roles() -> None:
    """TF_CONFIG calls the pools chief, worker and ps; evaluators are not in its cluster."""
    given = of_pools(1, 1, 2, 1)
    tasks = list_tasks(given.request["jobSpec"])
    configs = [json.loads(build_environment(given, task)["TF_CONFIG"]) for task in tasks]
    sizes = {name: len(hosts) for name, hosts in configs[0]["cluster"].items()}
    assert sizes == {"chief": 1, "worker": 1, "ps": 2}
    assert all(one["cluster"] == configs[0]["cluster"] for one in configs)
    assert [(one["task"]["type"], one["task"]["index"]) for one in configs] == [
        ("chief", 0),
        ("worker", 0),
        ("ps", 0),
        ("ps", 1),
        ("evaluator", 0),
    ]


@pytest.mark.parametrize("pools", [(1,), (1, None), (1, None, None)])
def test_a_single_replica_has_no_cluster(pools: tuple[Any, ...]) -> None:
    """A job with one replica has CLUSTER_SPEC alone, whatever empty pools follow."""
    environment = build_environment(of_pools(*pools))
    assert list(json.loads(environment["CLUSTER_SPEC"])["cluster"]) == ["workerpool0"]
    assert not set(CLUSTER) & set(environment)


def test_replicas_on_one_machine_have_ports_of_their_own() -> None:
    """On one host, every replica has a port, and the master one more."""
    three = of_pools(1, None, 2)
    addresses = place_addresses(three.request["jobSpec"], "127.0.0.1", [7000, 7001, 7002, 7003])
    environment = build_environment(three, Task(2, 1), addresses)
    assert (environment["MASTER_ADDR"], environment["MASTER_PORT"]) == ("127.0.0.1", "7000")
    assert json.loads(environment["CLUSTER_SPEC"])["cluster"] == {
        "workerpool0": ["127.0.0.1:7001"],
        "workerpool2": ["127.0.0.1:7002", "127.0.0.1:7003"],
    }


def test_a_replica_runs_what_its_pool_says() -> None:
    """Command, arguments and variables are those of the replica's own pool."""
    two = of_pools(1, None, 1)
    worker = two.request["jobSpec"]["workerPoolSpecs"][2]["containerSpec"]
    worker |= {"command": ["run", "$(RANK)"], "env": [{"name": "ROLE", "value": "$(RANK)"}]}
    task = Task(2, 0)
    environment = build_environment(two, task)
    assert environment["ROLE"] == "1"
    assert build_command(two, environment, task) == ("run", "1")
    assert build_args(two, environment, task) == ("2",)
    assert "ROLE" not in build_environment(two)
    assert name_addresses(two.job_id, two.request["jobSpec"]).tasks.keys() == {Task(0, 0), task}
