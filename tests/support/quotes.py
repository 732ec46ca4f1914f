"""Messages that a page quotes, and the source that prints them.

A message in source is a text with gaps: `f"There is no step operator `{name}`."`. A quote fits it
if something in the gaps makes it the same, so that a page can show a message as a person sees it,
with names filled in.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

# Ends a quote that is cut short.
_CUT = "..."
# Of a quote, how much has to be the source's own words: a message of gaps fits anything.
_LEAST_SHARE = 0.5
# The text of a message; None is a gap.
Template = tuple[str | None, ...]


def read_templates(files: Iterable[Path]) -> Iterator[Template]:
    """Every text in the code of some files that could be a message."""
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield _split(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [
                    part.value if isinstance(part, ast.Constant) else None for part in node.values
                ]
                yield tuple(_squeeze(part) if isinstance(part, str) else None for part in parts)


def is_quoted(quote: str, templates: Iterable[Template]) -> bool:
    """Whether one of the messages, filled in, is the quote, or begins with a quote that is cut."""
    text = _squeeze(quote.strip())
    is_cut = text.endswith(_CUT)
    text = text.removesuffix(_CUT).rstrip()
    if not text:
        return False
    least = _LEAST_SHARE * len(text)
    return any(
        (_count_fitting(template, text, is_cut=is_cut) or 0) >= least
        for template in templates
        if sum(len(part or "") for part in template) >= least
    )


def _count_fitting(template: Template, text: str, *, is_cut: bool) -> int | None:
    """How many characters of a text are the template's own; None if it does not fit."""
    if not text:
        return 0 if is_cut or not any(template) else None
    if not template:
        return None
    first, rest = template[0], template[1:]
    if first is None:
        found = [
            count
            for start in range(1, len(text) + 1)
            if not rest
            or rest[0] is None
            or rest[0].startswith(text[start : start + 3][: len(rest[0])])
            if (count := _count_fitting(rest, text[start:], is_cut=is_cut)) is not None
        ]
        return max(found, default=None)
    if text.startswith(first):
        more = _count_fitting(rest, text[len(first) :], is_cut=is_cut)
        return None if more is None else len(first) + more
    return len(text) if is_cut and first.startswith(text) else None


def _split(text: str) -> Template:
    """Take apart a text in the style of `logging`, with `%s` for gaps."""
    parts: list[str | None] = []
    for number, piece in enumerate(_squeeze(text).replace("%.0f", "%s").split("%s")):
        parts += [None] * bool(number) + [piece] * bool(piece)
    return tuple(parts)


def _squeeze(text: str) -> str:
    """Write every gap between words as one blank, as pages break lines where they like."""
    words = " ".join(text.split())
    return f"{' ' * text[:1].isspace()}{words}{' ' * (text[-1:].isspace() and bool(words))}"
