"""Makes a trial that has gone wrong as small as it can be."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from campaign.trial import Hazard, Trial, VertexHazard


def shrink(trial: Trial, goes_wrong: Callable[[Trial], bool]) -> Trial:
    """Drop one hazard after the other while the trial still goes wrong.

    Args:
        trial: A trial that goes wrong.
        goes_wrong: Runs a trial.
    """
    while smaller := next((one for one in _iter_smaller(trial) if goes_wrong(one)), None):
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
    """A hazard of several faults with one of them less."""
    if isinstance(hazard, VertexHazard) and len(hazard.faults) > 1:
        for index in range(len(hazard.faults)):
            rest = (*hazard.faults[:index], *hazard.faults[index + 1 :])
            yield replace(hazard, faults=rest)
