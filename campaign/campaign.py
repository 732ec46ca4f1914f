"""Runs trials one after the other in one world."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from campaign.edges import Edges, led_to
from campaign.facts import Facts
from campaign.operators import Subject
from campaign.oracle import Verdict, judge
from campaign.running import TrialRun
from campaign.shrinking import shrink
from campaign.tally import Tally
from campaign.trial import Trial
from campaign.world import World
from zenml_vertex.cloud.endpoint import EMULATOR_VARIABLE

Run = Callable[[Trial], Facts]
OnFailure = Callable[[Trial, Verdict], None]


@contextmanager
def opened_world() -> Iterator[tuple[World, Edges]]:
    """A world, and the edges of processes in it."""
    with ExitStack() as stack:
        world = stack.enter_context(World())
        stack.enter_context(_variable(EMULATOR_VARIABLE, world.host))
        yield world, stack.enter_context(led_to(world))


@contextmanager
def opened(subject: Subject) -> Iterator[Run]:
    """A world in which trials can be run.

    Args:
        subject: The step operator that is tried.
    """
    with (
        opened_world() as (world, edges),
        TemporaryDirectory(prefix="faults-") as folder,
    ):
        key_file = _write_key(Path(folder) / "key.json", world.url)

        def run(trial: Trial) -> Facts:
            return TrialRun(world, edges, trial, subject, key_file).run()

        yield run


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def _write_key(path: Path, url: str) -> Path:
    """Write a service account's key that is good for nothing but the emulator."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    info = {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "trainer@my-project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{url}/token",
    }
    path.write_text(json.dumps(info), "utf-8")
    return path


def run_campaign(run: Run, trials: Iterable[Trial], on_failure: OnFailure | None = None) -> Tally:
    """Run trials, and count.

    Args:
        run: Runs one.
        trials: They.
        on_failure: Called with each that goes wrong, made small; None for nothing.
    """
    tally = Tally()
    for trial in trials:
        facts = run(trial)
        verdict = judge(facts)
        tally.add(facts, verdict)
        if on_failure and not verdict.is_right:
            small = shrink(trial, lambda one: not judge(run(one)).is_right)
            on_failure(small, judge(run(small)))
    return tally
