"""What a campaign has come to, and how it is told. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from campaign.boundaries import KILLABLE
from campaign.oracle import TrialRecord, Verdict
from campaign.trial import Trial

_NUMBERS = ("trials", "jobs", "duplicates", "leaked", "wrong", "endless")
_HEADINGS = (
    "trials",
    "jobs created",
    "duplicates",
    "jobs left running",
    "wrong final states",
    "endless waits",
)


@dataclass(slots=True)
class Tally:
    """Numbers of a campaign.

    Args:
        trials: Trials that were run.
        jobs: Jobs that were created.
        duplicates: Those beyond one for each step run.
        leaked: Those that go on although nobody will end them.
        wrong: Trials with a wrong final state.
        endless: Trials with a wait that has no end.
        hits: Kind of a hazard -> how often it has happened.
        crossed: The boundaries that were crossed.
        killed: Boundary -> how often a process was killed there.
    """

    trials: int = 0
    jobs: int = 0
    duplicates: int = 0
    leaked: int = 0
    wrong: int = 0
    endless: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    crossed: set[str] = field(default_factory=set)
    killed: Counter[str] = field(default_factory=Counter)

    def add(self, record: TrialRecord, verdict: Verdict) -> None:
        """Count a trial."""
        self.trials += 1
        self.jobs += verdict.jobs
        self.duplicates += verdict.duplicates
        self.leaked += verdict.leaked
        self.wrong += bool(verdict.wrong)
        self.endless += verdict.endless
        self.hits.update(record.hits)
        self.crossed |= record.seen
        self.killed.update(record.cut)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.duplicates or self.leaked or self.wrong or self.endless)

    @property
    def unmet(self) -> list[str]:
        """The boundaries of the operator at which no process was killed."""
        every = {place for places in KILLABLE.values() for place in places}
        return sorted(every - set(self.killed))

    @property
    def unlisted(self) -> list[str]:
        """The boundaries that were crossed and can never be met."""
        every = {place for places in KILLABLE.values() for place in places}
        return sorted(
            place for place in self.crossed - every if not place.startswith(("start", "sweep"))
        )

    def to_numbers(self) -> list[int]:
        """The numbers under the headings."""
        return [getattr(self, name) for name in _NUMBERS]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        body = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**body, "crossed": sorted(self.crossed)}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Tally":
        """Read what `to_json` has written."""
        numbers = {
            one.name: body[one.name] for one in fields(cls) if isinstance(body[one.name], int)
        }
        return cls(
            **numbers,
            hits=Counter(body["hits"]),
            crossed=set(body["crossed"]),
            killed=Counter(body["killed"]),
        )


def render_table(tallies: Mapping[str, Tally]) -> str:
    """The table of several operators, as Markdown."""
    rows = [
        ["operator", *_HEADINGS],
        ["---", *["--:"] * len(_HEADINGS)],
        *([name, *map(str, tally.to_numbers())] for name, tally in tallies.items()),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def render_hits(tally: Tally) -> str:
    """How often each kind of hazard has happened, and where processes were killed."""
    kinds = [f"  {count:>6}  {kind}" for kind, count in sorted(tally.hits.items())]
    met = f"{len(tally.killed)} boundaries, {tally.killed.total()} times"
    unmet = f"; never at: {', '.join(tally.unmet)}" if tally.unmet else ", every one there is"
    return "\n".join(["What has happened, and how often:", *kinds, f"Killed at {met}{unmet}"])


def render_summary(tally: Tally) -> str:
    """The last line."""
    numbers = (f"{name}={n}" for name, n in zip(_NUMBERS, tally.to_numbers(), strict=True))
    return f"faults: {' '.join(numbers)}"


def render_failure(trial: Trial, verdict: Verdict) -> str:
    """A trial that has gone wrong, so that it can be run again."""
    parts = {
        "duplicates": verdict.duplicates,
        "leaked": verdict.leaked,
        "wrong": verdict.wrong,
        "endless": verdict.endless,
    }
    what = ", ".join(f"{name}: {value}" for name, value in parts.items() if value)
    lines = [
        f"trial {trial.index} ({what})",
        f"  {trial.mode}, {trial.step}, sequel={trial.sequel!r} after {trial.delay:.1f} s, "
        f"detaches={trial.detaches}, has_key={trial.has_key}",
        *(f"  {hazard}" for hazard in trial.hazards),
    ]
    return "\n".join(lines)
