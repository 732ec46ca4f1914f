"""Cuts the output of containers into lines."""

from vertex_emulator.runtimes.contract import LINE_BYTES, OutputSink


class OutputLines:
    """Cuts the output of a container, which comes in pieces of any size, into lines.

    Args:
        sink: Takes the lines.
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
        """Write the last lines, which have no end."""
        for stream, rest in self._rest.items():
            if rest:
                self._write(stream, rest)
        self._rest.clear()

    def _write(self, stream: str, line: bytes) -> None:
        self._sink(stream, line.decode("utf-8", "replace").rstrip("\r"))
