"""What the demo says at its end. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zenml_vertex.local_stack.views.vertex import StateChange

_LABEL_WIDTH = 16


@dataclass(frozen=True, slots=True)
class DemoFacts:
    """What the demo has shown.

    Args:
        job_name: Resource name of the training step's job.
        history: States of the job.
        accuracy: Share of the test images that the model read correctly, 0 to 1.
        test_images: Number of those images.
        step_seconds: How long each step took, in order.
        seconds: How long each phase took, in order.
    """

    job_name: str
    history: Sequence[StateChange]
    accuracy: float
    test_images: int
    step_seconds: Mapping[str, float]
    seconds: dict[str, float] = field(default_factory=dict)


def format_summary(facts: DemoFacts) -> list[str]:
    """The facts as lines for people."""
    return [
        *_paragraph("Vertex AI job", [facts.job_name]),
        *_paragraph("Its states", format_history(facts.history)),
        *_paragraph(
            "Model accuracy",
            [f"{facts.accuracy:.1%} of {facts.test_images} digits that it had not seen"],
        ),
        *_paragraph("Time", format_times(facts)),
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


def format_times(facts: DemoFacts) -> list[str]:
    """The phases, one a line, and their sum."""
    lines = [f"{name:<13}{seconds:5.1f} s" for name, seconds in facts.seconds.items()]
    steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in facts.step_seconds.items())
    lines = [
        f"{line}  ({steps})" if line.startswith("pipeline") and steps else line for line in lines
    ]
    return [*lines, f"{'together':<13}{sum(facts.seconds.values()):5.1f} s"]


def _paragraph(label: str, lines: Sequence[str]) -> list[str]:
    first, *rest = lines
    return [f"{label:<{_LABEL_WIDTH}}{first}", *(" " * _LABEL_WIDTH + line for line in rest)]
