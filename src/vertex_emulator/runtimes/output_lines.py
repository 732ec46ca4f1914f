"""Cuts what a container writes into lines. Pure, but for the sink."""

from vertex_emulator.runtimes.contract import OutputSink

# A line without an end is cut into pieces of this size.
LINE_BYTES = 200_000


class OutputLines:
    """Takes the output in whatever pieces it comes, and hands on whole lines.

    Args:
        sink: Gets them.
    """

    def __init__(self, sink: OutputSink) -> None:
        self._sink = sink
        self._rest: dict[str, bytes] = {}

    def feed(self, stream: str, data: bytes) -> None:
        """Take a piece of a stream: `stdout` or `stderr`."""
        *lines, rest = (self._rest.get(stream, b"") + data).split(b"\n")
        for line in lines:
            self._write(stream, line)
        while len(rest) >= LINE_BYTES:
            self._write(stream, rest[:LINE_BYTES])
            rest = rest[LINE_BYTES:]
        self._rest[stream] = rest

    def finish(self) -> None:
        """Hand on the last lines, which have no end."""
        for stream, rest in self._rest.items():
            if rest:
                self._write(stream, rest)
        self._rest.clear()

    def _write(self, stream: str, line: bytes) -> None:
        self._sink(stream, line.decode("utf-8", "replace").rstrip("\r"))
