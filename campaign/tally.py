"""The numbers of a campaign, and how they are printed. Pure."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from campaign.boundaries import KILLABLE
from campaign.oracle import MOST_LATENESS_SECONDS, TrialRecord, Verdict
from campaign.trial import Trial

_NUMBERS = ("trials", "jobs", "duplicates", "leaked", "wrong", "endless")
_HEADINGS = (
    "trials",
    "jobs created",
    "duplicates",
    "jobs left running",
    "wrong final states",
    "endless waits",
    "lateness in s: median",
    "99th percentile",
    "worst",
)
# Share of the measured steps -> seconds in which the end of so many has to be noticed.
_TARGETS = {0.5: 10.0, 0.99: 90.0, 1.0: MOST_LATENESS_SECONDS}


@dataclass(slots=True)
class Tally:
    """Numbers of a campaign."""

    # Trials that were run.
    trials: int = 0
    # Jobs that were created.
    jobs: int = 0
    # Those beyond one for each step run.
    duplicates: int = 0
    # Those that run on although nobody will cancel them.
    leaked: int = 0
    # Trials with a wrong final status.
    wrong: int = 0
    # Trials with a wait that never ends.
    endless: int = 0
    # Seconds from the end of each step to the moment at which it was noticed.
    lateness: list[float] = field(default_factory=list)
    # Kind of a hazard -> how often it happened.
    hits: Counter[str] = field(default_factory=Counter)
    # The boundaries that were crossed.
    crossed: set[str] = field(default_factory=set)
    # Boundary -> how often a process was killed there.
    killed: Counter[str] = field(default_factory=Counter)

    def add(self, record: TrialRecord, verdict: Verdict) -> None:
        """Count a trial."""
        self.trials += 1
        self.jobs += verdict.jobs
        self.duplicates += verdict.duplicates
        self.leaked += verdict.leaked
        self.wrong += bool(verdict.wrong)
        self.endless += verdict.endless
        if verdict.lateness is not None:
            self.lateness.append(verdict.lateness)
        self.hits.update(record.hits)
        self.crossed |= record.crossed
        self.killed.update(record.killed_at)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong, and the ends of steps are noticed within the targets."""
        is_late = any(self.find_lateness(share) > most for share, most in _TARGETS.items())
        return not (self.duplicates or self.leaked or self.wrong or self.endless or is_late)

    @property
    def never_killed_at(self) -> list[str]:
        """The boundaries of the operator at which no process was killed."""
        every = {name for names in KILLABLE.values() for name in names}
        return sorted(every - set(self.killed))

    @property
    def unlisted(self) -> list[str]:
        """The boundaries that were crossed and are missing in the lists of boundaries."""
        every = {name for names in KILLABLE.values() for name in names}
        return sorted(
            name
            for name in self.crossed - every
            if not name.startswith(("start", "sweep", "attach"))
        )

    def find_lateness(self, share: float) -> float:
        """The seconds in which the end of a share of the steps was noticed; 0 if none was measured.

        Args:
            share: More than 0, at most 1.
        """
        ordered = sorted(self.lateness)
        return ordered[math.ceil(share * len(ordered)) - 1] if ordered else 0.0

    def to_numbers(self) -> list[int]:
        """The counts under the headings."""
        return [getattr(self, name) for name in _NUMBERS]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        body = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**body, "crossed": sorted(self.crossed)}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Tally":
        """Read what `to_json` wrote."""
        numbers = {
            one.name: body[one.name] for one in fields(cls) if isinstance(body[one.name], int)
        }
        return cls(
            **numbers,
            lateness=body["lateness"],
            hits=Counter(body["hits"]),
            crossed=set(body["crossed"]),
            killed=Counter(body["killed"]),
        )


def render_table(tallies: Mapping[str, Tally]) -> str:
    """The table of several operators, as Markdown."""
    rows = [
        ["operator", *_HEADINGS],
        ["---", *["--:"] * len(_HEADINGS)],
        *(
            [
                name,
                *map(str, tally.to_numbers()),
                *(f"{tally.find_lateness(share):.1f}" for share in _TARGETS),
            ]
            for name, tally in tallies.items()
        ),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def render_hits(tally: Tally) -> str:
    """How often each kind of hazard happened, and where processes were killed."""
    kinds = [f"  {count:>6}  {kind}" for kind, count in sorted(tally.hits.items())]
    met = f"{len(tally.killed)} boundaries, {tally.killed.total()} times"
    never = ", ".join(tally.never_killed_at)
    rest = f"; never at: {never}" if never else ", which are all"
    return "\n".join(["Hazards, and how often they happened:", *kinds, f"Killed at {met}{rest}"])


def render_summary(tally: Tally) -> str:
    """The last line."""
    numbers = (f"{name}={n}" for name, n in zip(_NUMBERS, tally.to_numbers(), strict=True))
    lateness = (
        f"{name}={tally.find_lateness(share):.1f}"
        for name, share in zip(("late_median", "late_p99", "late_worst"), _TARGETS, strict=True)
    )
    return f"faults: {' '.join([*numbers, *lateness])}"


def render_failure(trial: Trial, verdict: Verdict) -> str:
    """A trial that failed, so that it can be run again."""
    parts = {
        "duplicates": verdict.duplicates,
        "leaked": verdict.leaked,
        "wrong": verdict.wrong,
        "endless": verdict.endless,
        "seconds late": verdict.is_late and verdict.lateness,
    }
    what = ", ".join(f"{name}: {value}" for name, value in parts.items() if value)
    lines = [
        f"trial {trial.index} ({what})",
        f"  {trial.mode}, {trial.step}, sequel={trial.sequel!r} after {trial.delay:.1f} s, "
        f"detaches={trial.detaches}, has_key={trial.has_key}",
        *(f"  {hazard}" for hazard in trial.hazards),
    ]
    return "\n".join(lines)
