"""Foreign text without secrets.

What servers, proxies and the gcloud CLI say becomes part of errors, and some of them
repeat what they were sent. Pure.
"""

import re
from collections.abc import Iterator

# Google's access and refresh tokens, JWTs, private keys, whatever follows `Bearer`, and
# the login in a URL. Forms: https://cloud.google.com/docs/authentication/token-types
_SECRET = re.compile(
    r"ya29\.[\w.~+/=-]+"
    r"|1//[\w-]{20,}"
    r"|eyJ[\w-]+\.[\w-]+\.[\w-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|(?<=Bearer )\S+"
    r"|(?<=://)[^/@\s]+(?=@)",
    re.DOTALL,
)


def redact(text: str) -> str:
    """The text, with `***` for every secret in it."""
    return _SECRET.sub("***", text)


def iter_chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what led to it as far as a traceback shows it, the latest first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def presentable(error: BaseException) -> BaseException | None:
    """The error as the cause of another; None if a traceback of it would show a secret."""
    texts = (f"{link} {link!r}" for link in iter_chain(error))
    return error if all(_SECRET.search(text) is None for text in texts) else None
