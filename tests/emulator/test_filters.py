import time
from collections.abc import Callable
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
    Function,
    Node,
    Not,
    Or,
    Text,
    combine,
    parse_filter,
)
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.list_filter import compile_filter
from vertex_emulator.jobs.states import JobState
from vertex_emulator.logs.queries import compile_query

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
        ('labels.run=("a-2" OR "a-1")', True),
        ('labels.run:("a" AND "2")', False),
        ('labels.run!=("a-1" OR "a-2")', True),
        ('NOT labels.run=("a-1" OR "a-2")', False),
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
        'log_id("x")',
        "state=x -- no comment",
        "labels..run=x",
        "-" * 5000 + "state=x",
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
    assert not isinstance(node, Function)
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

    def compile_leaf(leaf: Any) -> Callable[[int], bool]:
        return lambda item: hash((str(leaf), item)) % 2 == 0

    assert combine(Not(tree), compile_leaf)(seed) is not combine(tree, compile_leaf)(seed)


@given(st.text(st.sampled_from('ab ()"=<>!:~-\\.\nANDORNOT*'), max_size=30))
def test_any_text_is_a_filter_or_an_invalid_argument(text: str) -> None:
    """No text makes the parser fail in any other way than INVALID_ARGUMENT."""
    try:
        compile_filter(text)(JOB)
    except ApiError as error:
        assert error.status == "INVALID_ARGUMENT"  # noqa: PT017 - either outcome is right


def test_the_time_of_a_filter_grows_with_its_length() -> None:
    """One of 200,000 characters, which a POST can have in its body, takes no minutes to read."""
    begin = time.thread_time()
    parse_filter("a " * 100_000)
    assert time.thread_time() - begin < 5


@pytest.mark.parametrize("field", ["jsonPayload.a", "httpRequest.latency"])
def test_many_digits_are_read_at_once(field: str) -> None:
    """A value that is almost a number does not hold up everything else for seconds."""
    begin = time.thread_time()
    with suppress(ApiError):
        compile_query(f'{field}>"{"1" * 19_000}x"')
    assert time.thread_time() - begin < 1
