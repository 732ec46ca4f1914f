"""What the demo says while its pipeline runs, and the summary at its end."""

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from zenml_vertex.local_stack.demo import demo
from zenml_vertex.local_stack.demo.summary import DemoSummary, format_summary
from zenml_vertex.local_stack.views.vertex import StateChange


def test_the_summary_names_job_states_accuracy_and_times() -> None:
    """The summary has the job, its states, the accuracy and the times."""

    def at(second: int, millisecond: int) -> datetime:
        return datetime(2026, 1, 2, 3, 4, second, 1000 * millisecond, tzinfo=timezone.utc)

    summary = DemoSummary(
        job_name="projects/1/locations/europe-west4/customJobs/2",
        history=[
            StateChange("QUEUED", at(0, 7)),
            StateChange("RUNNING", at(1, 507)),
            StateChange("SUCCEEDED", at(5, 0)),
        ],
        accuracy=0.98765,
        test_images=360,
        step_seconds={"load": 0.5, "train": 4.0},
        seconds={"servers": 5.25, "pipeline": 11.5},
    )
    assert format_summary(summary) == [
        "Vertex AI job   projects/1/locations/europe-west4/customJobs/2",
        "Its states      QUEUED     03:04:00.007 UTC  for 1.5 s",
        "                RUNNING    03:04:01.507 UTC  for 3.5 s",
        "                SUCCEEDED  03:04:05.000 UTC",
        "Model accuracy  98.8% of 360 digits that it had not seen",
        "Time            servers        5.2 s",
        "                pipeline      11.5 s  (load 0.5 s, train 4.0 s)",
        "                together      16.8 s",
    ]


class Scripted:
    """Stands for a pipeline's process: what it prints, with None where it is silent for long."""

    def __init__(self, *script: str | None) -> None:
        self.script = list(script)

    def lines(self, seconds: float, *, start: int) -> Iterator[str]:
        """The lines up to the next silence."""
        del seconds, start
        while self.script:
            line = self.script.pop(0)
            if line is None:
                raise TimeoutError
            yield line

    def wait(self) -> str:
        """Its end."""
        return "completed"


def test_a_silent_pipeline_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches is told while nothing is printed, and a pipeline that hangs is an error."""
    said: list[str] = []
    process: Any = Scripted(None, None, "a", None, None, "b", "c", None)
    assert demo._follow(process, said.append) == "completed"
    importing = "Waiting for the pipeline, which is importing ZenML: 0 s."
    waiting = "Waiting for the pipeline: 0 s."
    assert said == [importing, importing, "  | a", waiting, "  | b", "  | c"]
    monkeypatch.setattr(demo, "_SILENT_SECONDS", 0.0)
    process = Scripted("a", None)
    with pytest.raises(demo.DemoError, match="has printed nothing for 0 s"):
        demo._follow(process, said.append)
