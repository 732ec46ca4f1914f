"""Query parameters: those of a method, and those that every API of Google has. Pure.

https://cloud.google.com/apis/docs/system-parameters
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vertex_emulator.core import answers
from vertex_emulator.core.errors import ApiError, Violation, invalid_argument
from vertex_emulator.core.messages import Message
from vertex_emulator.core.proto_json import snake_case

_ALT, _CALLBACK, _FIELDS, _PRETTY = "alt", "callback", "fields", "prettyPrint"
_FIELDS_HEADER = "x-goog-fieldmask"
# With and without a `$` before it; the last two are those of uploads. Not among them: `$ct` and
# `$httpMethod`, which say in a link what a web page cannot say in a header.
_SYSTEM = frozenset(
    {
        *(_ALT, _CALLBACK, _FIELDS, _PRETTY, "key", "quotaUser", "userProject", "apiVersion"),
        *("access_token", "oauth_token", ".xgafv", "uploadType", "upload_protocol"),
    }
)
_JSON = "json"
_AS_NUMBERS = "enum-encoding=int"
_NO = {"false", "0", "no"}


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How a client wants an answer."""

    # Message that the answer is; None if it is not described.
    message: Message | None = None
    # Fields that are wanted; all for none.
    paths: Sequence[answers.Path] = ()
    # Whether enums are wanted as numbers, as Google's own clients want them.
    has_numbers: bool = False
    # Whether it is wanted for people to read.
    is_indented: bool = False

    def shape(self, answer: Any) -> Any:
        """The wanted fields of an answer, with its enums as they are wanted."""
        answer = answers.select(answer, self.paths)
        if self.has_numbers and self.message:
            answer = answers.number_enums(answer, self.message)
        return answer


def read_parameters(
    sent: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    known: Iterable[str],
    message: Message | None,
) -> tuple[dict[str, str], AnswerForm]:
    """What a query asks for.

    Args:
        sent: Names and values, as they were sent.
        headers: Of the request, by their names in lower case.
        known: Names of the method's own parameters, in lowerCamelCase.
        message: What the method answers; None if it is not described.

    Returns:
        The method's own parameters by their names in lowerCamelCase, and how the answer is
        wanted.

    Raises:
        ApiError: INVALID_ARGUMENT that names every parameter that does not exist; or for an
            answer that cannot be given.
    """
    names = {written: name for name in known for written in (name, snake_case(name))}
    own: dict[str, str] = {}
    system: dict[str, str] = {}
    unknown: list[str] = []
    for written, value in sent:
        if written in names:
            own[names[written]] = value
        elif (name := written.removeprefix("$")) in _SYSTEM:
            system[name] = value
        else:
            unknown.append(written)
    if unknown:
        raise _refuse(unknown)
    return own, _read_form(system, headers.get(_FIELDS_HEADER, ""), message)


def _refuse(names: Iterable[str]) -> ApiError:
    """The refusal of parameters that do not exist, as public reports quote Google's."""
    described = [
        f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
        f"Field '{name.partition('.')[0]}' could not be found in request message."
        for name in dict.fromkeys(names)
    ]
    return ApiError(
        "INVALID_ARGUMENT",
        "\n".join(described),
        violations=[Violation("", description) for description in described],
    )


def _read_form(system: Mapping[str, str], mask: str, message: Message | None) -> AnswerForm:
    if _CALLBACK in system:
        raise invalid_argument(
            "The emulator does not serve `callback`: scripts (JSONP) are for web pages."
        )
    kind, *options = [part.strip() for part in system.get(_ALT, _JSON).lower().split(";")]
    if kind != _JSON or any(option not in {"", _AS_NUMBERS} for option in options):
        raise invalid_argument(
            f"The emulator answers JSON only: `alt` can be `{_JSON}` or `{_JSON};{_AS_NUMBERS}`; "
            f"it is `{system[_ALT]}`."
        )
    paths = answers.read_paths(system.get(_FIELDS, "") or mask)
    return AnswerForm(
        message=message,
        paths=answers.resolve_paths(paths, message) if message else paths,
        has_numbers=_AS_NUMBERS in options,
        is_indented=system.get(_PRETTY, "false").lower() not in _NO,
    )
