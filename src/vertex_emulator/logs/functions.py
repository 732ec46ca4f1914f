"""The functions of Cloud Logging's query language. Pure.

https://cloud.google.com/logging/docs/view/logging-query-language#functions
"""

import re
from collections.abc import Callable
from hashlib import sha256
from ipaddress import ip_network
from typing import Any
from urllib.parse import unquote

from vertex_emulator.core.errors import Json
from vertex_emulator.core.filter_language import FilterError, Function, Text, split_path
from vertex_emulator.core.names import project_number
from vertex_emulator.logs.entry_fields import EntryField, find_field
from vertex_emulator.logs.texts import fold, read_texts

Condition = Callable[[Json], bool]

# https://cloud.google.com/bigquery/docs/text-analysis-search: the delimiters of LOG_ANALYZER.
_ENCODED = "%2526|%2520|%21|%26|%3B|%7C|%20|%2B|%3D|%5D|%5B|%3A|%0A|%2C|%28|%29"
_DELIMITER = rf"(?:{_ENCODED}|[\s\[\]<>(){{}}|!;,'\"*&?+/:=@.\-$%\\_])"
_DELIMITERS = re.compile(f"{_DELIMITER}+", re.IGNORECASE)
_PHRASE = re.compile(r"`([^`]*)`")
_HASHES = 2**64


def compile_function(function: Function) -> Condition:
    """The predicate of a function.

    Raises:
        FilterError: If the emulator does not serve it, or its arguments are wrong.
    """
    compile_call = _FUNCTIONS.get(function.name.lower())
    if compile_call is None:
        reason = (
            f"the emulator does not serve the function `{function.name}`"
            if function.name.lower() in _UNSERVED
            else f"`{function.name}` is not a function of the query language"
        )
        raise FilterError(f"{reason}: there are {', '.join(_FUNCTIONS)}")
    arguments = []
    for argument in function.arguments:
        if isinstance(argument, Function):
            raise FilterError(f"`{argument.name}(...)` cannot be an argument here")
        arguments.append(argument)
    return compile_call(arguments)


def _compile_log_id(arguments: list[Text]) -> Condition:
    (wanted,) = _take(arguments, "log_id(LOG_ID)")
    folded = fold(wanted.value)

    def is_in_log(entry: Json) -> bool:
        _, _, log_id = str(entry.get("logName", "")).partition("/logs/")
        return fold(unquote(log_id)) == folded

    return is_in_log


def _compile_source(arguments: list[Text]) -> Condition:
    (wanted,) = _take(arguments, "source(projects/PROJECT_ID)")
    collection, _, project = wanted.value.partition("/")
    if collection != "projects" or not project:
        raise FilterError(f"`source({wanted.value})`: the emulator has projects only")
    number = project_number(project)

    def is_from_project(entry: Json) -> bool:
        names = str(entry.get("logName", "")).split("/")
        return names[0] == "projects" and len(names) > 1 and project_number(names[1]) == number

    return is_from_project


def _compile_sample(arguments: list[Text]) -> Condition:
    of, share = _take(arguments, "sample(FIELD, FRACTION)")
    field = _read_field(of)
    try:
        fraction = float(share.value)
    except ValueError:
        fraction = 0.0
    if not 0 < fraction <= 1:
        raise FilterError(f"`{share.value}` is not a fraction above 0 and up to 1")
    most = fraction * _HASHES

    def is_in_sample(entry: Json) -> bool:
        # Where it has several values, together they say which entry it is.
        values = field.values_in(entry)
        return bool(values) and _hash(values) <= most

    return is_in_sample


def _compile_ip_in_net(arguments: list[Text]) -> Condition:
    of, net = _take(arguments, "ip_in_net(FIELD, SUBNET)")
    field = _read_field(of)
    wanted = _read_network(net.value)
    if wanted is None:
        raise FilterError(f"`{net.value}` is neither an IP address nor a range of them")

    def is_in_net(entry: Json) -> bool:
        found = (_read_network(text) for text in read_texts(field.values_in(entry)))
        return any(
            one is not None and one.version == wanted.version and one.subnet_of(wanted)
            for one in found
        )

    return is_in_net


def _compile_search(arguments: list[Text]) -> Condition:
    *of, query = _take(arguments, "SEARCH(QUERY)", "SEARCH(FIELD, QUERY)")
    if not query.is_quoted:
        raise FilterError(f"the query of SEARCH must be in quotes: `{query.value}` is not")
    field = _read_field(of[0]) if of else None
    tokens = _tokens_of(_PHRASE.sub(" ", query.value))
    phrases = [_compile_phrase(phrase) for phrase in _PHRASE.findall(query.value) if phrase]
    if not tokens and not phrases:
        raise FilterError("the query of SEARCH has no word to search for")

    def is_found(entry: Json) -> bool:
        texts = list(read_texts(field.values_in(entry) if field else entry))
        found: set[str] = set()
        for text in texts if tokens else ():
            found |= _tokens_of(text)
        return tokens <= found and all(
            any(phrase.search(text) for text in texts) for phrase in phrases
        )

    return is_found


_FUNCTIONS: dict[str, Callable[[list[Text]], Condition]] = {
    "ip_in_net": _compile_ip_in_net,
    "log_id": _compile_log_id,
    "sample": _compile_sample,
    "search": _compile_search,
    "source": _compile_source,
}
_UNSERVED = frozenset({"cast", "regexp_extract"})


def _take(arguments: list[Text], *usages: str) -> list[Text]:
    """The arguments, as many as one of the usages has.

    Raises:
        FilterError: For any other number of them.
    """
    if len(arguments) not in {usage.count(",") + 1 for usage in usages}:
        raise FilterError("expected " + " or ".join(f"`{usage}`" for usage in usages))
    return arguments


def _read_field(argument: Text) -> EntryField:
    path = None if argument.is_quoted else split_path(argument.value)
    if path is None:
        raise FilterError(f"`{argument.value}` is not a field")
    return find_field(path)


def _read_network(text: str) -> Any:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _hash(values: list[Any]) -> int:
    return int.from_bytes(sha256(repr(values).encode(errors="replace")).digest()[:8], "big")


def _tokens_of(text: str) -> set[str]:
    return {token for token in _DELIMITERS.split(fold(text)) if token}


def _compile_phrase(phrase: str) -> re.Pattern[str]:
    """A pattern for a phrase that stands between delimiters, or at an end of the text."""
    pattern = rf"(?:^|{_DELIMITER}){re.escape(phrase)}(?:$|{_DELIMITER})"
    return re.compile(pattern, re.IGNORECASE)
