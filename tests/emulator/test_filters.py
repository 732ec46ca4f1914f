import time
from base64 import b64encode
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vertex_emulator.core.errors import ApiError
from vertex_emulator.core.filter_language import (
    And,
    Comparison,
    Node,
    Not,
    Or,
    Text,
    evaluate,
    parse_filter,
)
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.list_filter import compile_filter
from vertex_emulator.jobs.states import JobState
from vertex_emulator.logs.entries import parse_output
from vertex_emulator.logs.queries import list_entries, wanted_job_ids

MAY = datetime(2021, 5, 18, 12, tzinfo=timezone.utc)
JOB = Job(
    project="p",
    number="1",
    location="us-central1",
    job_id="2",
    request={"displayName": "my_job_1", "labels": {"run": "a-1", "empty": ""}, "jobSpec": {}},
    create_time=MAY,
    update_time=MAY,
    state=JobState.SUCCEEDED,
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ('state="JOB_STATE_SUCCEEDED" AND display_name:"my_job_*"', True),
        ("state=JOB_STATE_SUCCEEDED", True),
        ('state!="JOB_STATE_SUCCEEDED"', False),
        ('displayName="my_job_1"', True),
        ('display_name="my_job"', False),
        ('display_name:"job"', True),
        ('display_name:"job_*"', False),
        ('display_name:"my_job_?"', False),
        ('createTime>"2021-05-18T00:00:00Z"', True),
        ('create_time<"2021-05-18T12:00:00Z"', False),
        ('create_time<="2021-05-18T12:00:00+0000"', True),
        ('create_time="2021-05-18T14:00:00+02:00"', True),
        ("labels.run=a-1", True),
        ('labels.run="a-2"', False),
        ('labels."run"="a-1"', True),
        ("labels.run:*", True),
        ("labels.empty:*", True),
        ("labels.other:*", False),
        ("labels.other!=x", True),
        ("NOT labels.run:*", False),
        ("-labels.other:*", True),
        ('labels.run="a-1" labels.other="x"', False),
        ('labels.other="x" OR labels.run="a-1"', True),
        # OR binds tighter than AND.
        ('labels.run="a-1" OR labels.other="x" AND labels.other="y"', False),
        ('labels.run="a-1" OR (labels.other="x" AND labels.other="y")', True),
        ('NOT (labels.run="a-1" AND state="JOB_STATE_FAILED")', True),
    ],
)
def test_jobs_are_filtered(text: str, holds: bool) -> None:
    """Documented fields, operators and precedence decide whether a job matches."""
    assert compile_filter(text)(JOB) is holds


@pytest.mark.parametrize(
    "text",
    [
        "state",
        "state=",
        '="x"',
        "(state=x",
        "state=x)",
        'state="x',
        "AND",
        "state=x AND",
        "state=x OR OR state=y",
        "NOT",
        "colour=red",
        "labels=x",
        "labels.a.b=x",
        "state>x",
        "labels.run>x",
        "display_name=~x",
        "create_time>yesterday",
        'create_time:"*"',
        "(" * 60 + "state=x" + ")" * 60,
        "NOT " * 60 + "state=x",
    ],
)
def test_an_invalid_filter_is_an_invalid_argument(text: str) -> None:
    """A malformed filter is INVALID_ARGUMENT, with a message that says so."""
    with pytest.raises(ApiError, match="Invalid filter") as error:
        compile_filter(text)
    assert error.value.status == "INVALID_ARGUMENT"


words = st.text(st.sampled_from("abz_"), min_size=1, max_size=3).filter(
    lambda word: word not in {"AND", "OR", "NOT"}
)
comparisons = st.builds(
    Comparison,
    path=st.lists(words | st.text(min_size=1, max_size=3), min_size=1, max_size=3).map(tuple),
    operator=st.sampled_from(["=", "!=", "<", "<=", ">", ">=", ":", "=~", "!~"]),
    value=st.text(max_size=4),
)
trees = st.recursive(
    comparisons | st.builds(Text, st.text(max_size=4)),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


def quote(text: str) -> str:
    """Put a text in quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write(node: Node) -> str:
    """Write a tree as a filter."""
    if isinstance(node, Comparison):
        # A field starts with a plain word.
        path = ".".join(["f", *map(quote, node.path)])
        return f"{path} {node.operator} {quote(node.value)}"
    if isinstance(node, Text):
        return quote(node.value)
    if isinstance(node, Not):
        return f"NOT ({write(node.term)})"
    joint = " AND " if isinstance(node, And) else " OR "
    return joint.join(f"({write(term)})" for term in node.terms)


def prefix(node: Node) -> Node:
    """Return the tree that `write` writes."""
    if isinstance(node, Comparison):
        return Comparison(("f", *node.path), node.operator, node.value)
    if isinstance(node, Not):
        return Not(prefix(node.term))
    if isinstance(node, And | Or):
        return type(node)(tuple(prefix(term) for term in node.terms))
    return node


@given(trees)
def test_a_written_filter_is_read_back(tree: Node) -> None:
    """Every tree that is written as a filter is read as the same tree, whatever its text."""
    assert parse_filter(write(tree)) == prefix(tree)


@given(trees, st.integers())
def test_not_inverts_a_filter(tree: Node, seed: int) -> None:
    """NOT of a filter matches exactly the jobs that the filter does not match."""

    def check(leaf: Any) -> bool:
        return hash((str(leaf), seed)) % 2 == 0

    assert evaluate(Not(tree), check) is not evaluate(tree, check)


@given(st.text(st.sampled_from('ab ()"=<>!:~-\\.\nANDORNOT*'), max_size=30))
def test_any_text_is_a_filter_or_an_invalid_argument(text: str) -> None:
    """No text makes the parser fail in any other way than INVALID_ARGUMENT."""
    try:
        compile_filter(text)(JOB)
    except ApiError as error:
        assert error.status == "INVALID_ARGUMENT"  # noqa: PT017 - either outcome is right


def entry(number: int, **fields: Any) -> dict[str, Any]:
    """Build the log entry of second `number`."""
    return {
        "insertId": f"{number:03d}",
        "timestamp": f"2026-01-01T00:00:{number:02d}.000000Z",
        "severity": "INFO",
        "resource": {"type": "ml_job", "labels": {"job_id": "7", "task_name": "workerpool0-0"}},
        "labels": {"ml.googleapis.com/task_name": "workerpool0-0"},
        "jsonPayload": {"message": f"line {number}"},
        **fields,
    }


ENTRIES = [entry(1), entry(2, severity="ERROR"), entry(3, severity="CRITICAL"), entry(4)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ('resource.type="ml_job" AND resource.labels.job_id="7"', "1234"),
        ('resource.type="ml_job" AND resource.labels.job_id="8"', ""),
        ('resource.labels.task_name="workerpool0-0"', "1234"),
        ('timestamp>="2026-01-01T00:00:02Z"', "234"),
        ('timestamp>"2026-01-01T00:00:02+0000" AND timestamp<"2026-01-01T00:00:04Z"', "3"),
        ('timestamp>="1970-01-01T01:00:00.000000000Z"', "1234"),
        (
            '((timestamp="2026-01-01T00:00:02Z" AND insertId>"001") '
            'OR timestamp>"2026-01-01T00:00:02Z")',
            "234",
        ),
        ("severity>=ERROR", "23"),
        ("severity=INFO", "14"),
        ("NOT severity>=WARNING", "14"),
        ('labels."ml.googleapis.com/task_name"="workerpool0-0"', "1234"),
        ('jsonPayload.message="line 3"', "3"),
        ('jsonPayload.message:"LINE"', "1234"),
        ('jsonPayload.message=~"[12]$"', "12"),
        ('"line 4"', "4"),
        ('textPayload="x"', ""),
        ('textPayload!="x"', "1234"),
        ("jsonPayload.message:*", "1234"),
    ],
)
def test_entries_are_filtered(text: str, numbers: str) -> None:
    """Filters as gcloud and users write them match the right entries."""
    answer = list_entries(ENTRIES, {"filter": text})
    assert "".join(item["insertId"][-1] for item in answer.get("entries", [])) == numbers


@pytest.mark.parametrize(
    "pattern",
    [
        "(a*)*b",
        "(a|aa)+$",
        "(?:a?){500}a{500}b",
        "([a-z]+)*[A-Z]",
        "((a{0,100}){0,9})*b",
        ".*" * 500,
    ],
)
def test_a_pattern_does_not_freeze_the_emulator(pattern: str) -> None:
    """A pattern and a line made to keep Python's `re` busy for years take a moment, or are refused.

    Whoever may read the log could have stopped the emulator, and all jobs in it, with one call.
    """
    entry = {**ENTRIES[0], "jsonPayload": {"message": "a" * 250_000 + "!\ud800"}}
    start = time.process_time()
    with suppress(ApiError):
        list_entries([entry], {"filter": f'jsonPayload.message=~"{pattern}"'})
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "timestamp>=yesterday"},
        {"filter": "severity>=LOUD"},
        {"filter": 'jsonPayload.message=~"("'},
        {"filter": "(" * 3},
        {"filter": "a" * 20_001},
        {"orderBy": "severity"},
        {"pageSize": -1},
        {"pageSize": "many"},
        {"pageSize": True},
        {"pageSize": float("inf")},
        {"pageToken": "x"},
        {"pageToken": b64encode(b"[" * 100_000).decode()},
        {"pageToken": "WzEsMiwzXQ=="},
    ],
)
def test_an_invalid_query_is_an_invalid_argument(query: dict[str, Any]) -> None:
    """A malformed query is INVALID_ARGUMENT."""
    with pytest.raises(ApiError) as error:
        list_entries(ENTRIES, query)
    assert error.value.status == "INVALID_ARGUMENT"


@pytest.mark.parametrize("order", ["timestamp asc", "timestamp desc"])
def test_pages_are_complete(order: str) -> None:
    """Successive pages have each entry once and in order, even when new entries arrive."""
    query: dict[str, Any] = {"orderBy": order, "pageSize": 3, "filter": ""}
    first = list_entries(ENTRIES, query)
    token = first["nextPageToken"]
    second = list_entries([*ENTRIES, entry(5)], {**query, "pageToken": token})
    seen = [item["insertId"] for item in first["entries"] + second["entries"]]
    expected = ["001", "002", "003", "004", "005"]
    assert seen == (expected if order.endswith("asc") else ["004", "003", "002", "001"])
    with pytest.raises(ApiError, match="another query"):
        list_entries(ENTRIES, {**query, "filter": "severity=INFO", "pageToken": token})


def test_only_outermost_ands_confine_a_query_to_a_job() -> None:
    """Other jobs' logs are skipped only if the filter certainly excludes them."""
    job = 'resource.labels.job_id="7"'
    assert wanted_job_ids(f'resource.type="ml_job" AND {job}') == {"7"}
    assert wanted_job_ids(job) == {"7"}
    assert wanted_job_ids(f'{job} OR resource.labels.job_id="8"') is None
    assert wanted_job_ids(f"NOT {job}") is None
    assert wanted_job_ids("") is None


@pytest.mark.parametrize(
    ("stream", "line", "severity", "payload"),
    [
        ("stdout", "hello", "INFO", {"message": "hello"}),
        ("stderr", "oh", "ERROR", {"message": "oh"}),
        ("stdout", '{"severity": "warning", "message": "m", "epoch": 3}', "WARNING",
         {"message": "m", "epoch": 3}),
        ("stderr", '{"message": "m"}', "ERROR", {"message": "m"}),
        ("stdout", '{"severity": "LOUD", "message": "m"}', "INFO", {"message": "m"}),
        ("stdout", '{"not json', "INFO", {"message": '{"not json'}),
        ("stdout", "[1]", "INFO", {"message": "[1]"}),
        ("stdout", "x" * 70_000, "INFO", {"message": "x" * 60_000}),
    ],
)  # fmt: skip
def test_output_becomes_entries(
    stream: str, line: str, severity: str, payload: dict[str, Any]
) -> None:
    """Stdout is INFO, stderr is ERROR, a JSON object is parsed, and other text is kept as it is."""
    assert parse_output(stream, line) == (severity, payload)
