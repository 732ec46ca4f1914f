"""Runs trials one after the other in one world, and shrinks those that fail."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from campaign.crowd import CrowdRun, draw_crowd
from campaign.operators import Subject
from campaign.oracle import TrialRecord, Verdict, judge
from campaign.patching import CurrentProcess, patched_into
from campaign.running import TrialRun
from campaign.tally import Tally
from campaign.trial import Hazard, Trial, VertexHazard
from campaign.world import World
from zenml_vertex.cloud.endpoint import EMULATOR_VARIABLE

TRIALS_PER_CROWD = 100
"""A campaign has one crowd for so many trials."""

Run = Callable[[Trial], TrialRecord]
OnFailure = Callable[[Trial, Verdict], None]


@contextmanager
def open_world() -> Iterator[tuple[World, CurrentProcess]]:
    """A world, and the process that runs in it."""
    with ExitStack() as stack:
        world = stack.enter_context(World())
        stack.enter_context(_variable(EMULATOR_VARIABLE, world.host))
        yield world, stack.enter_context(patched_into(world))


class Runner:
    """Runs trials and crowds in one world.

    Args:
        world: The world.
        current: Which process the operator runs in.
        subject: The step operator under test.
        key_file: A service account's key.
    """

    def __init__(
        self, world: World, current: CurrentProcess, subject: Subject, key_file: Path
    ) -> None:
        self._world = world
        self._current = current
        self._subject = subject
        self._key_file = key_file

    def __call__(self, trial: Trial) -> TrialRecord:
        """Run a trial."""
        return TrialRun(self._world, self._current, trial, self._subject, self._key_file).run()

    def run_crowd(self, trials: Sequence[Trial]) -> list[TrialRecord]:
        """Run trials as the steps of one pipeline run."""
        return CrowdRun(self._world, self._current, trials, self._subject).run()


@contextmanager
def open_runner(subject: Subject) -> Iterator[Runner]:
    """Open a world, and return what runs trials in it.

    Args:
        subject: The step operator under test.
    """
    with (
        open_world() as (world, current),
        TemporaryDirectory(prefix="faults-") as folder,
    ):
        key_file = _write_key(Path(folder) / "key.json", world.url)
        yield Runner(world, current, subject, key_file)


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


def run_crowds(runner: Runner, seed: int, trials: int) -> Tally:
    """Run the crowds of a campaign, and count the outcomes.

    Args:
        runner: Runs them.
        seed: Seed of the campaign.
        trials: How many trials the campaign has.
    """
    tally = Tally()
    for index in range(trials // TRIALS_PER_CROWD):
        for record in runner.run_crowd(draw_crowd(seed, index)):
            tally.add(record, judge(record))
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
