"""The output of containers becomes lines, and nothing of it is lost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulators import NO_WAITING, PATIENCE, Json
from vertex_emulator import VertexEmulator
from vertex_emulator.logs.shapes import MAX_TEXT_BYTES
from vertex_emulator.runtimes.contract import LINE_BYTES
from vertex_emulator.runtimes.output import OutputLines


def cut(data: bytes, size: int) -> list[str]:
    """Return the lines of output that comes in pieces of so many bytes."""
    lines: list[str] = []
    output = OutputLines(lambda _, line: lines.append(line))
    for begin in range(0, len(data), size):
        output.feed("stdout", data[begin : begin + size])
    output.finish()
    return lines


def test_output_is_split_into_lines() -> None:
    """Characters and lines that arrive in pieces are joined; the last line needs no newline."""
    lines: list[tuple[str, str]] = []
    output = OutputLines(lambda stream, line: lines.append((stream, line)))
    text = "größe\r\n\nend"
    for byte in text.encode():
        output.feed("stdout", bytes([byte]))
        output.feed("stderr", b"")
    output.feed("stderr", b"oh")
    output.finish()
    output.finish()
    assert [line for stream, line in lines if stream == "stdout"] == ["größe", "", "end"]
    assert [line for stream, line in lines if stream == "stderr"] == ["oh"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("character", ["x", "é", "\U0001f600"])
@pytest.mark.parametrize(
    "length", [LINE_BYTES - 1, LINE_BYTES, LINE_BYTES + 1, LINE_BYTES + 2, 3 * LINE_BYTES + 7]
)
def test_nothing_of_a_long_line_is_lost(length: int, character: str, end: bytes) -> None:
    """A line comes whole up to the limit, above it in pieces, cut alike however it arrives."""
    text = "x" * (length % len(character.encode()))
    text += character * (length // len(character.encode()))
    data = text.encode() + end + b"next"
    found = {tuple(cut(data, size)) for size in (LINE_BYTES - 1, 65_536, len(data))}
    (lines,) = found
    text += "" if end else "next"
    pieces = lines[:-1] if end else lines
    assert "".join(pieces) == text
    assert all(pieces)
    assert max(len(piece.encode()) for piece in pieces) <= LINE_BYTES


def test_bytes_that_are_no_text_fit_too() -> None:
    """Each becomes one character of three bytes, and no piece is too long for an entry."""
    lines = cut(b"\xff" * 2 * LINE_BYTES + b"\n", 65_536)
    assert "".join(lines) == "\ufffd" * 2 * LINE_BYTES
    assert max(len(line.encode()) for line in lines) <= MAX_TEXT_BYTES


@pytest.mark.parametrize("has_folder", [False, True])
def test_a_job_prints_long_lines(
    submit: Callable[[VertexEmulator, Json], Json],
    job_of: Callable[..., Json],
    tmp_path: Path,
    has_folder: bool,
) -> None:
    """All that a process prints is in its log, whether it is tethered or supervised.

    A line of exactly the limit left an empty entry behind, and a longer one lost its middle.
    """
    code = f"print('x' * {LINE_BYTES}); print('y' * {2 * LINE_BYTES + 5}); print(); print('end')"
    options: dict[str, Any] = {"data_dir": tmp_path} if has_folder else {}
    with VertexEmulator(timings=NO_WAITING, **options) as emulator:
        name = submit(emulator, job_of("python", "-c", code))["name"]
        emulator.wait_for_state(name, seconds=PATIENCE)
        *long, empty, end = emulator.log_lines(name, "workerpool0-0")
    assert [(line[0], len(line)) for line in long] == [
        ("x", LINE_BYTES),
        ("y", LINE_BYTES),
        ("y", LINE_BYTES),
        ("y", 5),
    ]
    assert empty.endswith(" stdout F")
    assert end == "end"
