"""What the demo says at its end. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zenml_vertex.local_stack.views.vertex import StateChange

_LABEL_WIDTH = 16


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """What the demo has shown."""

    # Resource name of the training step's job.
    job_name: str
    # States of the job, the oldest first.
    history: Sequence[StateChange]
    # Share of the test images that the model read correctly, 0 to 1.
    accuracy: float
    test_images: int
    # Step or phase -> how long it took, in order.
    step_seconds: Mapping[str, float]
    seconds: dict[str, float] = field(default_factory=dict)


def format_summary(summary: DemoSummary) -> list[str]:
    """The summary as lines for people."""
    return [
        *_paragraph("Vertex AI job", [summary.job_name]),
        *_paragraph("Its states", format_history(summary.history)),
        *_paragraph(
            "Model accuracy",
            [f"{summary.accuracy:.1%} of {summary.test_images} digits that it had not seen"],
        ),
        *_paragraph("Time", format_times(summary)),
    ]


def format_history(history: Sequence[StateChange]) -> list[str]:
    """The states of a job, one a line, with the time spent in each."""
    lines = []
    for change, following in zip(history, [*history[1:], None], strict=True):
        line = f"{change.state:<11}{change.time:%H:%M:%S}.{change.time.microsecond // 1000:03} UTC"
        if following:
            line += f"  for {(following.time - change.time).total_seconds():.1f} s"
        lines.append(line)
    return lines


def format_times(summary: DemoSummary) -> list[str]:
    """The phases, one a line, and their sum."""
    lines = [f"{name:<13}{seconds:5.1f} s" for name, seconds in summary.seconds.items()]
    steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in summary.step_seconds.items())
    lines = [
        f"{line}  ({steps})" if line.startswith("pipeline") and steps else line for line in lines
    ]
    return [*lines, f"{'together':<13}{sum(summary.seconds.values()):5.1f} s"]


def _paragraph(label: str, lines: Sequence[str]) -> list[str]:
    first, *rest = lines
    return [f"{label:<{_LABEL_WIDTH}}{first}", *(" " * _LABEL_WIDTH + line for line in rest)]
