"""The emulator shows what recorded jobs of the real service have shown."""

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
import requests

from tests.support.emulators import JobOf, Json, Submit
from tests.support.recordings import recorder
from tests.support.recordings.recorder import (
    LeakError,
    Service,
    read_recording,
    replace_words,
)
from tests.support.recordings.replay import replay
from tests.support.recordings.trace import find_differences, trace
from vertex_emulator import ManualClock, Script, ScriptedRuntime, VertexEmulator, recorded_timings

FOLDER = Path(__file__).parent / "recordings"
RECORDINGS = sorted(FOLDER.glob("*.json"))
SECRET = "the-secret-words"


def read(file: Path) -> Json:
    """Read a recording."""
    recording: Json = json.loads(file.read_text("utf-8"))
    return recording


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_a_recorded_job_is_played_as_it_was(file: Path) -> None:
    """Scripted to the same end, a job has the same document, entries, labels and order of times."""
    recorded = read(file)
    assert find_differences(recorded, replay(recorded)) == []


def test_the_recordings_have_every_end() -> None:
    """Success, failure, lack of memory, a cancel, and a second start are among the recordings."""
    lines = [line for file in RECORDINGS for line in trace(read(file))]
    assert {line for line in lines if line.startswith("state: ")} == {
        "state: JOB_STATE_SUCCEEDED", "state: JOB_STATE_FAILED", "state: JOB_STATE_CANCELLED",
    }  # fmt: skip
    assert {line.split()[1] for line in lines if line.startswith("error: ")} == {"1", "3", "8"}
    assert any('"log.file.name": "1.log"' in line for line in lines)


def test_a_difference_is_shown() -> None:
    """What another job shows is named, line by line."""
    recorded = read(RECORDINGS[0])
    other = read(RECORDINGS[0])
    other["job"]["state"] = "JOB_STATE_EXPIRED"
    del other["entries"][0]["labels"]["ml.googleapis.com/job_state"]
    differences = find_differences(recorded, other)
    assert "-state: JOB_STATE_FAILED" in differences
    assert "+state: JOB_STATE_EXPIRED" in differences
    assert sum("Waiting for job to be provisioned." in line for line in differences) == 2


def test_a_job_is_recorded_without_its_words(
    submit: Submit, job_of: JobOf, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a recording of a job has is the service's; a name that is left is an error."""
    clock = ManualClock(datetime(2026, 2, 19, 17, 3, 34, 35_308, tzinfo=timezone.utc))
    said = json.dumps({SECRET: SECRET, "n": 1})
    lines = (f"{SECRET} 1", said, "", "Traceback (most recent call last):")
    script = Script(60.0, 1, lines, later_lines=((59.5, SECRET),))
    runtime = ScriptedRuntime(lambda _: script)
    job = job_of(
        "python", SECRET,
        displayName=SECRET, labels={"team": SECRET}, serviceAccount=f"{SECRET}@p.example.com",
        pool={"containerSpec": {
            "imageUri": f"{SECRET}.example/x", "command": [SECRET], "args": [SECRET],
            "env": [{"name": "NAME", "value": SECRET}],
        }},
    )  # fmt: skip
    with VertexEmulator(clock=clock, runtime=runtime, timings=recorded_timings) as emulator:
        name = submit(emulator, job)["name"]
        clock.advance(3600)
        raw = read_recording(Service(requests.Session(), emulator.url, emulator.url), name)
        recorder.main([name, f"--url={emulator.url}"])
    printed = capsys.readouterr().out
    assert SECRET in str(raw)
    recording = json.loads(printed)
    assert recording == replace_words(raw)
    assert SECRET not in printed
    assert "my-project" not in printed
    assert name.split("/")[1] not in printed
    assert recording["job"]["state"] == "JOB_STATE_FAILED"
    assert "\n".join(find_differences(recording, replay(recording))) == ""
    raw["entries"][0]["textPayload"] += " somebody@example.com"
    with pytest.raises(LeakError, match=r"somebody@example\.com"):
        replace_words(raw)
