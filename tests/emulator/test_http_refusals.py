"""What the HTTP API refuses, and with which error."""

import json

import pytest

from tests.support.emulators import AS_JSON, PARENT, JobOf, Json, call, error_of
from vertex_emulator import JobState, ManualClock, VertexEmulator


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"filter": "labels.a=("}, "Invalid filter"),
        ({"pageSize": "-1"}, "page size"),
        ({"pageToken": "?"}, "page token"),
        ({"readMask": "colour"}, "`colour` is not a path"),
        ({"orderBy": "name"}, 'Unknown name "orderBy": Cannot bind query parameter. Field '),
    ],
)
def test_an_unknown_list_parameter_is_refused(
    emulator: VertexEmulator, query: Json, text: str
) -> None:
    """A query parameter that the service does not have gets 400 that names it."""
    error = error_of(call(emulator, "GET", f"/v1/{PARENT}/customJobs", params=query))
    assert text in error["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v1/{PARENT}/trainingPipelines"),
        ("POST", f"/v1/{PARENT}/trainingPipelines"),
        ("PATCH", f"/v1/{PARENT}/customJobs/1"),
        ("GET", f"/v2/{PARENT}/customJobs"),
        ("POST", "/v2/entries:tail"),
        ("GET", f"/v1/{PARENT}/customJobs/"),
        ("GET", f"/v1/{PARENT}/customJobs/1%2F..%2F2"),
    ],
)
def test_a_route_that_is_not_served_is_named(
    emulator: VertexEmulator, method: str, path: str
) -> None:
    """Every unserved route gets 404 UNIMPLEMENTED with its name; gcloud tries again after 501."""
    error = error_of(call(emulator, method, path))
    assert (error["code"], error["status"]) == (404, "UNIMPLEMENTED")
    assert f"{method} /" in error["message"]
    assert path.split("%", maxsplit=1)[0].rsplit("/", 1)[0] in error["message"]


@pytest.mark.parametrize("job_id", ["..", "0", "x", "%00", "1" * 30, "١٢", "-1", "1;2"])
def test_an_invalid_id_is_refused(emulator: VertexEmulator, job_id: str) -> None:
    """A job ID that cannot be one is not looked up in the file system."""
    answer = call(emulator, "GET", f"/v1/{PARENT}/customJobs/{job_id}")
    assert answer.status_code in {400, 404}
    assert error_of(answer)["status"] in {"INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"}


@pytest.mark.parametrize(
    ("parent", "status"),
    [
        ("projects/my-project/locations/global", "INVALID_ARGUMENT"),
        ("projects/my-project/locations/asia-south2", "INVALID_ARGUMENT"),
        ("projects/My Project/locations/us-central1", "PERMISSION_DENIED"),
    ],
)
def test_an_invalid_parent_is_refused(
    emulator: VertexEmulator, job_of: JobOf, parent: str, status: str
) -> None:
    """A region without training and an invalid project ID are errors."""
    answer = call(emulator, "POST", f"/v1/{parent}/customJobs", json=job_of("true"))
    assert error_of(answer)["status"] == status


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"x"', b"\xff", b"[" * 50_000, b'{"displayName": "\\ud800"}', b"",
     json.dumps({"displayName": {"a": 1}}).encode(), b'{"jobSpec": null}'],
)  # fmt: skip
def test_a_malformed_body_is_a_bad_request(emulator: VertexEmulator, body: bytes) -> None:
    """A malformed body gets 400 in Google's format."""
    error = error_of(call(emulator, "POST", f"/v1/{PARENT}/customJobs", data=body, headers=AS_JSON))
    assert error["status"] == "INVALID_ARGUMENT"


def test_a_huge_body_is_refused(emulator: VertexEmulator, job_of: JobOf) -> None:
    """A body above the size limit is refused without harm, and one just below it is accepted."""
    url = f"/v1/{PARENT}/customJobs"
    error = error_of(call(emulator, "POST", url, data=b" " * (11 * 1024 * 1024), headers=AS_JSON))
    assert "exceeds the limit" in error["message"]
    env = [{"name": f"V{n}", "value": "x" * 50_000} for n in range(20)]
    job = job_of(pool={"containerSpec": {"imageUri": "i", "command": ["true"], "env": env}})
    name = call(emulator, "POST", url, json=job).json()["name"]
    assert emulator.wait_for_state(name).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"Host": "evil.example"}, "Host is `evil.example`"),
        ({"Host": "127.0.0.1.evil.example"}, "Host is `127.0.0.1.evil.example`"),
        ({"Host": "["}, "Host is `[`"),
        ({"Host": ""}, "Host is empty or missing"),
        ({"Host": "metadata.google.internal"}, "Host is `metadata.google.internal`"),
        ({"Origin": "https://evil.example"}, "Origin is `https://evil.example`"),
        ({"Origin": "null"}, "Origin is `null`"),
        ({"Origin": "http://["}, "Origin is `http://[`"),
        ({"Origin": ""}, "Origin is ``"),
        ({"Origin": "http://127.0.0.1:8237"}, "Origin is `http://127.0.0.1:8237`"),
        ({"Origin": "http://localhost"}, "Origin is `http://localhost`"),
        ({"Sec-Fetch-Site": "cross-site"}, "Sec-Fetch-Site is `cross-site`"),
        ({"Sec-Fetch-Site": "none"}, "Sec-Fetch-Site is `none`"),
        ({"sec-fetch-mode": "no-cors"}, "Sec-Fetch-Mode is `no-cors`"),
    ],
)
def test_requests_from_web_pages_are_refused(
    emulator: VertexEmulator, job_of: JobOf, headers: dict[str, str], text: str
) -> None:
    """A page that is open in a browser could run commands, also one of another local server."""
    url = f"/v1/{PARENT}/customJobs"
    answer = call(emulator, "POST", url, json=job_of("true"), headers=headers)
    assert answer.status_code == 403
    assert text in error_of(answer)["message"]
    assert emulator.jobs == ()
    assert call(emulator, "GET", "/v1/nothing", headers=headers).status_code == 403
    assert call(emulator, "POST", "/token", data={}, headers=headers).status_code == 403


def test_a_page_leaves_no_records(emulator: VertexEmulator) -> None:
    """A page in a browser could push out the records of the user's own calls with its own."""
    call(emulator, "GET", "/v1/nothing", headers={"Origin": "https://evil.example"})
    assert emulator.calls == ()


def test_a_path_is_kept_and_logged_cut_and_without_escapes(
    emulator: VertexEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A job with the emulator's address could fill its memory, and steer the owner's terminal.

    `--log-level debug` wrote the path of each request as it was, and each was kept in full.
    """
    with caplog.at_level("DEBUG", "vertex_emulator"):
        call(emulator, "GET", "/%1b]0;pwned%07%c2%9b%0aforged%20line")
        call(emulator, "GET", "/" + "A" * 60_000)
        call(emulator, "B" * 60_000, "/")
    first, second, third = emulator.calls
    assert first.path == "/%1B]0;pwned%07%C2%9B%0Aforged line"
    assert second.path == f"/{'A' * 499} [...] (60001 characters)"
    assert third.method == f"{'B' * 500} [...] (60000 characters)"
    # Where ZenML was imported before, uvicorn logs too; `zenml-vertex emulator` turns that off.
    own = [each.getMessage() for each in caplog.records if each.name.startswith("vertex_emulator")]
    lines = [line for line in own if "pwned" in line]
    assert lines == ["GET /%1B]0;pwned%07%C2%9B%0Aforged line: 404"]
    assert max(map(len, own)) < 2000


def test_the_metadata_servers_name_is_for_its_routes_only(emulator: VertexEmulator) -> None:
    """Whatever resolves the metadata server's name to loopback reaches nothing but metadata."""
    headers = {"Host": "metadata.google.internal", "Metadata-Flavor": "Google"}
    for path in ("/", "/computeMetadata/v1/project/project-id"):
        assert call(emulator, "GET", path, headers=headers).status_code == 200
    for path in (f"/v1/{PARENT}/customJobs", "/emulator/requests", "/v1/nothing"):
        assert call(emulator, "GET", path, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "declared",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None],
)
def test_only_json_starts_a_job(
    emulator: VertexEmulator, job_of: JobOf, declared: str | None
) -> None:
    """A form in a page of an old browser, which says nothing of its origin, could start a job."""
    headers = {"Content-Type": declared} if declared else {}
    job = json.dumps(job_of("true"))
    for path in (f"/v1/{PARENT}/customJobs", "/emulator/faults"):
        error = error_of(call(emulator, "POST", path, data=job, headers=headers))
        assert error["status"] == "INVALID_ARGUMENT"
        assert "`Content-Type: application/json`" in error["message"]
    form = {"Content-Type": declared or "text/plain"}
    assert call(emulator, "POST", "/emulator/reset", headers=form).status_code == 400
    assert emulator.jobs == ()


def test_an_expired_token_is_refused() -> None:
    """A token of the emulator is accepted until it expires, and gets 401 afterwards."""
    clock = ManualClock()
    with VertexEmulator(clock=clock, token_lifetime=5) as emulator:
        form = {"grant_type": "refresh_token", "refresh_token": "r", "client_id": "me"}
        token = call(emulator, "POST", "/token", data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        url = f"/v1/{PARENT}/customJobs"
        clock.advance(4.9)
        assert call(emulator, "GET", url, headers=headers).status_code == 200
        clock.advance(0.1)
        error = error_of(call(emulator, "GET", url, headers=headers))
        assert (error["code"], error["status"]) == (401, "UNAUTHENTICATED")
        assert [item.identity for item in emulator.calls] == ["anonymous", "me", "me"]
