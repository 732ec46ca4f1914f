"""The rows of the table: what each says, how it is measured, and what it should be. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

STEPS = (1, 10, 100, 1000)
TEARDOWNS = (0, 15, 45)
# Reads of a project and region that Vertex AI answers in a minute, for everybody
# (https://cloud.google.com/vertex-ai/docs/quotas).
QUOTA = 600

Target = Callable[[float, float], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """A row.

    Args:
        id: Its ID.
        unit: Unit of both figures.
        title: What the figures say.
        target: What this operator's figure should be, for people; empty for none.
        is_met: Whether it is, from the built-in operator's figure and this one's.
        how: How many samples there are, and of what.
    """

    id: str
    unit: str
    title: str
    target: str
    is_met: Target
    how: str


def _below(limit: float) -> Target:
    return lambda _, ours: ours < limit


def _at_most(limit: float) -> Target:
    return lambda _, ours: ours <= limit


def _share(share: float) -> Target:
    return lambda builtin, ours: ours < share * builtin


def _any(builtin: float, ours: float) -> bool:
    del builtin, ours
    return True


_MEDIAN = "median of 5, in turn"
_COUNTED = "counted once: the clock is moved by hand"


def _lag(teardown: int) -> Row:
    return Row(
        f"lag_seconds_{teardown}",
        "s",
        f"A step's own end to its end for the pipeline, where Vertex AI needs {teardown} s to tear "
        "the job down",
        "under 1 s",
        _below(1.0),
        "median of 5 static pipelines",
    )


def _reads(steps: int) -> tuple[Row, Row]:
    most = 12 + 12 * (-(-steps // 100) - 1)
    steps_text = "1 step waits" if steps == 1 else f"{steps:,} steps wait"
    return (
        Row(
            f"reads_per_minute_{steps}",
            "reads/min",
            f"API reads a minute while {steps_text} in one process: mean of the first hour",
            f"at most {most}",
            _at_most(most),
            _COUNTED,
        ),
        Row(
            f"reads_per_minute_{steps}_peak",
            "reads/min",
            "The same in the busiest minute of that hour",
            f"at most {most}",
            _at_most(most),
            _COUNTED,
        ),
    )


ROWS: tuple[Row, ...] = (
    Row(
        "import_seconds", "s",
        "Import of the operator's module, beyond `zenml.step_operators`",
        "under 2 % of the built-in's", _share(0.02), _MEDIAN,
    ),
    Row(
        "import_megabytes", "MB",
        "Memory that the import takes",
        "under 2 % of the built-in's", _share(0.02), _MEDIAN,
    ),
    Row(
        "container_seconds", "s",
        "A step's container, from its start to the first line of user code; the same with nothing "
        "of google-cloud-aiplatform loaded, which is checked",
        "under the built-in's", _share(1.0), _MEDIAN,
    ),
    Row(
        "launch_seconds", "s",
        "The pipeline's call to the creation of its job, without an image build, of a client that "
        "is logged in to the ZenML server",
        "under half of the built-in's", _share(0.5), _MEDIAN,
    ),
    *(_lag(teardown) for teardown in TEARDOWNS),
    *(row for steps in STEPS for row in _reads(steps)),
    Row(
        "reads_per_minute_processes_1000", "reads/min",
        "API reads a minute while 1,000 steps wait in a process each, all of them together: mean "
        "of the last 10 minutes",
        f"under {QUOTA}", _below(QUOTA), _COUNTED,
    ),
    Row(
        "reads_per_minute_processes_1000_peak", "reads/min",
        "The same in the busiest minute, from the first of 60 creations a minute on",
        f"under {QUOTA}", _below(QUOTA), _COUNTED,
    ),
    Row(
        "runner_round_seconds_1000", "s",
        "One round of the dynamic runner over 1,000 steps, at 100 ms for each call to Vertex AI",
        "under 1 s", _below(1.0), "median of 5 rounds; built-in: 1 round, 1,000 equal calls",
    ),
    Row(
        "kilobytes_per_step", "kB",
        "Memory of the process for each of 1,000 steps that wait in it",
        "under 50 kB", _below(50.0), "mean over 1,000 steps",
    ),
    Row(
        "threads_per_step", "threads",
        "Threads of the process for each of 1,000 steps that wait in it",
        "none for each", _below(0.01), "mean over 1,000 steps",
    ),
    Row(
        "server_requests_per_step_minute_1", "requests/min",
        "Requests to the ZenML server for each step and minute, while 1 step waits",
        "", _any, _COUNTED,
    ),
    Row(
        "server_requests_per_step_minute_1000", "requests/min",
        "The same while 1,000 steps wait in one process",
        "", _any, _COUNTED,
    ),
)  # fmt: skip
BY_ID = {row.id: row for row in ROWS}


class UnknownRowError(Exception):
    """A row was asked for that does not exist."""


def choose_rows(text: str) -> list[Row]:
    """The rows of a list like `import_seconds,lag_seconds_45`; all, if it is empty.

    Raises:
        UnknownRowError: If there is no such row.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in BY_ID]:
        raise UnknownRowError(
            f"There is no row {', '.join(unknown)}. The rows: {', '.join(BY_ID)}."
        )
    return [row for row in ROWS if not names or row.id in names]
