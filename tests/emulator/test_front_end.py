"""HTTP as Google's front end speaks it: headers, encodings, query parameters, other methods."""

import gzip
import json
import zlib
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.emulators import AS_JSON, PARENT, JobOf, Json, Submit, call, error_of
from vertex_emulator import VertexEmulator
from vertex_emulator.http.bodies import MAX_BODY_BYTES

JOBS = f"/v1/{PARENT}/customJobs"
FORM = "application/x-www-form-urlencoded"
OVERRIDE = "X-HTTP-Method-Override"
AS_A_GET = {OVERRIDE: "GET", "Content-Type": FORM}
GOOGLES = {
    "Content-Type": "application/json; charset=UTF-8",
    "Server": "ESF",
    "Vary": "Origin, X-Origin, Referer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "X-XSS-Protection": "0",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", JOBS, 200),
        ("GET", f"{JOBS}/1", 404),
        ("POST", JOBS, 400),
        ("GET", f"{JOBS}?x=1", 400),
        ("POST", "/v2/entries:list", 400),
        ("GET", "/v1/projects/p/secrets", 200),
        ("GET", f"/v1/{PARENT}/operations/1", 404),
    ],
)
def test_answers_have_googles_headers(
    emulator: VertexEmulator, method: str, path: str, status: int
) -> None:
    """Answers and errors of Google's APIs have the headers that were recorded."""
    answer = call(emulator, method, path)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in GOOGLES} == GOOGLES
    assert "Server" not in call(emulator, "GET", "/emulator/health").headers


def test_a_packed_body_is_read(emulator: VertexEmulator, job_of: JobOf) -> None:
    """A client may send its body as gzip."""
    body = gzip.compress(json.dumps(job_of("true")).encode())
    for encoding in ("gzip", "GZIP", "x-gzip"):
        headers = {**AS_JSON, "Content-Encoding": encoding}
        assert call(emulator, "POST", JOBS, data=body, headers=headers).status_code == 200
    assert len(emulator.jobs) == 3


@pytest.mark.parametrize(
    ("encoding", "body", "text"),
    [
        ("gzip", gzip.compress(b" " * (MAX_BODY_BYTES + 1)), "exceeds the limit"),
        ("gzip", gzip.compress(b"{}", mtime=0) * 2, "not one complete gzip file"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-4], "not one complete gzip file"),
        ("gzip", b"", "not one complete gzip file"),
        ("gzip", b"{}", "not a gzip file"),
        ("gzip", zlib.compress(b"{}"), "not a gzip file"),
        ("br", b"{}", "`Content-Encoding: gzip` only; it is `br`"),
        ("gzip, gzip", b"{}", "it is `gzip, gzip`"),
    ],
)
def test_what_cannot_be_unpacked_is_refused(
    emulator: VertexEmulator, encoding: str, body: bytes, text: str
) -> None:
    """A body that unpacks to more than a body may have, or not at all, is a bad request."""
    headers = {**AS_JSON, "Content-Encoding": encoding}
    error = error_of(call(emulator, "POST", JOBS, data=body, headers=headers))
    assert error["status"] == "INVALID_ARGUMENT"
    assert text in error["message"]


def test_a_list_can_come_as_a_form(emulator: VertexEmulator, submit: Submit, job_of: JobOf) -> None:
    """A GET with a long query, which Google's clients send as a POST, creates nothing.

    It was taken for a create.
    """
    names = [submit(emulator, job_of("true", labels={"n": str(n)}))["name"] for n in range(2)]
    wanted = " OR ".join(f'labels.n="{n}"' for n in [1, *range(100, 300)])
    form = urlencode({"filter": wanted, "alt": "json"})
    assert len(form) > 2048
    answer = call(emulator, "POST", JOBS, data=form, headers=AS_A_GET)
    assert [job["name"] for job in answer.json()["customJobs"]] == [names[1]]
    one = call(emulator, "POST", f"/v1/{names[0]}", headers={OVERRIDE: "get"})
    assert one.json()["name"] == names[0]
    url = f"{JOBS}?pageSize=1"
    both = call(emulator, "POST", url, data="fields=nextPageToken", headers=AS_A_GET)
    assert list(both.json()) == ["nextPageToken"]
    assert len(emulator.jobs) == 2
    assert [item.method for item in emulator.calls][-3:] == ["GET", "GET", "GET"]


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {OVERRIDE: "DELETE", "Content-Type": FORM}),
        ("POST", {OVERRIDE: "PATCH", "Content-Type": "application/json"}),
        ("POST", {OVERRIDE: "PUT"}),
        ("GET", {OVERRIDE: "POST", "Content-Type": FORM}),
        ("GET", {OVERRIDE: "DELETE"}),
        ("DELETE", {OVERRIDE: "GET", "Content-Type": FORM}),
        ("POST", {OVERRIDE: "GET", "Content-Type": "application/json"}),
        ("POST", {OVERRIDE: "GET", "Content-Type": "text/plain"}),
    ],
)
def test_no_other_method_is_overridden(
    emulator: VertexEmulator,
    submit: Submit,
    job_of: JobOf,
    method: str,
    headers: dict[str, str],
) -> None:
    """What changes something is never sent as something else: a form must not change anything."""
    name = submit(emulator, job_of("true"))["name"]
    for path in (f"/v1/{name}", JOBS, f"/v1/{name}:cancel", "/emulator/reset"):
        error = error_of(call(emulator, method, path, data=b"{}", headers=headers))
        assert error["status"] == "INVALID_ARGUMENT"
        assert "X-HTTP-Method-Override: GET" in error["message"]
    assert [job.name for job in emulator.jobs] == [name]


def test_a_form_cannot_create_a_job_as_a_get(emulator: VertexEmulator, job_of: JobOf) -> None:
    """With the header a form is a query and nothing else; without it, it is refused as before."""
    job = json.dumps(job_of("true"))
    error = error_of(call(emulator, "POST", JOBS, data=job, headers=AS_A_GET))
    assert "Cannot bind query parameter" in error["message"]
    error = error_of(call(emulator, "POST", f"{JOBS}?$httpMethod=GET", data="", headers={}))
    assert "$httpMethod" in error["message"]
    page = {**AS_A_GET, "Origin": "https://evil.example"}
    assert call(emulator, "POST", JOBS, data="pageSize=1", headers=page).status_code == 403
    assert emulator.jobs == ()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", JOBS),
        ("POST", JOBS),
        ("GET", f"{JOBS}/1"),
        ("DELETE", f"{JOBS}/1"),
        ("POST", f"{JOBS}/1:cancel"),
        ("GET", f"/v1/{PARENT}/operations"),
        ("GET", f"/ui/{PARENT}/operations/1"),
        ("POST", "/v2/entries:list"),
        ("POST", "/v1/projects/p/secrets"),
        ("GET", "/v1/projects/p/secrets/s/versions/latest:access"),
    ],
)
def test_an_unknown_query_parameter_is_named(
    emulator: VertexEmulator, method: str, path: str
) -> None:
    """Every method refuses parameters that it does not have, all of them, in Google's words."""
    error = error_of(call(emulator, method, f"{path}?colour=red&a.b=1&pretty_print=true"))
    texts = [
        f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
        f"Field '{field}' could not be found in request message."
        for name, field in (("colour", "colour"), ("a.b", "a"), ("pretty_print", "pretty_print"))
    ]
    assert error == {
        "code": 400,
        "message": "\n".join(texts),
        "status": "INVALID_ARGUMENT",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"description": text} for text in texts],
            }
        ],
    }


@pytest.mark.parametrize(
    "query",
    ["key=k&quotaUser=u&$.xgafv=2&uploadType=media&upload_protocol=raw&access_token=a", "$key=k",
     "alt=json", "$alt=json", "$alt=json%3Benum-encoding%3Dint", "fields=*", "$prettyPrint=false",
     "$apiVersion=1", "$userProject=p"],
)  # fmt: skip
def test_system_parameters_are_served(emulator: VertexEmulator, query: str) -> None:
    """Every API has the system parameters; those without a meaning here have no effect."""
    assert call(emulator, "GET", f"{JOBS}?{query}").json() == {}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("alt=media", "JSON only: `alt` can be `json` or `json;enum-encoding=int`; it is `media`."),
        ("alt=proto", "it is `proto`"),
        ("$alt=sse", "it is `sse`"),
        ("$alt=json%3Benum-encoding%3Dname", "it is `json;enum-encoding=name`"),
        ("callback=f", "does not serve `callback`"),
        ("$callback=f", "does not serve `callback`"),
        ("$ct=application/json", 'Unknown name "$ct"'),
    ],
)
def test_other_kinds_of_answers_are_refused(
    emulator: VertexEmulator, query: str, text: str
) -> None:
    """An answer that is not JSON, or is a script for a page, is refused and not silently JSON."""
    error = error_of(call(emulator, "GET", f"{JOBS}?{query}"))
    assert error["status"] == "INVALID_ARGUMENT"
    assert text in error["message"]


def test_an_answer_can_be_partial(emulator: VertexEmulator, submit: Submit, job_of: JobOf) -> None:
    """`fields`, `$fields` and `X-Goog-FieldMask` leave the named fields of an answer."""
    name = submit(emulator, job_of("true"))["name"]
    emulator.wait_for_state(name)
    wanted = {"customJobs": [{"name": name, "state": "JOB_STATE_SUCCEEDED"}]}
    for parameter in ("fields", "$fields"):
        query = {parameter: "customJobs(name,state)"}
        assert call(emulator, "GET", JOBS, params=query).json() == wanted
    mask = {"X-Goog-FieldMask": "customJobs.name,customJobs.state"}
    assert call(emulator, "GET", JOBS, headers=mask).json() == wanted
    created = call(emulator, "POST", f"{JOBS}?fields=displayName", json=job_of("true"))
    assert created.json() == {"displayName": "a job"}
    body = {"resourceNames": ["projects/my-project"], "pageSize": 1}
    entries = call(emulator, "POST", "/v2/entries:list?fields=entries/logName", json=body).json()
    assert [list(entry) for entry in entries["entries"]] == [["logName"]]


def test_a_field_that_an_answer_does_not_have_is_refused(
    emulator: VertexEmulator, job_of: JobOf
) -> None:
    """A selection that leads nowhere is refused before the call has an effect."""
    for query in ({"fields": "colour"}, {"$fields": "name,colour"}):
        error = error_of(call(emulator, "POST", JOBS, params=query, json=job_of("true")))
        (violation,) = error["details"][0]["fieldViolations"]
        assert violation["field"] == "colour"
        assert "Cannot find matching fields for path 'colour'." in violation["description"]
    assert emulator.jobs == ()


def test_enums_can_be_numbers(emulator: VertexEmulator, job_of: JobOf) -> None:
    """With `enum-encoding=int`, enums are numbers, as recorded; int64 stays a text."""
    as_numbers = {"$alt": "json;enum-encoding=int"}
    machine = {
        "machineType": "n1-standard-4",
        "acceleratorType": "NVIDIA_TESLA_T4",
        "acceleratorCount": 1,
    }
    job = job_of("true", pool={"machineSpec": {**machine}}, scheduling={"strategy": "SPOT"})
    job["jobSpec"]["workerPoolSpecs"][0]["machineSpec"]["acceleratorType"] = 5
    shown = call(emulator, "POST", JOBS, params=as_numbers, json=job).json()
    assert shown["state"] in {1, 2}
    pool = shown["jobSpec"]["workerPoolSpecs"][0]
    assert (pool["machineSpec"]["acceleratorType"], pool["replicaCount"]) == (5, "1")
    assert shown["jobSpec"]["scheduling"]["strategy"] == 4
    emulator.wait_for_state(shown["name"])
    listed = call(emulator, "GET", JOBS, params=as_numbers).json()["customJobs"]
    assert [one["state"] for one in listed] == [4]
    by_name = call(emulator, "GET", f"/v1/{shown['name']}").json()
    assert by_name["jobSpec"]["workerPoolSpecs"][0]["machineSpec"] == machine


def test_an_answer_can_be_indented(emulator: VertexEmulator) -> None:
    """`prettyPrint` puts each field on a line of its own; answers are short without it."""
    body: Json = {"replication": {"automatic": {}}}
    query: Any = {"secretId": "s", "prettyPrint": "true"}
    pretty = call(emulator, "POST", "/v1/projects/p/secrets", params=query, json=body)
    assert '\n  "replication": {\n    "automatic": {}\n  }' in pretty.text
    assert "\n" not in call(emulator, "GET", "/v1/projects/p/secrets/s").text


def test_an_enum_is_named_as_its_version_names_it(emulator: VertexEmulator, job_of: JobOf) -> None:
    """A wrong member of an enum is refused with the enum's name in the API version asked."""
    job = job_of("true", scheduling={"strategy": "CHEAP"})
    for version in ("v1", "v1beta1"):
        error = error_of(call(emulator, "POST", f"/{version}/{PARENT}/customJobs", json=job))
        assert (
            "Invalid value at 'custom_job.job_spec.scheduling.strategy' "
            f"(type.googleapis.com/google.cloud.aiplatform.{version}.Scheduling.Strategy)"
        ) in error["message"]
