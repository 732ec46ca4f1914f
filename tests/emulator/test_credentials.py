"""google-auth against the token endpoint and the metadata server."""

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from google.auth import jwt
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account

from vertex_emulator import JobState, ManualClock, VertexEmulator
from vertex_emulator.http.callers import UNKNOWN_TOKEN, Caller
from vertex_emulator.identity.tokens import Tokens, read_claims

Json = dict[str, Any]
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
JOBS = "/v1/projects/my-project/locations/us-central1/customJobs"
AGENT = "service-100000000001@gcp-sa-aiplatform-cc.iam.gserviceaccount.com"


@pytest.fixture
def request_() -> Iterator[Request]:
    """The transport with which google-auth refreshes credentials."""
    with requests.Session() as session:
        yield Request(session)


def identities(emulator: VertexEmulator) -> list[str]:
    """Return the identities that have listed the jobs."""
    return [call.identity for call in emulator.calls if call.path == JOBS]


def test_a_service_accounts_key_gets_a_token(
    emulator: VertexEmulator, key_of: Callable[[str], Json]
) -> None:
    """A key is exchanged for a token at `token_uri`, and calls with it are that account's."""
    credentials = service_account.Credentials.from_service_account_info(
        key_of(emulator.url), scopes=SCOPES
    )
    with AuthorizedSession(credentials) as session:
        assert session.get(emulator.url + JOBS).status_code == 200
    assert identities(emulator) == ["trainer@my-project.iam.gserviceaccount.com"]
    assert credentials.expiry is not None


def test_a_self_signed_jwt_has_its_signers_identity(
    emulator: VertexEmulator, key_of: Callable[[str], Json], request_: Request
) -> None:
    """A JWT that Google's clients sign with a key is accepted as its issuer's."""
    credentials = service_account.Credentials.from_service_account_info(
        key_of(emulator.url), scopes=SCOPES, always_use_jwt_access=True
    )
    credentials.refresh(request_)
    headers = {"Authorization": f"Bearer {credentials.token}"}
    assert requests.get(emulator.url + JOBS, headers=headers, timeout=10).status_code == 200
    assert identities(emulator) == ["trainer@my-project.iam.gserviceaccount.com"]


def test_a_service_account_gets_an_id_token(
    emulator: VertexEmulator, key_of: Callable[[str], Json], request_: Request
) -> None:
    """An ID token has the audience that was requested."""
    credentials = service_account.IDTokenCredentials.from_service_account_info(
        key_of(emulator.url), target_audience="https://me.example"
    )
    credentials.refresh(request_)
    claims = jwt.decode(credentials.token, verify=False)
    assert claims["aud"] == "https://me.example"
    assert claims["email"] == "trainer@my-project.iam.gserviceaccount.com"


def test_a_users_refresh_token_gets_tokens(request_: Request) -> None:
    """A refresh token stands for its client ID, or for the user that a test has named."""
    with VertexEmulator(user_identities={"refresh-2": "ada@example.com"}) as emulator:
        for refresh_token in ("refresh-1", "refresh-2"):
            credentials = user_credentials.Credentials(
                None,
                refresh_token=refresh_token,
                token_uri=f"{emulator.url}/token",
                client_id="client.apps.googleusercontent.com",
                client_secret="s3cret",
            )
            credentials.refresh(request_)
            assert credentials.valid
            headers = {"Authorization": f"Bearer {credentials.token}"}
            requests.get(emulator.url + JOBS, headers=headers, timeout=10)
        assert identities(emulator) == ["client.apps.googleusercontent.com", "ada@example.com"]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        (
            {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b.c"},
            "invalid_grant",
        ),
        (
            {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.W10.c"},
            "invalid_grant",
        ),
    ],
)
def test_an_unknown_grant_is_refused(
    emulator: VertexEmulator, form: dict[str, str], code: str
) -> None:
    """The token endpoint refuses an unknown grant in OAuth's own format."""
    answer = requests.post(f"{emulator.url}/token", data=form, timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (400, code)
    assert requests.post(f"{emulator.url}/token", data=b"\xff", timeout=10).status_code == 400


def test_tokens_are_not_in_reprs() -> None:
    """The repr of an object that holds a token does not show it."""
    clock = ManualClock()
    tokens = Tokens(clock)
    token = tokens.issue("me")
    assert token.text not in repr(token)
    assert tokens.identify(f"Bearer {token.text}").identity == "me"
    assert tokens.identify(f"Basic {token.text}").identity == "anonymous"


def test_tokens_take_up_no_memory() -> None:
    """However many tokens are issued, the first is known, expires in time, and none is kept."""
    clock = ManualClock()
    tokens = Tokens(clock, lifetime=60)
    first = f"Bearer {tokens.issue('me').text}"
    tracemalloc.start()
    for number in range(2000):
        tokens.issue(f"somebody {number}")
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 20_000
    assert tokens.identify(first) == Caller("me", is_expired=False)
    clock.advance(60)
    assert tokens.identify(first) == Caller("me", is_expired=True)


def test_a_token_that_was_changed_is_unknown() -> None:
    """A token is known as it was issued, by whoever issued it, and until everything is reset."""
    tokens = Tokens(ManualClock())
    token = tokens.issue("me").text
    for other in (
        token[:-4],
        f"{token[:-4]}AAAA",
        f"{token}?",
        "ya29.emulator-",
        "ya29.emulator-\xff",
    ):
        assert tokens.identify(f"Bearer {other}").identity != "me"
    assert Tokens(ManualClock()).identify(f"Bearer {token}").identity == UNKNOWN_TOKEN
    tokens.expire()
    assert tokens.identify(f"Bearer {token}").is_expired
    assert not tokens.identify(f"Bearer {tokens.issue('me').text}").is_expired
    tokens.clear()
    assert tokens.identify(f"Bearer {token}").identity == UNKNOWN_TOKEN
    assert read_claims("not.a.jwt") is None


# google-auth reads these variables when it is imported, so it runs in a process of its own.
METADATA = """
import json, requests
import google.auth
from google.auth import compute_engine
from google.auth.transport.requests import Request
from google.oauth2 import id_token
with requests.Session() as session:
    request = Request(session)
    credentials, project = google.auth.default(request=request)
    assert isinstance(credentials, compute_engine.Credentials), credentials
    credentials.refresh(request)
    headers = {"Authorization": f"Bearer {credentials.token}"}
    status = session.get(URL, headers=headers).status_code
    identity = id_token.fetch_id_token(request, "https://me.example")
    print(json.dumps([
        project, credentials.service_account_email, credentials.universe_domain, status,
        google.auth.jwt.decode(identity, verify=False)["aud"],
    ]))
"""


def test_google_auth_finds_the_metadata_server(emulator: VertexEmulator) -> None:
    """With GCE_METADATA_HOST set, google-auth's default credentials are the service agent's."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GCE_METADATA_HOST": emulator.host,
        "GCE_METADATA_IP": emulator.host,
    }
    code = METADATA.replace("URL", repr(emulator.url + JOBS))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        "emulator-tp",
        AGENT,
        "googleapis.com",
        200,
        "https://me.example",
    ]
    assert identities(emulator) == [AGENT]


GCSFS = """
import gcsfs
fs = gcsfs.GCSFileSystem()
fs.credentials.maybe_refresh()
print(fs.credentials.method, type(fs.credentials.credentials).__module__)
"""


def test_gcsfs_in_a_job_finds_credentials_at_once(
    emulator: VertexEmulator,
    submit: Callable[[VertexEmulator, Json], Json],
    job_of: Callable[..., Json],
) -> None:
    """In a job, gcsfs finds credentials without the 15 s that it loses where no server answers."""
    name = submit(emulator, job_of("python", "-W", "ignore", "-c", GCSFS))["name"]
    job = emulator.wait_for_state(name)
    lines = emulator.log_lines(name)
    assert job.state is JobState.SUCCEEDED, lines
    assert any("google.auth.compute_engine.credentials" in line for line in lines), lines
    paths = {call.path for call in emulator.calls}
    assert "/computeMetadata/v1/instance/service-accounts/default/token" in paths


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("", "instance/\nproject/\nuniverse/\n"),
        ("project/project-id", "emulator-tp"),
        ("project/numeric-project-id", "100000000001"),
        ("universe/universe-domain", "googleapis.com"),
        ("instance/service-accounts/", f"default/\n{AGENT}/\n"),
        ("instance/service-accounts/default/email", AGENT),
        ("instance/service-accounts/default/aliases", "default\n"),
        ("instance/service-accounts/default/scopes", f"{SCOPES[0]}\n"),
        (f"instance/service-accounts/{AGENT}/email", AGENT),
    ],
)
def test_metadata_is_plain_text(emulator: VertexEmulator, path: str, text: str) -> None:
    """Each metadata key is plain text, and a folder lists its keys."""
    answer = requests.get(
        f"{emulator.url}/computeMetadata/v1/{path}",
        headers={"Metadata-Flavor": "Google"},
        timeout=10,
    )
    assert (answer.status_code, answer.text) == (200, text)
    assert answer.headers["Metadata-Flavor"] == "Google"


def test_metadata_requires_its_header(emulator: VertexEmulator) -> None:
    """A request without `Metadata-Flavor: Google` is refused, and an unknown key is 404."""
    url = f"{emulator.url}/computeMetadata/v1/instance/service-accounts/default/token"
    assert requests.get(url, timeout=10).status_code == 403
    headers = {"Metadata-Flavor": "Google"}
    for path in ("instance/nothing", "instance/service-accounts/default/email/more"):
        answer = requests.get(
            f"{emulator.url}/computeMetadata/v1/{path}", headers=headers, timeout=10
        )
        assert answer.status_code == 404
    account = requests.get(
        f"{emulator.url}/computeMetadata/v1/instance/service-accounts/default/?recursive=true",
        headers=headers,
        timeout=10,
    )
    assert account.json() == {"aliases": ["default"], "email": AGENT, "scopes": SCOPES}
