"""Cuts the output of containers into lines, without losing any of it."""

from vertex_emulator.runtimes.contract import LINE_BYTES, OutputSink

# Bytes of a character in UTF-8 behind its first one.
_MOST_CONTINUATIONS = 3
_CONTINUATION_MASK, _CONTINUATION = 0xC0, 0x80
_REPLACEMENT = "\ufffd"


class OutputLines:
    """Cuts the output of a container, which comes in pieces of any size, into lines.

    A line of more than `LINE_BYTES` bytes comes as several. Where it is cut does not depend
    on the pieces, so that a stream that is read again gives the same lines.

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
            self._write(stream, self._write_beginning(stream, line.removesuffix(b"\r")))
        # A line break may follow what could be its beginning.
        is_open = rest.endswith(b"\r")
        rest = self._write_beginning(stream, rest.removesuffix(b"\r"))
        self._rest[stream] = rest + b"\r" if is_open else rest

    def finish(self) -> None:
        """Write the last lines, which have no end."""
        for stream, rest in self._rest.items():
            if rest:
                self._write(stream, rest.removesuffix(b"\r"))
        self._rest.clear()

    def _write_beginning(self, stream: str, line: bytes) -> bytes:
        """Write as much of a line as does not fit into one; what is left of it."""
        while len(line) > LINE_BYTES:
            end = _find_cut(line)
            self._write(stream, line[:end])
            line = line[end:]
        return line

    def _write(self, stream: str, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        # What is no UTF-8 grows: a byte becomes a character of three.
        size = LINE_BYTES // 3 if _REPLACEMENT in text else LINE_BYTES
        for begin in range(0, max(1, len(text)), size):
            self._sink(stream, text[begin : begin + size])


def _find_cut(line: bytes) -> int:
    """Where a line that is too long is cut: between two characters."""
    for end in range(LINE_BYTES, LINE_BYTES - _MOST_CONTINUATIONS - 1, -1):
        if line[end] & _CONTINUATION_MASK != _CONTINUATION:
            return end
    return LINE_BYTES
