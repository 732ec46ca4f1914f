"""Times and durations as Google's APIs write them. Pure."""

import re
from datetime import datetime, timedelta, timezone

_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
_MICROSECONDS = 6
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with six digits of a second."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def format_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with no, three or six digits of a second, as many as it has.

    So JSON has a `google.protobuf.Timestamp`: https://protobuf.dev/programming-guides/json/
    """
    text = format_time(moment)
    for zeros in ("000Z", ".000Z"):
        text = f"{text.removesuffix(zeros)}Z" if text.endswith(zeros) else text
    return text


def parse_time(text: str) -> datetime:
    """Read RFC 3339; digits below a microsecond are cut.

    An offset without a colon (`+0000`) is what gcloud sends; a time without an
    offset is UTC.

    Raises:
        ValueError: If the text is not a time.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    day, clock, fraction, offset = match.groups()
    if offset is None or offset in "Zz":
        offset = "+00:00"
    elif ":" not in offset:
        offset = f"{offset[:3]}:{offset[3:]}"
    digits = (fraction or "")[:_MICROSECONDS].ljust(_MICROSECONDS, "0")
    moment = datetime.fromisoformat(f"{day}T{clock}.{digits}{offset}")
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError as exc:
        raise ValueError(f"out of range: {text!r}") from exc


def parse_nanoseconds(text: str) -> int:
    """Read RFC 3339 as nanoseconds since 1970, with every digit that is written.

    Raises:
        ValueError: If the text is not a time.
    """
    microseconds = (parse_time(text) - _EPOCH) // _MICROSECOND
    match = _TIME.fullmatch(text.strip())
    digits = (match[3] or "") if match else ""
    return microseconds * 1000 + int(digits[_MICROSECONDS:].ljust(3, "0"))


def to_utc(text: str) -> str:
    """RFC 3339 in UTC, with every digit of a second that is written.

    Raises:
        ValueError: If the text is not a time.
    """
    if text.endswith("Z"):
        parse_time(text)
        return text
    below = parse_nanoseconds(text) % 1000
    written = format_time(parse_time(text))
    return f"{written.removesuffix('Z')}{below:03d}Z" if below else written


def parse_duration(text: str) -> timedelta:
    """Read the JSON form of a `google.protobuf.Duration`, such as `3.5s`.

    Raises:
        ValueError: If the text is not a duration.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"not a duration: {text!r}")
    sign, seconds, fraction = match.groups()
    micros = int((fraction or "")[:_MICROSECONDS].ljust(_MICROSECONDS, "0"))
    try:
        length = timedelta(seconds=int(seconds), microseconds=micros)
    except OverflowError as exc:
        raise ValueError(f"out of range: {text!r}") from exc
    return -length if sign else length
