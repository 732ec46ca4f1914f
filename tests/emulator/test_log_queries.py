"""Cloud Logging's query language, against a dozen entries.

Each case names the section of the page that it comes from:
https://cloud.google.com/logging/docs/view/logging-query-language
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vertex_emulator.core.errors import ApiError
from vertex_emulator.core.times import parse_nanoseconds
from vertex_emulator.logs.log_store import Window
from vertex_emulator.logs.queries import compile_query, list_entries

Json = dict[str, Any]
REPLICA = {"log.file.name": "0.log", "ml.googleapis.com/task_name": "workerpool0-0"}


def entry(number: int, **fields: Any) -> Json:
    """Build the log entry of second `number`."""
    return {
        "insertId": f"id-{number:x}",
        "timestamp": f"2026-01-01T00:00:{number:02d}.000000Z",
        "receiveTimestamp": f"2026-01-01T00:01:{number:02d}.000000Z",
        "logName": "projects/my-project/logs/workerpool0-0",
        "resource": {"type": "ml_job", "labels": {"job_id": "7", "task_name": "workerpool0-0"}},
        "labels": REPLICA,
        **fields,
    }


SERVICE = {
    "logName": "projects/my-project/logs/ml.googleapis.com%2F7",
    "resource": {"type": "ml_job", "labels": {"job_id": "7", "task_name": "service"}},
    "labels": {"ml.googleapis.com/endpoint": "", "ml.googleapis.com/job_state": "RUNNING"},
}
# Known by one hexadecimal digit each.
ENTRIES = [
    entry(1, textPayload="Job is running.", severity="INFO", **SERVICE),
    entry(2, textPayload="Epoch 1 loss 0.5"),
    entry(3, textPayload="EPOCH 2 LOSS 0.25", severity="WARNING"),
    entry(4, textPayload="Traceback (most recent call last):", severity="ERROR"),
    entry(5, jsonPayload={"cat": "longhair", "age": 9, "animal": "a nice pet"}),
    entry(6, jsonPayload={"cat": "shorthair", "age": 10, "alive": True, "animal": "nice"}),
    entry(7, jsonPayload={"age": "9", "alive": False, "shoeSize": [8.5, 9, 6]}),
    entry(8, jsonPayload={"field": None, "deep": {"items": [{"id": 1}, {"id": 2}]}}),
    entry(9, jsonPayload={"foo.bar": "apple", ":name": "pear", 'a"b': "plum", "end_time": 1}),
    entry(
        10,
        httpRequest={"status": 503, "requestSize": "2000", "latency": "3.2s", "cacheHit": True},
        jsonPayload={"ip": "10.1.2.3"},
        labels={"env": "Production"},
    ),
    entry(11, textPayload="straße hello-world", trace="projects/p/traces/1", severity="CRITICAL"),
    entry(
        12,
        textPayload="written by another program",
        logName="projects/other/logs/cloudaudit.googleapis.com%2Factivity",
        resource={"type": "global", "labels": {}},
    ),
]
ALL = "123456789abc"


def select(window: Window) -> Iterator[tuple[int, Json]]:
    """Give all entries, whatever the window: the filter itself must say which."""
    del window
    return ((parse_nanoseconds(item["timestamp"]), item) for item in ENTRIES)


def found(text: str) -> str:
    """Return the digits of the entries that a filter matches."""
    answer = list_entries(select, {"filter": text, "projectIds": ["my-project"]})
    return "".join(item["insertId"][-1] for item in answer.get("entries", []))


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        # Overview, and "Syntax summary".
        ("", ALL),
        ('resource.type = "ml_job"', "123456789ab"),
        ('resource.type = "ml_job" AND severity = "ERROR"', "4"),
        ('resource.type = "global" OR severity = "ERROR"', "4c"),
        ('resource.type = ("global" OR "ml_job")', ALL),
        ('resource.type = "ml_job" AND (severity = "ERROR" OR "another")', "4"),
        ("resource.type=ml_job AND severity>=ERROR AND NOT textPayload:traceback", "b"),
        # "Boolean operators": NOT, then OR, then AND; AND may be left out; `-` is NOT.
        ('"loss" OR NOT "loss" AND NOT "epoch" OR "0.25"', "13456789abc"),
        ("severity=ERROR textPayload:traceback", "4"),
        ("severity=WARNING -textPayload:loss", ""),
        ('-resource.type="ml_job"', "c"),
        ('-"loss" severity=WARNING', ""),
        ("-(severity=ERROR OR severity=INFO) AND severity>DEFAULT", "3b"),
        ("NOT (severity=ERROR AND textPayload:traceback) AND severity>=ERROR", "b"),
        # "Lowercase and, or, and not are parsed as search terms."
        ("epoch and loss", ""),
        ("written by another", "c"),
        # "Comparisons": values in parentheses, and NULL_VALUE.
        ('jsonPayload.cat = ("longhair" OR "shorthair")', "56"),
        ('jsonPayload.animal : ("nice" AND "pet")', "5"),
        ('jsonPayload.animal : ("nice" "pet")', "5"),
        ('jsonPayload.animal : ("nice" AND NOT "pet")', "6"),
        ('jsonPayload.animal : ("nice" -"pet")', "6"),
        ("textPayload:(epoch loss)", "23"),
        ("jsonPayload.age = (9 OR -3)", "57"),
        ("jsonPayload.field = NULL_VALUE", "8"),
        ("NOT jsonPayload.field = NULL_VALUE", "12345679abc"),
        ('jsonPayload.field = "NULL_VALUE"', ""),
        ("jsonPayload.cat != NULL_VALUE", "56"),
        # "Field path identifiers": case matters in payloads and labels, and nowhere else.
        ("jsonPayload.end_time=1", "9"),
        ("jsonPayload.endTime=1", ""),
        ("RESOURCE.TYPE=global", "c"),
        ("text_payload:traceback", "4"),
        ('labels."log.file.name"="0.log" AND labels.env:*', ""),
        ("labels.env=production", "a"),
        ("labels.Env=production", ""),
        # "Special characters".
        ('jsonPayload."foo.bar":apple', "9"),
        ('jsonPayload.":name":PEAR', "9"),
        (r'jsonPayload."a\"b"=plum', "9"),
        ('labels."ml.googleapis.com/job_state"=RUNNING', "1"),
        # "Missing fields": every comparison fails, also `!=`; NOT of it succeeds.
        ('jsonPayload.nearest_store="x"', ""),
        ('jsonPayload.nearest_store!="x"', ""),
        ('NOT jsonPayload.nearest_store="x"', ALL),
        ('jsonPayload.cat!="longhair"', "6"),
        ('NOT jsonPayload.cat="longhair"', "12346789abc"),
        ('jsonPayload.cat!~"^long"', "6"),
        ("labels.env!=test", "a"),
        # The same: a field of LogEntry has its default.
        ('textPayload=""', "56789a"),
        ('textPayload!="x"', ALL),
        ("severity=DEFAULT", "256789ac"),
        ("httpRequest.status=0", "123456789bc"),
        ('trace!=""', "b"),
        ("httpRequest.cacheHit=false", "123456789bc"),
        # The same: `:*` asks for presence.
        ("trace:*", "b"),
        ("-trace:*", "123456789ac"),
        ("jsonPayload.field:*", "8"),
        ("jsonPayload:*", "56789a"),
        ("httpRequest:*", "a"),
        ("labels.env:*", "a"),
        # "Object and array types": one member is enough.
        ("jsonPayload.shoeSize < 7", "7"),
        ("jsonPayload.shoeSize = 9", "7"),
        ("jsonPayload.shoeSize != 9", "7"),
        ("jsonPayload.shoeSize > 9", ""),
        ("jsonPayload.deep.items.id = 2", "8"),
        # "Values and conversions": numbers as numbers, texts as texts, each entry by its own type.
        ("jsonPayload.age > 9", "6"),
        ('jsonPayload.age > "9"', "6"),
        ("jsonPayload.age = 9", "57"),
        ("jsonPayload.age = 9.0", "5"),
        # Of a text, by its letters.
        ("jsonPayload.age >= 1e1", "67"),
        ("jsonPayload.age = old", ""),
        ("jsonPayload.alive = True", "6"),
        ('jsonPayload.alive = "FALSE"', "7"),
        ("jsonPayload.alive != true", "7"),
        ("jsonPayload.alive = 1", ""),
        ("httpRequest.status >= 500", "a"),
        ("httpRequest.requestSize > 1999", "a"),
        ('httpRequest.latency > "999ms"', "a"),
        ('httpRequest.latency = "3200ms"', "a"),
        ("httpRequest.cacheHit = TRUE", "a"),
        # "Comparison operators": texts without regard to case, enums by their numbers.
        ('textPayload = "job IS running."', "1"),
        ('textPayload : "loss"', "23"),
        ('textPayload : "STRASSE"', "b"),
        ('textPayload < "epoch 1 loss 1" AND textPayload > "epoch"', "2"),
        ("severity > INFO", "34b"),
        ("severity <= warning AND severity != DEFAULT", "13"),
        ("severity : error", "4"),
        ('logName : "WORKERPOOL"', "23456789ab"),
        ("jsonPayload:longhair", "5"),
        ("jsonPayload:cat", "56"),
        # "Global restrictions": any field, its payload too.
        ("longhair", "5"),
        ('"2026-01-01T00:00:03"', "3"),
        ('("epoch" AND ("0.5" OR "0.25"))', "23"),
        ("503", "a"),
        ('"most recent call last"', "4"),
        # "Comments".
        ("-- what went wrong\nseverity=ERROR -- or worse", "4"),
        ("severity=ERROR\n-- textPayload:nothing\n", "4"),
        ('textPayload:"-- no comment"', ""),
        ("-- nothing else", ALL),
        # "log_id".
        ('log_id("cloudaudit.googleapis.com/activity")', "c"),
        ('LOG_ID("workerpool0-0") AND severity=ERROR', "4"),
        ('NOT log_id("workerpool0-0")', "1c"),
        ('-log_id("workerpool0-0")', "1c"),
        # "source".
        ("source(projects/other)", "c"),
        # "sample".
        ("sample(insertId, 1)", ALL),
        ("sample(jsonPayload.cat, 1.0)", "56"),
        ('sample(labels."log.file.name", 1)', "23456789bc"),
        # "ip_in_net".
        ('ip_in_net(jsonPayload.ip, "10.1.2.0/24")', "a"),
        ('ip_in_net(jsonPayload.ip, "10.1.3.0/24")', ""),
        ('ip_in_net(jsonPayload.ip, "1:2::/48")', ""),
        # "SEARCH function": whole words, in any order and any field; phrases in backticks.
        ('SEARCH("traceback")', "4"),
        ('SEARCH("trace")', ""),
        ('SEARCH("call traceback")', "4"),
        ('SEARCH(textPayload, "loss epoch")', "23"),
        ('SEARCH(textPayload, "ml_job")', ""),
        ('SEARCH("`hello-world`")', "b"),
        ('SEARCH("`most recent`")', "4"),
        ('SEARCH("`recent most`")', ""),
        ('SEARCH("`most rec`")', ""),
        # "Searching by time".
        ('timestamp >= "2026-01-01T00:00:03Z" timestamp <= "2026-01-01T00:00:05Z"', "345"),
        ('timestamp > "2026-01-01"', ALL),
        ('timestamp < "2026-01-01"', ""),
        ('timestamp >= "2026-01-01T01:00:12+01:00"', "c"),
        ('timestamp >= "2026-01-01T00:00:11.000000001Z"', "c"),
        ('receiveTimestamp = "2026-01-01T00:01:02Z"', "2"),
        # "Using regular expressions": case matters, nothing is anchored.
        ('textPayload =~ "Epoch"', "2"),
        ('textPayload =~ "(?i)epoch"', "23"),
        ('textPayload !~ "(?i)epoch" AND textPayload:*', "14bc"),
        ('textPayload =~ "^Epoch.*5$"', "2"),
        ('textPayload =~ ("^Job" OR "last.:$")', "14"),
        (r'textPayload =~ "loss \d\.\d"', "2"),
        (r'textPayload =~ "loss \\d\\.\\d"', "2"),
        (r'textPayload =~ "\bloss\b"', "2"),
        ("jsonPayload.age =~ 9", "7"),
        # As gcloud and the console write them.
        (
            '((timestamp="2026-01-01T00:00:02Z" AND insertId>"id-1") '
            'OR timestamp>"2026-01-01T00:00:10Z")',
            "2bc",
        ),
        ("logName=projects/my-project/logs/ml.googleapis.com%2F7", "1"),
    ],
)
def test_a_filter_matches_what_the_page_says(text: str, digits: str) -> None:
    """Every construct of the query language selects the entries that Google's page says."""
    assert found(text) == digits


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # "Missing fields": an undefined field is an error, found before the query is used.
        ('thud="x"', "`thud` is not a field of LogEntry"),
        ('operation.thud="x"', "`operation.thud` is not a field of LogEntry: `operation` has"),
        ('textPayload.thud="x"', "`textPayload` is a text and has no field `thud`"),
        ('labels.a.b="x"', 'a name with dots needs quotes: `labels."a.b"`'),
        # "Functions" that are not served, or do not exist.
        ('cast(timestamp, STRING) =~ "^2023"', "`cast(...)` cannot be compared"),
        ("cast(timestamp, STRING)", "does not serve the function `cast`"),
        ('regexp_extract(textPayload, "(a)")', "does not serve the function `regexp_extract`"),
        ('thud("x")', "`thud` is not a function"),
        ('textPayload=log_id("x")', "`log_id(...)` cannot be a value"),
        ("log_id()", "expected `log_id(LOG_ID)`"),
        ('log_id("a", "b")', "expected `log_id(LOG_ID)`"),
        ("source(folders/1)", "the emulator has projects only"),
        ("sample(insertId)", "expected `sample(FIELD, FRACTION)`"),
        ("sample(insertId, 0)", "`0` is not a fraction"),
        ("sample(insertId, many)", "`many` is not a fraction"),
        ("sample(thud, 0.5)", "`thud` is not a field"),
        ('sample("insertId", 0.5)', "`insertId` is not a field"),
        ('ip_in_net(jsonPayload.ip, "home")', "`home` is neither an IP address"),
        ("SEARCH(hello)", "must be in quotes"),
        ('SEARCH("-")', "has no word"),
        ('SEARCH(textPayload, cast(a, INT64), "x")', "cannot be an argument"),
        # Values of another type than the field's.
        ("timestamp>=yesterday", "`yesterday` is not a time"),
        ('timestamp:"2026"', "has no operator `:`"),
        ('timestamp=~"2026"', "only texts have `=~`"),
        ("severity>=LOUD", "`LOUD` is not a severity"),
        ('severity=~"ERR"', "only texts have `=~`"),
        ("httpRequest.status=many", "`many` is not a number"),
        ("httpRequest.cacheHit=maybe", "`maybe` is not true or false"),
        ("httpRequest.latency>3", "`3` is not a duration"),
        ('jsonPayload="x"', "`jsonPayload` is an object, which `=` cannot compare"),
        ('resource="ml_job"', "which `=` cannot compare: name a field"),
        ('jsonPayload.message=~"("', "`(` is not a regular expression"),
        # "Values and conversions": what needs quotes.
        ("textPayload:foo*", "has a `*`"),
        ("textPayload=*", "has a `*`"),
        ("epo*", "has a `*`"),
        ("textPayload=foo~bar", 'syntax error at line 1, column 16, token "~"'),
        # Public reports: a time without quotes.
        ("timestamp>=2026-06-12T03:23:45Z", 'syntax error at line 1, column 25, token ":"'),
        ("severity=ERROR\nAND AND", 'syntax error at line 2, column 5, token "AND"'),
        ('insertId="a" OR', 'token "the end"'),
        ("(severity=ERROR", "a parenthesis is not closed"),
        ("severity=ERROR)", "unexpected `)`"),
        ('textPayload:"open', "cannot be read"),
        ('"a".b=c', "cannot be read"),
        ("severity=", "there is no value after `severity=`"),
        ("severity=()", "there is no value"),
        ("a..b=c", "`a..b` is not a field's path"),
        ("- -", "expected a field"),
        ("severity=(", "there is no value"),
        ("sample(insertId 0.5)", "expected `,` or `)` in `sample(...)`"),
        ("sample(insertId,)", "expected an argument"),
        ("NOT " * 60 + "a", "nested too deeply"),
        ("(" * 60 + "a" + ")" * 60, "nested too deeply"),
        ("a" * 20_001, "at most 20000 characters"),
    ],
)
def test_a_filter_that_is_not_served_is_refused(text: str, reason: str) -> None:
    """What cannot be answered rightly is INVALID_ARGUMENT and says why; never an empty page."""
    with pytest.raises(ApiError) as error:
        found(text)
    assert error.value.status == "INVALID_ARGUMENT"
    assert reason in error.value.message


def test_a_sample_is_the_same_each_time() -> None:
    """A half of many values is about a half, and contains every smaller sample."""
    entries = [entry(1, insertId=str(number)) for number in range(1000)]
    half, quarter = (
        {
            item["insertId"]
            for item in entries
            if compile_query(f"sample(insertId, {share})")[0](item)
        }
        for share in (0.5, 0.25)
    )
    assert 400 < len(half) < 600
    assert quarter < half


@given(st.text(st.sampled_from('ab ()"=<>!:~-\\.,\n*1ANDORNOT'), max_size=30))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    """No text makes a query fail in any other way than INVALID_ARGUMENT."""
    try:
        found(text)
    except ApiError as error:
        assert error.status == "INVALID_ARGUMENT"  # noqa: PT017 - either outcome is right


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
    item = entry(1, jsonPayload={"message": "a" * 250_000 + "!\ud800"})
    start = time.process_time()
    with suppress(ApiError):
        compile_query(f'jsonPayload.message=~"{pattern}"')[0](item)
    assert time.process_time() - start < 10


def test_the_end_of_a_long_line_is_searched() -> None:
    """A regular expression finds the end of the longest line that an entry can have."""
    item = entry(1, textPayload="a" * 200_000 + "needle")
    assert compile_query('textPayload=~"needle$"')[0](item)


def test_only_outermost_ands_confine_a_query() -> None:
    """Other jobs' logs and other times are skipped only if the filter certainly excludes them."""
    job, other = 'resource.labels.job_id="7"', 'resource.labels.job_id="8"'

    def confine(text: str) -> tuple[Any, Any, Any]:
        window = compile_query(text)[1]
        return window.job_ids and set(window.job_ids), window.since, window.until

    assert confine(f'resource.type="ml_job" AND {job}') == ({"7"}, None, None)
    assert confine(job) == ({"7"}, None, None)
    assert confine(f"{job} OR {other}") == ({"7", "8"}, None, None)
    assert confine('resource.labels.job_id=("7" OR "8")') == ({"7", "8"}, None, None)
    assert confine(f"{job} OR severity=ERROR") == (None, None, None)
    assert confine(f"NOT {job}") == (None, None, None)
    assert confine("") == (None, None, None)
    second = 10**9
    assert confine('timestamp>="1970-01-01T00:00:01Z" timestamp<"1970-01-01T00:00:03Z"') == (
        None, second, 3 * second,
    )  # fmt: skip
    assert confine('timestamp>"1970-01-01T00:00:01Z" OR severity=ERROR') == (None, None, None)
