"""The filter language of Google's list calls, read into a tree. Pure.

Comparisons joined by AND (or by nothing), OR and NOT (or `-`), with parentheses, also around the
values of one field. NOT binds tightest, then OR, then AND. Each service says which fields,
operators and functions it has. https://google.aip.dev/160,
https://cloud.google.com/logging/docs/view/logging-query-language
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any, TypeVar

T = TypeVar("T")

MAX_DEPTH = 50
ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "=": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}
PATTERNS = frozenset({"=~", "!~"})
"""The operators whose value is a regular expression."""

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(
    rf"""(?:
        (?P<open>\() | (?P<close>\)) | (?P<comma>,) |
        (?P<operator><=|>=|!=|=~|!~|=|<|>|:) |
        (?P<quoted>{_QUOTED})(?![.\w"]) |
        (?P<word>(?:[^\s()=<>!:",~]|(?<=\.){_QUOTED})+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_BLANKS = re.compile(r"\s*")
_BLANKS_AND_COMMENTS = re.compile(r"(?:\s|--[^\n]*)*")
_PATH_PART = rf'(?:{_QUOTED}|[^."]+)'
_PATH = re.compile(rf"{_PATH_PART}(?:\.{_PATH_PART})*", re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-3][0-7]{2}|.)", re.DOTALL)
_CONTROL = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_KEYWORDS = frozenset({"AND", "OR", "NOT"})
_NUMBER = re.compile(r"-\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|-[iI]nfinity", re.ASCII)
_OCTAL_DIGITS = 3


class FilterError(ValueError):
    """A text is not a filter, or has what its service does not know.

    Args:
        reason: What is wrong, without a full stop.
        line: Where it is, from 1; 0 if that is not known.
        column: Where it is in the line, from 1.
        token: What stands there.
    """

    def __init__(self, reason: str, line: int = 0, column: int = 0, token: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column
        self.token = token


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field against a value.

    Args:
        path: The field's path in parts: `labels."a.b".c` is (`labels`, `a.b`, `c`).
        operator: One of `= != < <= > >= : =~ !~`.
        value: The text to compare with.
        is_quoted: Whether it was written in quotes: `*` and `NULL_VALUE` mean something without.
    """

    path: tuple[str, ...]
    operator: str
    value: str
    is_quoted: bool = True


@dataclass(frozen=True, slots=True)
class Text:
    """A text without a field, which any field may contain.

    Args:
        value: The text.
        is_quoted: Whether it was written in quotes.
    """

    value: str
    is_quoted: bool = True


@dataclass(frozen=True, slots=True)
class Function:
    """A function that is true or false, such as `sample(insertId, 0.5)`.

    Args:
        name: As it was written.
        arguments: Its fields and values, in order.
    """

    name: str
    arguments: tuple["Text | Function", ...]


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


Leaf = Comparison | Text | Function
Node = Leaf | Not | And | Or


def parse_filter(text: str, *, has_comments: bool = False) -> Node:
    """Read a filter; an empty one is an `And` without terms, which is always true.

    Args:
        text: The filter.
        has_comments: Whether `--` begins a comment, which ends with the line.

    Raises:
        FilterError: If it is not a filter.
    """
    parser = _Parser(text, _BLANKS_AND_COMMENTS if has_comments else _BLANKS)
    if parser.kind == "end":
        return And(())
    node = parser.read_all(parser.read_term)
    if parser.kind != "end":
        raise parser.error(f"unexpected `{parser.text}`")
    return node


def combine(node: Node, compile_leaf: Callable[[Leaf], Callable[[T], bool]]) -> Callable[[T], bool]:
    """A filter as a predicate, made of the predicates of its leaves."""
    if isinstance(node, And | Or):
        terms = [combine(term, compile_leaf) for term in node.terms]
        join = all if isinstance(node, And) else any
        return lambda item: join(term(item) for term in terms)
    if isinstance(node, Not):
        term = combine(node.term, compile_leaf)
        return lambda item: not term(item)
    return compile_leaf(node)


def split_path(text: str) -> tuple[str, ...] | None:
    """The parts of a field's path as it is written; None for another text."""
    if not _PATH.fullmatch(text):
        return None
    parts = re.findall(_PATH_PART, text, re.DOTALL)
    return tuple(_unquote(part) if part.startswith('"') else part for part in parts)


class _Parser:
    """Reads tokens one by one; `kind` and `text` are the next one's."""

    def __init__(self, text: str, blanks: re.Pattern[str]) -> None:
        self._whole = text
        self._blanks = blanks
        # Of the next token.
        self._start = self._end = 0
        self._depth = 0
        self.kind, self.text = "start", ""
        self._take()

    def error(self, reason: str) -> FilterError:
        """An error at the next token."""
        before = self._whole[: self._start]
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        return FilterError(reason, line, column, self.text)

    def read_all(self, read: Callable[[], Node]) -> Node:
        """Terms joined by AND and OR, up to a parenthesis or the end.

        Args:
            read: Reads one of them.
        """
        terms = [self._read_any(read)]
        while self.kind not in {"end", "close"}:
            if self._is_keyword("AND"):
                self._take()
            terms.append(self._read_any(read))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def read_term(self) -> Node:
        """A comparison, a text, a function, or terms in parentheses; perhaps with a NOT."""
        if nested := self._read_nested(self.read_term):
            return nested
        if self.kind == "quoted":
            return Text(_unquote(self._take()))
        if self.kind != "word" or self.text in _KEYWORDS:
            raise self.error(f"expected a field, got `{self.text}`")
        if self.text.startswith("-"):
            self._step_over_minus()
            return Not(self.read_term())
        if self._is_call():
            function = self._read_function()
            if self.kind == "operator":
                raise self.error(f"`{function.name}(...)` cannot be compared here")
            return function
        word, start = self.text, self._start
        self._take()
        if self.kind != "operator":
            return Text(word, is_quoted=False)
        path = split_path(word)
        if path is None:
            self._start, self.text = start, word
            raise self.error(f"`{word}` is not a field's path")
        operator = self._take()
        return self._read_values(word, path, operator)

    def _read_any(self, read: Callable[[], Node]) -> Node:
        terms = [read()]
        while self._is_keyword("OR"):
            self._take()
            terms.append(read())
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _read_nested(self, read: Callable[[], Node]) -> Node | None:
        """What begins with a parenthesis, NOT or a lone minus; None if nothing does."""
        is_negation = self._is_keyword("NOT") or self._is_keyword("-")
        if not is_negation and self.kind != "open":
            return None
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error("it is nested too deeply")
        try:
            self._take()
            if is_negation:
                return Not(read())
            node = self.read_all(read)
            if self.kind != "close":
                raise self.error("a parenthesis is not closed")
            self._take()
            return node
        finally:
            self._depth -= 1

    def _read_values(self, word: str, path: tuple[str, ...], operator: str) -> Node:
        """The value of a comparison, or several in parentheses."""

        def read_value() -> Node:
            if nested := self._read_nested(read_value):
                return nested
            if self._is_negated_word():
                self._step_over_minus()
                return Not(read_value())
            return read_one()

        def read_one() -> Comparison:
            if self.kind == "quoted":
                keep = operator in PATTERNS
                return Comparison(path, operator, _unquote(self._take(), is_pattern=keep))
            if self.kind != "word" or self.text in _KEYWORDS:
                raise self.error(f"there is no value after `{word}{operator}`")
            if self._is_call():
                raise self.error(f"`{self.text}(...)` cannot be a value here")
            return Comparison(path, operator, self._take(), is_quoted=False)

        return read_value() if self.kind == "open" else read_one()

    def _read_function(self) -> Function:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error("it is nested too deeply")
        name = self._take()
        self._take()
        arguments: list[Text | Function] = []
        while self.kind != "close":
            if arguments:
                if self.kind != "comma":
                    raise self.error(f"expected `,` or `)` in `{name}(...)`, got `{self.text}`")
                self._take()
            if self.kind == "quoted":
                arguments.append(Text(_unquote(self._take())))
            elif self.kind == "word":
                is_call = self._is_call()
                arguments.append(
                    self._read_function() if is_call else Text(self._take(), is_quoted=False)
                )
            else:
                raise self.error(f"expected an argument of `{name}(...)`, got `{self.text}`")
        self._take()
        self._depth -= 1
        return Function(name, tuple(arguments))

    def _is_keyword(self, word: str) -> bool:
        return self.kind == "word" and self.text == word

    def _is_call(self) -> bool:
        """Whether the next token is a word with a parenthesis right behind it."""
        return self.kind == "word" and self._whole[self._end : self._end + 1] == "("

    def _is_negated_word(self) -> bool:
        is_number = _NUMBER.fullmatch(self.text) is not None
        return self.kind == "word" and self.text.startswith("-") and not is_number

    def _step_over_minus(self) -> None:
        """Cut the minus off the next word."""
        self._start += 1
        self.text = self.text[1:]
        if self.text.startswith("-"):
            raise self.error("one minus is enough")

    def _take(self) -> str:
        """The next token's text; moves on to the one behind it."""
        taken = self.text
        blanks = self._blanks.match(self._whole, self._end)
        self._start = self._end = blanks.end() if blanks else self._end
        if self._start == len(self._whole):
            self.kind, self.text = "end", "the end"
            return taken
        match = _TOKEN.match(self._whole, self._start)
        if match is None or match.lastgroup is None:
            self.text = self._whole[self._start]
            raise self.error(f"`{self._whole[self._start :][:20]}` cannot be read")
        self.kind, self.text = match.lastgroup, match.group(match.lastgroup)
        self._end = match.end()
        return taken


def _unquote(text: str, *, is_pattern: bool = False) -> str:
    """A text without its quotes, and with what its escapes stand for.

    Args:
        text: In quotes.
        is_pattern: Whether it is a regular expression, whose own escapes stay.
    """

    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if is_pattern:
            return code if code in {"\\", '"'} else match[0]
        if len(code) > 1:
            is_octal = len(code) == _OCTAL_DIGITS and code[0] not in "xu"
            return chr(int(code, 8) if is_octal else int(code[1:], 16))
        return _CONTROL.get(code, code)

    return _ESCAPE.sub(replace, text[1:-1])
