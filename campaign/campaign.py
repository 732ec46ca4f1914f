"""Runs trials one after the other in one world, and shrinks those that fail."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from campaign.operators import Subject
from campaign.oracle import TrialRecord, Verdict, judge
from campaign.patching import CurrentProcess, patched_into
from campaign.running import TrialRun
from campaign.tally import Tally
from campaign.trial import Hazard, Trial, VertexHazard
from campaign.world import World
from zenml_vertex.cloud.endpoint import EMULATOR_VARIABLE

Run = Callable[[Trial], TrialRecord]
OnFailure = Callable[[Trial, Verdict], None]


@contextmanager
def open_world() -> Iterator[tuple[World, CurrentProcess]]:
    """A world, and the process that runs in it."""
    with ExitStack() as stack:
        world = stack.enter_context(World())
        stack.enter_context(_variable(EMULATOR_VARIABLE, world.host))
        yield world, stack.enter_context(patched_into(world))


@contextmanager
def open_runner(subject: Subject) -> Iterator[Run]:
    """Open a world, and return a function that runs a trial in it.

    Args:
        subject: The step operator under test.
    """
    with (
        open_world() as (world, current),
        TemporaryDirectory(prefix="faults-") as folder,
    ):
        key_file = _write_key(Path(folder) / "key.json", world.url)

        def run(trial: Trial) -> TrialRecord:
            return TrialRun(world, current, trial, subject, key_file).run()

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
    """Write a service account's key, which only the emulator accepts."""
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
    """Run trials, and count the outcomes.

    Args:
        run: Runs a trial.
        trials: The trials.
        on_failure: Is called with each trial that fails, made as small as possible.
    """
    tally = Tally()
    for trial in trials:
        record = run(trial)
        verdict = judge(record)
        tally.add(record, verdict)
        if on_failure and not verdict.is_right:
            small = shrink(trial, lambda one: not judge(run(one)).is_right)
            on_failure(small, judge(run(small)))
    return tally


def shrink(trial: Trial, fails: Callable[[Trial], bool]) -> Trial:
    """Drop one hazard after the other while the trial still fails.

    Args:
        trial: A trial that fails.
        fails: Runs a trial; whether it fails.
    """
    while smaller := next((one for one in _iter_smaller(trial) if fails(one)), None):
        trial = smaller
    return trial


def _iter_smaller(trial: Trial) -> Iterator[Trial]:
    for index, hazard in enumerate(trial.hazards):
        before, after = trial.hazards[:index], trial.hazards[index + 1 :]
        yield replace(trial, hazards=(*before, *after))
        for smaller in _iter_parts(hazard):
            yield replace(trial, hazards=(*before, smaller, *after))
    if trial.detaches:
        yield replace(trial, detaches=False)
    if trial.delay:
        yield replace(trial, delay=0.0)


def _iter_parts(hazard: Hazard) -> Iterator[Hazard]:
    """A hazard of several faults, with one of them left out."""
    if isinstance(hazard, VertexHazard) and len(hazard.faults) > 1:
        for index in range(len(hazard.faults)):
            rest = (*hazard.faults[:index], *hazard.faults[index + 1 :])
            yield replace(hazard, faults=rest)
