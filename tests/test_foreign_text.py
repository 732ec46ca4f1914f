"""What other programs say can neither act, nor pass for something else, nor show a secret."""

import base64
import time
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenml_vertex.foreign_text import (
    MOST_CHARACTERS,
    MOST_LINE_CHARACTERS,
    clean,
    clean_line,
    clean_sentence,
    iter_chain,
    presentable,
)

PEM = "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----"
PGP = "-----BEGIN PGP PRIVATE KEY BLOCK-----\nhunter2\n-----END PGP PRIVATE KEY BLOCK-----"
LOGIN = base64.b64encode(b"admin:hunter2").decode()
API_KEY = "AIza" + "hunter2" * 5
# Many times what the slowest of the texts below takes.
CPU_SECONDS = 0.5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token ya29.a0-hunter2_x.y~z+/= end", "token *** end"),
        ("Authorization: Bearer hunter2, and more", "Authorization: Bearer *** and more"),
        ("authorization: bearer hunter2", "authorization: bearer ***"),
        (f"Proxy-Authorization: Basic {LOGIN} end", "Proxy-Authorization: Basic *** end"),
        (f'{{"Authorization": "Basic {LOGIN}", "a": 1}}', '{"Authorization": ***, "a": 1}'),
        ("refresh 1//0ghunter2-hunter2-hunter2", "refresh ***"),
        ("code 4/0Ahunter2-hunter2-hunter2", "code ***"),
        ("eyJhbGciOi.eyJodW50ZXIy.hunter2 end", "*** end"),
        (f"key {PEM} end", "key *** end"),
        ("key -----BEGIN PRIVATE KEY-----\nhunter2 cut off", "key ***"),
        ("client GOCSPX-hunter2_x-y end", "client *** end"),
        (f"for key {API_KEY} end", "for key *** end"),
        ("key ZENKEY_eyJodW50ZXIy== end", "key *** end"),
        ("key ZENPROKEY_hunter2 end", "key *** end"),
        ("at mysql://admin:hunter2@db:3306/zenml", "at mysql://***@db:3306/zenml"),
        ("at mysql://admin:hunt@er2@db:3306/zenml", "at mysql://***@db:3306/zenml"),
        ("curl -u admin:hunter2@db end", "curl -u admin:***@db end"),
        ("GET /o?X-Goog-Signature=hunter2&a=b", "GET /o?X-Goog-Signature=***&a=b"),
        ("connect(password='hunter 2', a=1)", "connect(password=***, a=1)"),
        ("DB_PASSWORD: hunter2 end", "DB_PASSWORD: *** end"),
        ('{"client_secret": "hunter2", "a": 1}', '{"client_secret": ***, "a": 1}'),
        ("AWS_SECRET_ACCESS_KEY=hunter2 end", "AWS_SECRET_ACCESS_KEY=*** end"),
        ('{\\"token\\": \\"hunter2\\", \\"a\\": 1}', '{\\"token\\": ***, \\"a\\": 1}'),
        (r"{\"token\": \"a\\\"hunter2\", \"a\": 1}", r"{\"token\": ***, \"a\": 1}"),
        (r"{\\\"token\\\": \\\"hunter2\\\"}", r"{\\\"token\\\": ***}"),
        (r"{'password': 'a\'hunter2', 'a': 1}", "{'password': ***, 'a': 1}"),
        (r'password="a\"hunter2" end', "password=*** end"),
        ("token='''a'hunter2''' end", "token=*** end"),
        ('token="""a"hunter2""" end', "token=*** end"),
        ("token%3Dhunter2 end", "token%3D*** end"),
        ("X-Goog-Signature: hunter", "X-Goog-Signature: ***"),
        ("a: b\n  token: hunter\nc: d", "a: b\n  token: ***\nc: d"),
        ("with api_key: hunter, and more", "with api_key: ***, and more"),
        ("> SECRET_KEY: hunter", "> SECRET_KEY: ***"),
        ("the token: s3cr3thunter is bad", "the token: *** is bad"),
        ("pwd=hunter2 MYSQL_PWD=hunter2", "pwd=*** MYSQL_PWD=***"),
        ("passphrase=hunter2 end", "passphrase=*** end"),
        ("mysql --password hunter2 --user me", "mysql --password *** --user me"),
        ("x --api-key 'hunter 2' end", "x --api-key *** end"),
        ("GET /?a=Bearer%20hunter2 end", "GET /?a=Bearer%20*** end"),
        ("Cookie: session=hunter2; a=hunter2\nend", "Cookie: ***\nend"),
        ("set-cookie: session=hunter2", "set-cookie: ***"),
        ("Negotiate YIIhunter2 end", "Negotiate *** end"),
        ("Authorization: token hunter\nend", "Authorization: token ***\nend"),
        ("ghp_hunter2hunter2hunter2 end", "*** end"),
        ("gho_hunter2hunter2hunter2 end", "*** end"),
        ("github_pat_hunter2_hunter2hunter2 end", "*** end"),
        ("hf_hunter2hunter2hunter2 end", "*** end"),
        (f"key {PGP} end", "key *** end"),
        ("key -----BEGIN PGP PRIVATE KEY BLOCK-----\nhunter2 cut off", "key ***"),
        ("tok\u200ben ya\x1b[31m29.\u202ehunter2", "token ***"),
    ],
)
def test_a_secret_is_not_shown(text: str, shown: str) -> None:
    """Tokens, keys, logins and signatures are removed, even if cut off or broken up.

    Whoever reads a step's failure on the ZenML server, or the log of CI, could act with them.
    """
    assert clean(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "projects/my-project/locations/us-central1/customJobs/1234567890",
        "https://us-central1-aiplatform.googleapis.com//x",
        "a@my-project.iam.gserviceaccount.com",
        "serviceAccount:a@my-project.iam.gserviceaccount.com has no role",
        "us-docker.pkg.dev/p/r/i:tag@sha256:0123456789abcdef",
        "no basic auth credentials; use Basic Authentication, or a token: see https://x/y",
        "Invalid token: it is expired.\n\tIn file '/a/b.py', line 3",
        "Grüße, 你好, 🚀",
        "Invalid token: expired",
        "Permission denied on secret: projects/1/secrets/a/versions/1 for a@b",
        "Error getting an access token: RefreshError: gone",
        "PWD=/root/work",
        "Use --token or --password to log in; --password-stdin reads it",
        "the token: https://example.com/tokens2 explains it",
        "negotiate a signature, or a cookie",
    ],
)
def test_other_text_is_kept(text: str) -> None:
    """Text without a secret, such as a job's name or who lacks a role, is kept with its lines."""
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a\x1b]52;c;Y3VybCBldmlsfHNo\x07b", "ab", id="writes the clipboard"),
        pytest.param("a\x1b]0;root@prod\x1b\\b", "ab", id="names the window"),
        pytest.param("\x1b]8;;https://evil\x1b\\here\x1b]8;;\x1b\\", "here", id="links elsewhere"),
        pytest.param("a\x1b[2J\x1b[1;1Hb\x1b[31mc", "abc", id="clears the screen"),
        pytest.param("a\x9b2Jb\x9d0;t\x9cc\x90q\x9cd", "abcd", id="the same in C1"),
        pytest.param("a\x1bPq#0\x1b\\b\x1b_x\x1b\\c\x1bcd", "abcd", id="draws and resets"),
        pytest.param("a\x1b]0;never ended\nb", "a\nb", id="swallows what follows"),
        pytest.param("a\x00\x07\x08\x7fb\x85c", "ab\nc", id="rings and deletes"),
        pytest.param("failed\rsucceeded", "failed\nsucceeded", id="overwrites its line"),
        pytest.param("a\u2028b\vc\r\nd", "a\nb\nc\nd", id="ends lines"),
        pytest.param("a\u202eb\u2066c\u200fd", "abcd", id="runs backwards"),
        pytest.param("a\u200bb\ufeffc\U000e0041d\u00ade", "abcde", id="does not show"),
        pytest.param("a\ud800b\udfffc", "abc", id="cannot be encoded"),
        pytest.param("a<script>b</script><!--", "a< script>b< /script>< !--", id="is HTML"),
        pytest.param("1 < 2 <= 3 <- 4", "1 < 2 <= 3 <- 4", id="compares"),
    ],
)
def test_a_text_does_nothing(text: str, shown: str) -> None:
    """A text moves no cursor, sets no title or clipboard, hides nothing and is not HTML.

    A step's code, or an image from elsewhere, could have typed a command into the shell of
    whoever runs the pipeline, with the link or the clipboard of a log line.
    """
    assert clean(text) == shown


@given(st.text(max_size=300))
def test_no_text_does_anything(text: str) -> None:
    """Whatever is said: only printable characters, tabs and line ends are left, on one line too."""
    shown = clean(text)
    assert all(char.isprintable() or char in "\n\t" for char in shown)
    shown.encode()
    line = clean_line(text)
    assert line.isprintable()
    assert len(line.splitlines()) <= 1


def test_a_long_text_is_cut() -> None:
    """A text of 60 kB becomes 4000 characters, the last of which say how long it was."""
    shown = clean("é" * 60_000)
    assert len(shown) == MOST_CHARACTERS
    assert shown.endswith("é [...] (60000 characters)")
    assert len(clean_line("a b\n" * 60_000)) <= MOST_LINE_CHARACTERS
    assert clean("a" * MOST_CHARACTERS) == "a" * MOST_CHARACTERS


@pytest.mark.parametrize("hidden", ["", "\x1b[0m" * 4000, "eyJ" * 1400 + " ", "a" * 4000])
def test_the_cut_shows_no_half_of_a_secret(hidden: str) -> None:
    """A password on the cut is not shown, wherever the cut falls, whatever stands before it."""
    for border in (MOST_CHARACTERS, MOST_CHARACTERS + 1024, 4 * (MOST_CHARACTERS + 1024)):
        for distance in range(-30, 5):
            filler = hidden + "x" * max(0, border - len(hidden) + distance)
            text = f"{filler} https://admin:hunter2@db " + "y" * 30_000
            assert "hunt" not in clean(text)


SLOW = [
    "a", "eyJ", "://", "://a", "a:", ":", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE ", "Basic ", "Basic aaaa ", "secret", "secret_token_", "password: ",
    "Bearer  ", "1//1", "AIzaA", "ya29.", "GOCSPX-", "ZENKEY_", "'", '"', "=", "token='",
    "\x1b[", "\x1b[0;", "\x1b]", "\x1b", "\x9d", "\u200b", "<a", "\n", "\r", "@", ".",
    "--", "--token ", "_token: ", "token: a", "a_", 'token=\\"', "\\", "token='''", "cookie: ",
    "pwd=", "Authorization: token ", "api_", "Negotiate ", "ghp_", "Bearer%20", " \t", "-",
]  # fmt: skip


@pytest.mark.parametrize("first", [*SLOW, "Basic " + "a" * 60, "eyJ" + "a" * 60])
def test_no_text_is_slow(first: str) -> None:
    """A text of 250,000 characters that was made to keep patterns busy takes milliseconds.

    A step could have kept the process that waits for it from polling: 64 s for 60 kB, and four
    times that for twice as much.
    """
    start = time.process_time()
    for second in ("", "a", " "):
        clean((first + second) * (250_000 // len(first + second)))
        clean(first + second * 250_000)
    assert time.process_time() - start < CPU_SECONDS


@given(st.lists(st.sampled_from(SLOW), max_size=6), st.lists(st.sampled_from(SLOW), max_size=3))
def test_no_mixture_is_slow(repeated: list[str], before: list[str]) -> None:
    """Nor is a mixture of such texts."""
    text = "".join(before) + "".join(repeated) * 2000
    start = time.process_time()
    clean(text)
    assert time.process_time() - start < CPU_SECONDS


def test_a_secret_deep_in_the_chain_is_found() -> None:
    """A secret in any link of an exception's chain hides the chain from the traceback."""
    caught = KeyError("harmless")
    caught.__cause__ = ValueError("Bearer hunter2")
    assert "hunter2" in "".join(traceback.format_exception(caught))
    assert presentable(caught) is None
    assert presentable(KeyError("harmless")) is not None


@pytest.mark.parametrize("text", ["a\x1b]0;title\x07", "a\u202eb", "x" * 60_000])
def test_a_traceback_shows_no_text_that_acts(text: str) -> None:
    """An error whose text would steer the terminal, or fill it, is in no traceback."""
    assert presentable(ValueError(text)) is None


def test_a_circular_chain_ends() -> None:
    """The search ends for an exception chain that is a circle."""
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert list(iter_chain(first)) == [first, second]


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        ("no", "no."),
        ("no.", "no."),
        ("no!\n", "no!"),
        ("(no.)", "(no.)"),
        ("it said `no.`", "it said `no.`"),
        ("because:", "because."),
        ("", ""),
    ],
)
def test_a_sentence_has_one_full_stop(said: str, ended: str) -> None:
    """What another program said is followed by a cure, which begins a sentence of its own."""
    assert clean_sentence(said) == ended
