"""`entries:write`: log entries that clients write, and read back."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import BadRequest
from google.auth.credentials import AnonymousCredentials
from google.cloud import logging_v2

from tests.emulator.test_proto_json import compare
from tests.support.emulators import JobOf, Json, Submit, call, error_of
from vertex_emulator import ManualClock, ScriptedRuntime, VertexEmulator
from vertex_emulator.core.messages import Message
from vertex_emulator.faults import PermissionWithdrawn
from vertex_emulator.logs.messages import LOG_ENTRY, WRITE_REQUEST
from vertex_emulator.logs.writes import read_write

LOG = "projects/my-project/logs/mine"
GLOBAL = {"type": "global"}
UNKNOWN = {"errorGroups", "metadata"}
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def shared() -> Iterator[VertexEmulator]:
    """An emulator whose clock stands still."""
    with VertexEmulator(runtime=ScriptedRuntime(), clock=ManualClock(START)) as emulator:
        yield emulator


@pytest.fixture
def still(shared: VertexEmulator) -> VertexEmulator:
    """The same without entries."""
    shared.reset()
    return shared


def write(emulator: VertexEmulator, *entries: Json, **request: Any) -> Json:
    """Write entries, and return the answer."""
    body = {"logName": LOG, "resource": GLOBAL, "entries": list(entries), **request}
    answer: Json = call(emulator, "POST", "/v2/entries:write", json=body).json()
    return answer


def read(emulator: VertexEmulator, text: str = "", project: str = "my-project") -> list[Json]:
    """Read the entries of a project that a filter selects."""
    body = {"resourceNames": [f"projects/{project}"], "filter": text}
    answer: Json = call(emulator, "POST", "/v2/entries:list", json=body).json()
    entries: list[Json] = answer.get("entries", [])
    return entries


def texts(entries: list[Json]) -> list[str]:
    """The texts of entries."""
    return [entry["textPayload"] for entry in entries]


def at(**ago: float) -> str:
    """A time so long before that of the clock which stands still."""
    return (START - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def client(emulator: VertexEmulator) -> Iterator[logging_v2.Client]:
    """Google's client of Cloud Logging, over REST."""
    with requests.Session() as session:
        yield logging_v2.Client(
            project="my-project",
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=emulator.url),
            _http=session,
            _use_grpc=False,
        )


def test_googles_client_reads_what_it_has_written(client: logging_v2.Client) -> None:
    """Texts, objects, severities and labels come back as Google's client has written them."""
    logger = client.logger("my-log%2Fone", resource=logging_v2.Resource("global", {}))
    logger.log_text("a text", severity="WARNING", labels={"team": "ml"})
    logger.log_struct({"message": "an object", "loss": 0.5}, insert_id="i1")
    with logger.batch() as batch:
        batch.log_text("first")
        batch.log_text("second")
    entries = [
        entry
        for entry in client.list_entries(order_by="timestamp asc")
        # What the client says about itself, once in a process.
        if "logging.googleapis.com/diagnostic" not in entry.payload
    ]
    assert [entry.payload for entry in entries] == [
        *("a text", {"message": "an object", "loss": 0.5}),
        *("first", "second"),
    ]
    assert (entries[0].severity, entries[0].labels) == ("WARNING", {"team": "ml"})
    assert entries[1].insert_id == "i1"
    assert {entry.log_name for entry in entries} == {"projects/my-project/logs/my-log%2Fone"}
    found = client.list_entries(filter_='severity>=WARNING AND textPayload:"text"')
    assert [entry.payload for entry in found] == ["a text"]
    with pytest.raises(BadRequest, match="Log name contains illegal character"):
        client.logger("what?", resource=logging_v2.Resource("global", {})).log_text("x")


def test_the_schema_is_googles() -> None:
    """Fields, types, enums and oneofs of a request equal those of Google's client."""
    types = logging_v2.types
    # Two fields that the service sets are on Google's page, and its client does not have them.
    known = LOG_ENTRY.fields.items()
    entry = Message(
        LOG_ENTRY.full_name, {name: field for name, field in known if name not in UNKNOWN}
    )
    compare(entry, types.LogEntry.pb().DESCRIPTOR, beta=False)
    request = types.WriteLogEntriesRequest.pb().DESCRIPTOR
    assert set(WRITE_REQUEST.fields) == {field.json_name for field in request.fields}


def test_what_an_entry_leaves_out_is_filled_in(still: VertexEmulator) -> None:
    """The request's log, resource and labels are defaults; time and ID are made up."""
    other = "projects/my-project/logs/other"
    pod = {"type": "k8s_pod", "labels": {"pod_name": "p"}}
    entry = {
        "log_name": f"/{other}",
        "resource": pod,
        "labels": {"team": "ops"},
        "severity": 400,
        "jsonPayload": {},
    }
    labels = {"team": "ml", "run": "1"}
    assert write(still, {"textPayload": "plain"}, entry, labels=labels) == {}
    first, second = read(still)
    assert first.pop("insertId") < second.pop("insertId")
    times = {"timestamp": "2026-01-01T00:00:00.000000Z"}
    times["receiveTimestamp"] = times["timestamp"]
    plain = {"logName": LOG, "resource": GLOBAL, "labels": labels, "textPayload": "plain"}
    assert first == {**plain, **times}
    labels = {"team": "ops", "run": "1"}
    assert second == {
        "logName": other,
        "resource": pod,
        "labels": labels,
        "severity": "WARNING",
        "jsonPayload": {},
        **times,
    }


def test_entries_without_a_time_keep_their_order(still: VertexEmulator) -> None:
    """Those that are earlier in a request, or in an earlier request, come first."""
    wanted = [f"line {number}" for number in range(20)]
    for some in (wanted[:12], wanted[12:]):
        write(still, *({"textPayload": text} for text in some))
    assert texts(read(still)) == wanted


def test_entries_are_in_the_order_of_their_times(still: VertexEmulator) -> None:
    """An entry may be older than one that is there already, and have any offset and precision."""
    for text, moment in (
        ("third", "2026-01-01T00:00:00+00:00"),
        ("first", "2025-12-31T22:30:00.123456789Z"),
        ("second", "2026-01-01T01:00:00.000000001+02:00"),
    ):
        assert write(still, {"textPayload": text, "timestamp": moment}) == {}
    found = read(still)
    assert texts(found) == ["first", "second", "third"]
    assert [entry["timestamp"] for entry in found] == [
        *("2025-12-31T22:30:00.123456789Z", "2025-12-31T23:00:00.000000001Z"),
        "2026-01-01T00:00:00.000000Z",
    ]


def test_no_list_has_an_entry_of_another_age(still: VertexEmulator) -> None:
    """More than 30 days old or a day ahead: the entry is accepted, and never seen."""
    for text, ago in (("old", 30.1), ("kept", 29.9), ("near", -0.9), ("ahead", -1.1)):
        assert write(still, {"textPayload": text, "timestamp": at(days=ago)}) == {}
    assert texts(read(still)) == ["kept", "near"]


def test_an_entry_is_written_once(still: VertexEmulator) -> None:
    """A client that tries again sends the same time and ID, and writes nothing twice."""
    entry = {"textPayload": "x", "timestamp": at(hours=1), "insertId": "a"}
    for _ in range(2):
        write(still, entry, entry)
    write(still, {**entry, "insertId": "b"}, {**entry, "timestamp": at(hours=2)})
    write(still, entry, logName="projects/other/logs/mine")
    assert [one["insertId"] for one in read(still)] == ["a", "a", "b"]
    assert [one["insertId"] for one in read(still, project="other")] == ["a"]


def test_a_severity_between_the_others(still: VertexEmulator) -> None:
    """A number without a name is kept, and compared as the number that it is."""
    write(still, {"textPayload": "x", "severity": 450})
    assert [one["severity"] for one in read(still, "severity>WARNING AND severity<ERROR")] == [450]


def test_projects_and_jobs_are_apart(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf
) -> None:
    """An entry is in its own project; one about a job is found beside the job's own."""
    name = submit(emulator, job_of("true"))["name"]
    emulator.wait_for_state(name)
    job_id = name.rsplit("/", 1)[-1]
    resource = {"type": "ml_job", "labels": {"job_id": job_id, "task_name": "mine"}}
    write(emulator, {"textPayload": "about a job", "resource": resource})
    write(emulator, {"textPayload": "elsewhere", "logName": "projects/other/logs/mine"})
    found = read(emulator, f'resource.labels.job_id="{job_id}"')
    assert len(found) > 1
    assert texts(found).count("about a job") == 1
    assert texts(read(emulator, project="other")) == ["elsewhere"]
    assert emulator.log_entries(name) == [
        one for one in found if one["textPayload"] != "about a job"
    ]


REFUSED: list[tuple[Json, str]] = [
    ({"logName": "projects/my-project/logs/a b"}, "Log name contains illegal character."),
    ({"logName": "projects/my-project/logs/a%3Ab"}, "Log name contains illegal character."),
    ({"logName": f"projects/my-project/logs/{'a' * 512}"}, "at most 511 characters"),
    ({"logName": "projects/my-project/logs/a/b"}, "Invalid log name"),
    ({"logName": "folders/1/logs/a"}, "Invalid log name"),
    ({"logName": "projects/My Project/logs/a"}, "Permission denied on resource"),
    ({"resource": {}}, "no `resource`"),
    ({"textPayload": "x" * 263_000}, "K exceeds maximum size of 256.0K"),
]


@pytest.mark.parametrize(("wrong", "text"), REFUSED)
def test_an_entry_that_cannot_be_written_is_refused(
    still: VertexEmulator, wrong: Json, text: str
) -> None:
    """One wrong entry refuses all, unless `partialSuccess` is set: then it is told which."""
    good = {"textPayload": "good", "resource": GLOBAL}
    error = write(still, good, {**good, **wrong}, resource={})["error"]
    assert text in error["message"]
    assert "logEntryErrors" not in str(error)
    assert read(still) == []
    error = write(still, good, {**good, **wrong}, resource={}, partialSuccess=True)["error"]
    (detail,) = error["details"]
    assert detail["@type"].endswith("google.logging.v2.WriteLogEntriesPartialErrors")
    assert list(detail["logEntryErrors"]) == ["1"]
    assert text in detail["logEntryErrors"]["1"]["message"]
    assert texts(read(still)) == ["good"]


def test_only_the_first_wrong_entry_is_kept_where_no_other_is_told() -> None:
    """Ten megabytes of wrong entries cost a gigabyte and a minute, for one error in the answer."""
    wrong = {"entries": [{"logName": "x"}] * 3}
    now = datetime.now(timezone.utc)
    assert list(read_write(wrong, now).errors) == [0]
    assert list(read_write({**wrong, "partialSuccess": True}, now).errors) == [0, 1, 2]


def test_a_request_of_which_nothing_is_written_has_no_errors_of_entries(
    still: VertexEmulator,
) -> None:
    """As documented: details come only where something was written."""
    answer = write(still, {"logName": "x"}, partialSuccess=True)
    assert "Invalid log name `x`" in answer["error"]["message"]
    assert "details" not in answer["error"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "`entries` of the request are empty"),
        ({"colour": 1}, 'Unknown name "colour": Cannot find field.'),
        (
            {"entries": [{"colour": 1}]},
            "Unknown name \"colour\" at 'entries[0]': Cannot find field.",
        ),
        (
            {"entries": [{"timestamp": "now"}]},
            "Invalid value at 'entries[0].timestamp' "
            '(type.googleapis.com/google.protobuf.Timestamp), "now"',
        ),
        (
            {"entries": [{"severity": "LOUD"}]},
            "Invalid value at 'entries[0].severity' (type.googleapis.com/google.logging.type.",
        ),
        (
            {"entries": [{"jsonPayload": "x"}]},
            "Invalid value at 'entries[0].json_payload' "
            '(type.googleapis.com/google.protobuf.Struct), "x"',
        ),
        (
            {"entries": [{"textPayload": "x", "jsonPayload": {}}]},
            "oneof field 'payload' is already set",
        ),
        (
            {"entries": [{"protoPayload": {"@type": "type.googleapis.com/google.rpc.Status"}}]},
            "keeps no `protoPayload`",
        ),
    ],
)
def test_a_request_that_cannot_be_read_is_refused(
    still: VertexEmulator, body: Json, text: str
) -> None:
    """Unknown fields and wrong values are refused in Google's words, and what is not served."""
    error = error_of(call(still, "POST", "/v2/entries:write", json=body))
    assert error["code"] == 400
    assert text in error["message"]


def test_a_dry_run_writes_nothing(still: VertexEmulator) -> None:
    """With `dryRun` an entry is checked, and not kept."""
    assert write(still, {"textPayload": "x"}, dryRun=True) == {}
    assert "error" in write(still, {"logName": "x"}, dryRun=True)
    assert read(still) == []


def test_a_client_may_not_be_allowed_to_write(still: VertexEmulator) -> None:
    """A planned fault names the permission that is missing, and the log."""
    still.faults.plan(PermissionWithdrawn("entries:write"))
    error = write(still, {"textPayload": "x"})["error"]
    assert error["message"].startswith(
        "Permission 'logging.logEntries.create' denied on resource "
        f"'//logging.googleapis.com/{LOG}'"
    )
    assert read(still) == []


def test_entries_are_kept(tmp_path: Path) -> None:
    """With a data folder, the next emulator has the entries; a reset forgets them."""
    options: Any = {"data_dir": tmp_path, "runtime": ScriptedRuntime(), "clock": ManualClock()}
    with VertexEmulator(**options) as first:
        write(first, {"textPayload": "kept"})
        first.crash()
    with VertexEmulator(**options) as second:
        assert texts(read(second)) == ["kept"]
        write(second, {"textPayload": "new"})
        assert texts(read(second)) == ["kept", "new"]
        assert call(second, "POST", "/emulator/reset").ok
        assert read(second) == []
        write(second, {"textPayload": "after"})
        assert texts(read(second)) == ["after"]
