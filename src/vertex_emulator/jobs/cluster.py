"""The replicas of a job, and how they learn of each other. Pure.

https://cloud.google.com/vertex-ai/docs/training/distributed-training; values as recorded in
containers of real jobs (`CLUSTER_SPEC` in the public logs of several people), and, for
MASTER_ADDR and its like, Snapchat/GiGL, `gigl/common/utils/vertex_ai_context.py`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from vertex_emulator.core.errors import Json

# The recorded port of every replica.
_PORT = 2222
_HOST_DIGITS = 10
# Roles of worker pools, by their position. Evaluators do not belong to TensorFlow's cluster.
_TF_TASKS = ("chief", "worker", "ps", "evaluator")
_EVALUATOR = "evaluator"


@dataclass(frozen=True, slots=True)
class Task:
    """A replica of a job.

    Args:
        pool: Position of its worker pool, from 0.
        index: Which one of the pool, from 0.
    """

    pool: int
    index: int

    @property
    def pool_name(self) -> str:
        """The name of its worker pool, such as `workerpool1`."""
        return f"workerpool{self.pool}"

    @property
    def name(self) -> str:
        """Its name in logs and errors, such as `workerpool1-0`."""
        return f"{self.pool_name}-{self.index}"


PRIMARY_TASK = Task(0, 0)
"""The replica whose end is the end of its job."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the replicas of a job reach each other.

    Args:
        tasks: Each replica with its `host:port`, in the order of their ranks.
        master_host: Where the replica of rank 0 listens.
        master_port: Its port for the others to meet.
    """

    tasks: Mapping[Task, str]
    master_host: str
    master_port: int


def list_tasks(job_spec: Json) -> tuple[Task, ...]:
    """The replicas of a job, in the order of their ranks; the first is the primary.

    Args:
        job_spec: The CustomJobSpec.
    """
    _, *others = job_spec["workerPoolSpecs"]
    return (
        PRIMARY_TASK,
        *(
            Task(pool, index)
            for pool, spec in enumerate(others, start=1)
            if spec
            for index in range(int(spec.get("replicaCount", 1)))
        ),
    )


def name_addresses(job_id: str, job_spec: Json) -> Addresses:
    """The names that replicas have on Vertex AI: ten hexadecimal digits tell jobs apart.

    Which port MASTER_PORT names there is not known; here it is that of the replicas.

    Args:
        job_id: Numeric ID of the job.
        job_spec: Its CustomJobSpec.
    """
    digits = sha256(job_id.encode()).hexdigest()[:_HOST_DIGITS]
    hosts = {
        task: f"cmle-training-{task.pool_name}-{digits}-{task.index}"
        for task in list_tasks(job_spec)
    }
    tasks = {task: f"{host}:{_PORT}" for task, host in hosts.items()}
    return Addresses(tasks, hosts[PRIMARY_TASK], _PORT)


def place_addresses(job_spec: Json, host: str, ports: Sequence[int]) -> Addresses:
    """Addresses of replicas that run side by side on one host.

    Args:
        job_spec: The CustomJobSpec.
        host: Name or address of the host.
        ports: A free port for each replica, and another one for MASTER_PORT.
    """
    master_port, *own = ports
    tasks = list_tasks(job_spec)
    return Addresses(
        {task: f"{host}:{port}" for task, port in zip(tasks, own, strict=True)}, host, master_port
    )


def build_cluster_variables(task: Task, addresses: Addresses) -> dict[str, str]:
    """The variables that describe a job's replicas to one of them.

    A single replica has CLUSTER_SPEC alone.

    Args:
        task: The replica.
        addresses: Those of all replicas.
    """
    variables = {"CLUSTER_SPEC": _to_text(_build_cluster_spec(task, addresses))}
    if len(addresses.tasks) == 1:
        return variables
    return variables | {
        "TF_CONFIG": _to_text(_build_tf_config(task, addresses)),
        "MASTER_ADDR": addresses.master_host,
        "MASTER_PORT": str(addresses.master_port),
        "WORLD_SIZE": str(len(addresses.tasks)),
        "RANK": str(list(addresses.tasks).index(task)),
    }


def _build_cluster_spec(task: Task, addresses: Addresses) -> Json:
    """As recorded: the documentation's `task.trial` is absent.

    `job` does not hold the job's spec, but JSON text with what a Python package would have
    (Snapchat/GiGL says so too).
    """
    cluster: dict[str, list[str]] = {}
    for one, address in addresses.tasks.items():
        cluster.setdefault(one.pool_name, []).append(address)
    return {
        "cluster": cluster,
        "environment": "cloud",
        "task": {"type": task.pool_name, "index": task.index},
        "job": _describe_package(),
    }


def _build_tf_config(task: Task, addresses: Addresses) -> Json:
    """As documented, but for `task.cloud`, an ID of the service's own, and with `job` as above."""
    cluster: dict[str, list[str]] = {}
    for one, address in addresses.tasks.items():
        if (name := _name_tf_task(one)) != _EVALUATOR:
            cluster.setdefault(name, []).append(address)
    return {
        "cluster": cluster,
        "environment": "cloud",
        "task": {"type": _name_tf_task(task), "index": task.index},
        "job": _describe_package(),
    }


def _name_tf_task(task: Task) -> str:
    # Only four roles are documented.
    return _TF_TASKS[task.pool] if task.pool < len(_TF_TASKS) else task.pool_name


def _describe_package() -> str:
    return _to_text({"python_module": "", "package_uris": [], "job_args": []})


def _to_text(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))
