"""The filter language of Google's list calls, read into a tree. Pure.

Comparisons joined by AND (or by nothing), OR and NOT (or `-`), with parentheses.
OR binds tighter than AND. https://google.aip.dev/160,
https://cloud.google.com/logging/docs/view/logging-query-language
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from vertex_emulator.core.errors import ApiError, invalid_argument

MAX_DEPTH = 50
ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "=": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<open>\() | (?P<close>\)) |
        (?P<operator><=|>=|!=|=~|!~|=|<|>|:) |
        (?P<quoted>"(?:[^"\\]|\\.)*") |
        (?P<word>(?:[^\s()=<>!:"]|"(?:[^"\\]|\\.)*"(?=\.|\s*[=<>!:]))+)
    )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field against a value.

    Args:
        path: The field's path in parts: `labels."a.b".c` is (`labels`, `a.b`, `c`).
        operator: One of `= != < <= > >= : =~ !~`.
        value: The text to compare with.
    """

    path: tuple[str, ...]
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text without a field, which any field may contain."""

    value: str


@dataclass(frozen=True, slots=True)
class Not:
    """True when its term is false."""

    term: "Node"


@dataclass(frozen=True, slots=True)
class And:
    """True when all its terms are."""

    terms: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True when at least one of its terms is."""

    terms: tuple["Node", ...]


Node = Comparison | Text | Not | And | Or


def parse_filter(text: str) -> Node:
    """Read a filter; an empty one is an `And` without terms, which is always true.

    Raises:
        ApiError: INVALID_ARGUMENT for what is not a filter.
    """
    parser = _Parser(text)
    if parser.kind == "end":
        return And(())
    node = parser.read_all()
    if parser.kind != "end":
        raise invalid_filter(f"unexpected `{parser.text}`")
    return node


def evaluate(node: Node, check: Callable[[Comparison | Text], bool]) -> bool:
    """Whether a filter is true, where `check` decides about its leaves."""
    if isinstance(node, And):
        return all(evaluate(term, check) for term in node.terms)
    if isinstance(node, Or):
        return any(evaluate(term, check) for term in node.terms)
    if isinstance(node, Not):
        return not evaluate(node.term, check)
    return check(node)


def leaves(node: Node) -> list[Comparison | Text]:
    """The comparisons and texts of a filter, from left to right."""
    if isinstance(node, And | Or):
        return [leaf for term in node.terms for leaf in leaves(term)]
    if isinstance(node, Not):
        return leaves(node.term)
    return [node]


def invalid_filter(reason: str) -> ApiError:
    """The error for a filter that cannot be read."""
    return invalid_argument(f"Invalid filter: {reason}.")


class _Parser:
    """Reads tokens one by one; `kind` and `text` are the next one's."""

    def __init__(self, text: str) -> None:
        self._rest = text
        self._depth = 0
        self.kind, self.text = "start", ""
        self._take()

    def read_all(self) -> Node:
        terms = [self._read_any()]
        while self.kind not in {"end", "close"}:
            if self._is_keyword("AND"):
                self._take()
            terms.append(self._read_any())
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _read_any(self) -> Node:
        terms = [self._read_term()]
        while self._is_keyword("OR"):
            self._take()
            terms.append(self._read_term())
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _read_term(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise invalid_filter("it is nested too deeply")
        try:
            return self._read_nested()
        finally:
            self._depth -= 1

    def _read_nested(self) -> Node:
        if self._is_keyword("NOT") or (self.kind == "word" and self.text == "-"):
            self._take()
            return Not(self._read_term())
        if self.kind == "open":
            self._take()
            node = self.read_all()
            if self.kind != "close":
                raise invalid_filter("a parenthesis is not closed")
            self._take()
            return node
        if self.kind == "quoted":
            return Text(_unquote(self._take()))
        if self.kind != "word" or self.text in {"AND", "OR"}:
            raise invalid_filter(f"expected a field, got `{self.text}`")
        word = self._take()
        if word.startswith("-"):
            return Not(self._read_comparison(word[1:]))
        return self._read_comparison(word)

    def _read_comparison(self, word: str) -> Node:
        if self.kind != "operator":
            return Text(word)
        operator = self._take()
        if self.kind not in {"word", "quoted"}:
            raise invalid_filter(f"there is no value after `{word}{operator}`")
        value = _unquote(self._take()) if self.kind == "quoted" else self._take()
        return Comparison(_split(word), operator, value)

    def _is_keyword(self, word: str) -> bool:
        return self.kind == "word" and self.text == word

    def _take(self) -> str:
        """The next token's text; moves on to the one behind it."""
        taken = self.text
        if not self._rest.strip():
            self.kind, self.text = "end", "the end"
            return taken
        match = _TOKEN.match(self._rest)
        if match is None or match.lastgroup is None:
            raise invalid_filter(f"`{self._rest.strip()[:20]}` cannot be read")
        self.kind, self.text = match.lastgroup, match.group(match.lastgroup)
        self._rest = self._rest[match.end() :]
        return taken


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def _split(path: str) -> tuple[str, ...]:
    parts = re.findall(r'"(?:[^"\\]|\\.)*"|[^."]+', path)
    return tuple(_unquote(part) if part.startswith('"') else part for part in parts)
