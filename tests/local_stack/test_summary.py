"""The summary at the end of the demo."""

from datetime import datetime, timezone

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
