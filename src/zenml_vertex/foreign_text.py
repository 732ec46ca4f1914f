"""What other programs say, made fit to be matched, shown and kept. Pure.

A job's error and log are written by whoever's code runs in it; servers, proxies and gcloud
repeat what they were sent. All of it passes `clean` or `clean_line` before anything else
looks at it: afterwards it cannot steer a terminal, pass for a line of this package, be read
as HTML, show a secret, or keep a pattern busy.
"""

import re
import shlex
from collections.abc import Iterator

MOST_CHARACTERS = 4000
"""How long a cleaned text is at most, unless a caller says otherwise."""
MOST_LINE_CHARACTERS = 1000
"""How long a cleaned line is at most, unless a caller says otherwise."""

# What is read beyond the cut, where a secret may end: as far as any pattern looks for its end.
_MARGIN = 1024
# What does not show counts until it is gone.
_ALLOWANCE = 4

# ECMA-48: control sequences; strings (titles, the clipboard, links), with what they carry.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_LINE_ENDS = re.compile("\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
_BEGIN_OF_TAG = re.compile(r"<(?=[A-Za-z/!?])")

# How a sentence ends, in quotes and parentheses too.
_END_OF_SENTENCE = re.compile(r"[.!?][\"'`)\]]{0,3}\Z")

# Each pattern below takes what it has read, or gives up after a bounded number of characters.

# Tokens, codes, API keys and client secrets of Google's, and JWTs:
# https://cloud.google.com/docs/authentication/token-types. ZenML's, GitHub's and Hugging Face's
# tokens. Private keys.
_SECRETS = (
    r"ya29\.[\w.~+/=-]+"
    r"|(?<![\w/.-])(?:1//|4/0)[\w-]{20,}"
    r"|(?<![A-Za-z0-9])eyJ[\w-]{6,}(?:\.[\w-]*)*"
    r"|AIza[\w-]{20,}"
    r"|GOCSPX-[\w-]+"
    r"|ZEN(?:PRO)?KEY_[\w.=+/-]+"
    r"|(?<![A-Za-z0-9])(?:gh[oprsu]_|github_pat_|hf_)\w{16,}"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)"
)
# Names of what is secret, as words or as parts of longer names.
_NAMES = (
    r"(?i:passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|credential|signature"
    r"|authorization|cookie)[\w-]{0,24}"
)
# In quotes, quotes may be escaped; JSON in JSON has its quotes escaped, once or more.
_VALUE = (
    r"(?:\"\"\"(?:[^\"]|\"(?!\"\"))*(?:\"\"\")?|'{3}(?:[^']|'(?!''))*(?:'{3})?"
    r"|\"(?:[^\"\\\n]|\\.)*\"?|'(?:[^'\\\n]|\\.)*'?"
    r"|\\\"(?:[^\"\\\n]|\\\\(?:\\.|[^\\])|\\[^\"\\])*(?:\\\")?"
    r"|\\'(?:[^'\\\n]|\\\\(?:\\.|[^\\])|\\[^'\\])*(?:\\')?"
    r"|\\{2,15}[\"'][^\"'\n]*[\"']?"
    r"|[^\s\"',;&()]+)"
)
# `token: x` is YAML or a header where it is a line or the name is of several parts. Elsewhere it
# may be a sentence, where what has no digit is a word.
_FIELD_VALUE = (
    r"(?!(?:projects|https?:|gs:)?/)"
    r"(?:[^\s\"',;(){}\[\]]+(?=[ \t]*(?:[,;)}\]]|(?m:$)))"
    r"|(?=[A-Za-z_-]{0,64}[0-9])[\w.~+/=-]{8,})"
)
# What tells that a secret follows, and is kept. `Basic` is a word too: behind its first letter,
# a login in Base64 has capitals, digits or `=`.
_NAMED_SECRETS = (
    r"(?P<bearer>(?<![A-Za-z])(?i:Bearer)(?:\s{1,3}|%20|\+))[^\s\"']+"
    r"|(?P<scheme>(?i:authorization:\s{0,3}(?:token|digest|apikey|negotiate|ntlm|oauth))\s{1,3})"
    r"[^\n]+"
    r"|(?P<basic>\b(?i:Basic|Negotiate)\s{1,3})(?=\w[a-z]{0,60}[A-Z0-9+/=])[\w+/=-]{4,}"
    r"|(?P<cookies>(?i:cookie):\s{0,3})[^\n]+"
    rf"|(?P<name>{_NAMES}(?:\s{{0,2}}=\s{{0,2}}|%3[Dd]|\\{{0,15}}[\"']\s{{0,2}}:\s{{0,2}})){_VALUE}"
    r"|(?P<password>(?i:passw(?:or)?d):\s{0,2})[^\s\"',;]+"
    # Not the working folder.
    rf"|(?P<pwd>(?i:pwd)(?:\s{{0,2}}=\s{{0,2}}|:\s{{1,2}}))(?![/~]){_VALUE}"
    rf"|(?P<field>(?:(?m:^)[ \t<>-]{{0,8}}\w{{0,24}}?|(?<=[_-])|(?=(?i:api|private)[_-])){_NAMES}"
    rf":[ \t]{{1,3}}){_FIELD_VALUE}"
    r"|(?P<word>(?i:secret|token|credential|signature):[ \t]{1,3})"
    r"(?=[A-Za-z_-]{0,64}[0-9])[\w.~+=-]{8,}"
    r"|(?P<option>--(?:[\w-]{0,24}[_-])?(?i:passw(?:or)?d|passphrase|secret|token|api[_-]?key)"
    r"\s{1,2})(?!-|(?:or|and|to|is|for|with|in|as|if|from|the|a|was|has|can|must|instead)\b)"
    rf"{_VALUE}"
    r"|(?P<url>://)[^/\s]{1,512}(?=@)"
    # Not the digest of an image, nor a service account in a policy.
    r"|(?P<user>(?<!serviceAccount)(?<=[\w.+%-]):)[^\s/@\"']{1,128}(?=@(?!sha256:)[\w\[])"
)
_SECRET = re.compile(f"{_SECRETS}|{_NAMED_SECRETS}", re.DOTALL)


def clean(text: str, most: int = MOST_CHARACTERS) -> str:
    """A foreign text as it may be matched, shown and kept; its lines stay lines.

    It has no control character, escape sequence or invisible character (bidirectional
    overrides, zero-width ones), no tag and no secret. A text that is too long ends with how
    long it was.

    Args:
        text: What another program said.
        most: How many characters to keep; at least 100.
    """
    read = text[: _ALLOWANCE * (most + _MARGIN)]
    shown = _BEGIN_OF_TAG.sub("< ", _drop_unprintable(read).strip())
    seen = shown[: most + _MARGIN]
    is_whole = len(read) == len(text) and len(seen) == len(shown)
    redacted = _redact(seen, most if is_whole else max(0, len(seen) - _MARGIN))
    if is_whole and len(shown) <= most and len(redacted) <= most:
        return redacted
    notice = f" [...] ({len(text)} characters)"
    return f"{redacted[: most - len(notice)].rstrip()}{notice}".lstrip()


def clean_line(text: str, most: int = MOST_LINE_CHARACTERS) -> str:
    """`clean` for what has to stay on one line."""
    return " ".join(clean(text, most).split())


def clean_sentence(text: str, most: int = MOST_LINE_CHARACTERS) -> str:
    """`clean_line` for what another sentence follows."""
    return end_sentence(clean_line(text, most))


def end_sentence(text: str) -> str:
    """The text with a full stop, unless it ends like a sentence; nothing stays nothing."""
    text = text.rstrip(" \t\n,:;")
    return text if not text or _END_OF_SENTENCE.search(text) else f"{text}."


def shell_word(name: str, identifier: object) -> str:
    """A foreign name as one word of a command that people copy into a shell.

    Args:
        name: What somebody has chosen.
        identifier: What the command takes instead, for a name that cannot be shown as it is or
            would be read as an option.
    """
    is_plain = name and not name.startswith("-") and clean_line(name) == name
    return shlex.quote(name if is_plain else str(identifier))


def iter_chain(
    error: BaseException, before: BaseException | None = None
) -> Iterator[BaseException]:
    """An error, and what led to it as far as a traceback shows it, the latest first.

    Args:
        error: The latest.
        before: What was being handled when the call that raised it began: Python links it to
            the error, to which it did not lead. The chain ends there.
    """
    seen = {id(before)}
    link: BaseException | None = error
    while link is not None:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        if id(link) in seen:
            return


def presentable(error: BaseException) -> BaseException | None:
    """The error as the cause of another; None if a traceback may not show what it says."""
    texts = (text for link in iter_chain(error) for text in (str(link), repr(link)))
    return error if all(_is_presentable(text) for text in texts) else None


def _is_presentable(text: str) -> bool:
    return (
        len(text) <= MOST_CHARACTERS
        and _SECRET.search(text) is None
        and _drop_unprintable(text) == text
    )


def _redact(text: str, end: int) -> str:
    """The text up to `end`, with `***` for every secret that begins there."""
    parts, position = [], 0
    for found in _SECRET.finditer(text):
        if found.start() >= end:
            break
        named = found.lastgroup
        parts += [text[position : found.start()], found[named] if named else "", "***"]
        position = found.end()
    return "".join([*parts, text[position:end]])


def _drop_unprintable(text: str) -> str:
    """The text without what does not show; tabs and the ends of lines stay."""
    if text.isprintable():
        return text
    text = _LINE_ENDS.sub("\n", _ESCAPES.sub("", text))
    return "".join(
        char if char.isprintable() or char in "\n\t" else " " if char.isspace() else ""
        for char in text
    )
