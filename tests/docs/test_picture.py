"""The README's picture is a terminal of ours: what it shows, what it leaves out, how it reads."""

from pathlib import Path
from xml.etree import ElementTree as ET

from docs.assets.generate_picture import COMMAND, GAP, PICTURE, choose_lines, render
from tests.support.pages import ROOT, read_picture

_OUTPUT = """\
Starting a ZenML server.
ZenML server is ready at http://127.0.0.1:1.
Step `train` has started.
Vertex AI job 7: FAILED.
Next: choose more memory.
Step train failed.
Traceback (most recent call last):
  File "/home/somebody/train.py", line 164, in submit_pipeline
The servers are stopped; nothing is left running.
"""


def test_the_readme_shows_the_picture() -> None:
    """The README has the picture, what it shows in words, and the command that draws it."""
    text = (ROOT / "README.md").read_text("utf-8")
    assert "[A terminal. " in text
    assert f"]({PICTURE.relative_to(ROOT)})" in text
    assert "`make picture`" in text


def test_a_step_is_shown_from_its_start_to_its_end() -> None:
    """The picture shows the step, and neither tracebacks nor the machine's paths."""
    assert list(choose_lines(_OUTPUT)) == [
        "Starting a ZenML server.",
        GAP,
        "Step `train` has started.",
        "Vertex AI job 7: FAILED.",
        "Next: choose more memory.",
        GAP,
        "The servers are stopped; nothing is left running.",
    ]


def test_a_drawing_says_what_was_printed(tmp_path: Path) -> None:
    """The drawn text is the command and the chosen lines; what is too wide ends in an ellipsis."""
    picture = tmp_path / "picture.svg"
    wide = _OUTPUT.replace("choose more memory.", "choose <more> & " + "more " * 30)
    picture.write_text(render(wide), "utf-8")
    command, *lines = read_picture(picture)
    assert command == f"$ {' '.join(COMMAND)}"
    expected = list(choose_lines(wide))
    assert lines[4].startswith("Next: choose <more> & more more")
    assert lines[4].endswith("…")
    assert lines[:4] + lines[5:] == expected[:4] + expected[5:]


def test_the_picture_can_be_shown_anywhere() -> None:
    """The picture is small, loads nothing, runs nothing, and names no folder of a machine."""
    text = PICTURE.read_text("utf-8")
    assert len(text) < 100_000
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(text).iter()}
    assert tags <= {"svg", "style", "defs", "clipPath", "rect", "g", "circle", "text"}
    assert "url(http" not in text
    assert "@font-face" not in text
    shown = "\n".join(read_picture(PICTURE))
    assert not [path for path in ("/home/", "/root", "/tmp/", "/Users/") if path in shown]


def test_the_picture_explains_a_failure() -> None:
    """Of the whole run the picture shows the command, the diagnosis, and the end."""
    command, *lines = read_picture(PICTURE)
    assert command == f"$ {' '.join(COMMAND)}"
    labels = ("Failed to run step `train`: ", "Why: ", "Next: ", "Logs: ", "Job: ")
    assert [sum(line.startswith(label) for line in lines) for label in labels] == [1] * 5
    assert lines[-1] == "The servers are stopped; nothing is left running."
