"""Plans of faults: which calls are hit, what is counted, and their form over HTTP."""

import json
from contextlib import suppress
from dataclasses import fields
from datetime import datetime, timezone
from typing import Any

import pytest
import requests
from google.api_core import exceptions

from tests.support.emulators import AS_JSON
from vertex_emulator.faults import (
    AnswerLost,
    Delay,
    ErrorAnswer,
    Fault,
    FaultError,
    FaultPlan,
    Held,
    InternalErrors,
    ListLag,
    PartiallySucceeded,
    Paused,
    Preemption,
    Stockout,
    UnconsumedFaultError,
    UnknownState,
)
from vertex_emulator.faults.as_json import fault_from_json, fault_to_json
from vertex_emulator.faults.kinds import FaultKind
from vertex_emulator.http.routes import FaultTarget
from vertex_emulator.runtimes.scripted import Script

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def build_target(method: str, **more: Any) -> FaultTarget:
    """Build the target of a call."""
    return FaultTarget(method=method, identity="anonymous", **more)


def hits(plan: FaultPlan, *calls: FaultTarget) -> list[int]:
    """Return how many faults hit each call."""
    return [len(plan.strike(call, NOW)) for call in calls]


def test_calls_are_counted_from_when_the_fault_is_planned() -> None:
    """`call` is the first matching call that is hit and `count` the number of hits."""
    plan = FaultPlan()
    plan.strike(build_target("get"), NOW)
    plan.plan(ErrorAnswer("get", 500, call=2, count=2))
    calls = [build_target(method) for method in ("get", "list", "get", "get", "get")]
    assert hits(plan, *calls) == [0, 0, 1, 1, 0]
    assert plan.unconsumed() == ()


def test_without_a_count_there_is_no_limit() -> None:
    """With `count=0`, a fault hits until it is withdrawn, and its first hit consumes it."""
    plan = FaultPlan()
    planned = plan.plan(ErrorAnswer("get", 500, count=0))
    assert not planned.is_consumed
    assert hits(plan, *[build_target("get")] * 50) == [1] * 50
    planned.withdraw()
    planned.withdraw()
    assert planned.is_consumed
    assert hits(plan, build_target("get")) == [0]


def test_a_call_is_matched_by_its_target() -> None:
    """Job, labels, name and identity must all match those of the fault."""
    plan = FaultPlan()
    wanted: dict[str, Any] = {"job_id": "1", "labels": {"a": "b"}, "display_name": "n"}
    plan.plan(ErrorAnswer("get", 500, count=0, identity="anonymous", **wanted))
    right: dict[str, Any] = {**wanted, "labels": {"a": "b", "c": "d"}}
    assert hits(plan, build_target("get", **right)) == [1]
    wrongs: tuple[dict[str, Any], ...] = (
        {"job_id": "2"},
        {"labels": {}},
        {"labels": {"a": "c"}},
        {"display_name": None},
    )
    for wrong in wrongs:
        assert hits(plan, build_target("get", **{**right, **wrong})) == [0]
    assert len(plan.strike(FaultTarget(method="get", identity="somebody", **right), NOW)) == 0


def test_chances_are_drawn_with_the_seed() -> None:
    """One seed hits the same calls each time, about as many as the chance says."""

    def draw(seed: int) -> list[int]:
        plan = FaultPlan(seed)
        plan.plan(ErrorAnswer("get", 500, count=0, chance=0.3))
        return hits(plan, *[build_target("get")] * 1000)

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert 200 < sum(draw(1)) < 400


@pytest.mark.parametrize(
    ("faults", "text"),
    [
        ([AnswerLost("create")], r"AnswerLost\(method='create'.*\): 0 times"),
        ([AnswerLost("list"), AnswerLost("list", count=2)], r"count=2.*: 0 times"),
        ([Stockout()], r"Stockout.*: 0 times"),
        ([ListLag(seconds=5, labels={"a": "b"})], r"ListLag.*: 0 times"),
    ],
)
def test_a_fault_that_has_not_happened_is_an_error(
    simulation: Any, faults: list[Fault], text: str
) -> None:
    """A plan's context ends with an error that names an unused fault, and withdraws all of them."""
    with (
        pytest.raises(UnconsumedFaultError, match=text),
        simulation.emulator.faults.planned(*faults),
        suppress(requests.ConnectionError),
    ):
        simulation.listed()
    assert simulation.emulator.faults.all() == ()


def test_another_error_is_not_hidden(simulation: Any) -> None:
    """An exception in the plan's context is raised, rather than the error about unused faults."""
    with (
        pytest.raises(KeyError),
        simulation.emulator.faults.planned(AnswerLost("create")),
    ):
        raise KeyError


def test_a_restart_is_counted_each_time(simulation: Any) -> None:
    """A job fault that happens several times is consumed by the last time."""
    planned = simulation.emulator.faults.plan(Preemption(times=2, after=1))
    simulation.create()
    simulation.clock.advance(5 + 180 + 1)
    assert (planned.hits, planned.is_consumed) == (1, False)
    assert simulation.emulator.faults.unconsumed() == (planned,)
    simulation.clock.advance(180 + 1)
    assert (planned.hits, planned.is_consumed) == (2, True)


def test_a_lag_is_counted_once_for_each_job(simulation: Any) -> None:
    """A lag counts once for each job, however many lists leave the job out."""
    planned = simulation.emulator.faults.plan(ListLag(seconds=60, count=2))
    simulation.create()
    for _ in range(3):
        assert simulation.listed() == []
    assert (planned.hits, planned.is_consumed) == (1, False)
    simulation.create()
    simulation.listed()
    assert planned.is_consumed


def test_a_fault_without_effect_has_not_happened(simulation: Any) -> None:
    """A fault is not consumed by a job that ends before it can have an effect."""
    simulation.script = lambda _: Script(1.0, status=1)
    planned = simulation.emulator.faults.plan(PartiallySucceeded())
    name = simulation.create()
    simulation.clock.advance(1000)
    assert simulation.state(name) == "FAILED"
    assert (planned.hits, planned.is_consumed) == (0, False)
    planned.withdraw()


def test_a_fault_that_comes_too_late_does_not_happen(simulation: Any) -> None:
    """A container that has ended is not preempted any more."""
    planned = simulation.emulator.faults.plan(Preemption(after=31))
    name = simulation.create()
    simulation.clock.advance(1000)
    assert simulation.state(name) == "SUCCEEDED"
    assert simulation.emulator.faults.unconsumed() == (planned,)
    planned.withdraw()


def test_jobs_are_counted(simulation: Any) -> None:
    """`nth` is the first matching job that is hit, and `count` the number of jobs."""
    simulation.emulator.faults.plan(Held(at="queued", nth=2, count=2, labels={"a": "b"}))
    simulation.create()
    names = [simulation.create(labels={"a": "b"}) for _ in range(4)]
    simulation.clock.advance(265)
    assert [simulation.state(name) for name in names] == [
        "SUCCEEDED", "QUEUED", "QUEUED", "SUCCEEDED",
    ]  # fmt: skip


def test_a_create_is_matched_by_its_labels(simulation: Any) -> None:
    """A create is matched by the labels and name in its body, in either spelling."""
    faults = simulation.emulator.faults
    with faults.planned(ErrorAnswer("create", 503, labels={"run": "r1"}, display_name="a job")):
        simulation.create()
        with pytest.raises(exceptions.ServiceUnavailable):
            simulation.create(labels={"run": "r1"})
    with faults.planned(ErrorAnswer("create", 503, display_name="n")):
        url = f"{simulation.emulator.url}/v1/projects/p/locations/us-central1/customJobs"
        for name in ("display_name", "displayName"):
            answer = requests.post(url, json={name: "n"}, timeout=10)
            assert answer.status_code == (503 if name == "display_name" else 400)


def test_a_get_is_matched_by_the_labels_of_its_job(simulation: Any) -> None:
    """A read is matched by its job's labels, even if the job is created after the planning."""
    fault = ErrorAnswer("get", 500, labels={"run": "r1"})
    other = simulation.create()
    with simulation.emulator.faults.planned(fault):
        name = simulation.create(labels={"run": "r1"})
        assert simulation.get(other)
        with pytest.raises(exceptions.InternalServerError):
            simulation.get(name)


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b'{"labels": 5}', b'{"labels": {"a": 1}}'])
def test_a_malformed_request_is_hit_too(simulation: Any, body: bytes) -> None:
    """A request with a malformed body is hit by a fault like any other."""
    url = f"{simulation.emulator.url}/v1/projects/p/locations/us-central1/customJobs"
    with simulation.emulator.faults.planned(ErrorAnswer("create", 503)):
        simulation.emulator.faults.plan(
            ErrorAnswer("create", 504, labels={"x": "y"}, count=0)
        ).withdraw()
        assert requests.post(url, data=body, headers=AS_JSON, timeout=10).status_code == 503
    assert requests.post(url, data=body, headers=AS_JSON, timeout=10).status_code == 400


def faults_url(simulation: Any, rest: str = "") -> str:
    """The URL at which faults are planned."""
    return f"{simulation.emulator.url}/emulator/faults{rest}"


def test_a_plan_over_http(simulation: Any) -> None:
    """A planned fault can be read over HTTP, with its count of hits, and withdrawn."""
    wanted = [
        {"fault": "ErrorAnswer", "method": "list", "status": 503, "retry_after": 3, "call": 2},
        {"fault": "Stockout", "times": 1, "labels": {"a": "b"}},
    ]
    answer = requests.post(faults_url(simulation), json={"faults": wanted}, timeout=10)
    planned = answer.json()["faults"]
    assert [item["fault"] for item in planned] == wanted
    simulation.listed()
    with pytest.raises(exceptions.ServiceUnavailable):
        simulation.listed()
    shown = requests.get(faults_url(simulation), timeout=10).json()["faults"]
    assert [(item["hits"], item["isConsumed"]) for item in shown] == [(1, True), (0, False)]
    gone = requests.delete(faults_url(simulation, f"/{shown[0]['id']}"), timeout=10)
    assert gone.status_code == 200
    assert requests.delete(gone.url, timeout=10).status_code == 404
    assert len(requests.get(faults_url(simulation), timeout=10).json()["faults"]) == 1
    requests.delete(faults_url(simulation), timeout=10)
    assert requests.get(faults_url(simulation), timeout=10).json() == {"faults": []}


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({}, "fault: must be one of RequestLost, "),
        ("x", "a fault must be an object"),
        ({"fault": "Interruption", "method": "get"}, "ResourcePreempted; got 'Interruption'"),
        ({"fault": "AnswerLost"}, "method: is missing"),
        ({"fault": "AnswerLost", "method": "patch"}, "method: must be one of create, list,"),
        ({"fault": "AnswerLost", "method": "get", "call": 0}, "call: must be at least 1"),
        ({"fault": "AnswerLost", "method": "get", "call": True}, "call: True is of the wrong type"),
        ({"fault": "AnswerLost", "method": "get", "call": "1"}, "call: '1' is of the wrong type"),
        (
            {"fault": "AnswerLost", "method": "get", "colour": 1},
            "colour: not a field of AnswerLost",
        ),
        ({"fault": "AnswerLost", "method": "get", "labels": {"a": 1}}, "labels: "),
        ({"fault": "AnswerLost", "method": "get", "chance": 2}, "chance: must be"),
        ({"fault": "AnswerLost", "method": "get", "lasts": 0}, "lasts: must be more than 0"),
        ({"fault": "AnswerLost", "method": "get", "late": -1}, "late: must be at least 0"),
        ({"fault": "ErrorAnswer", "method": "get", "status": 200}, "status: must be 400 to 599"),
        ({"fault": "AnswerCut", "method": "get", "share": 1}, "share: must be"),
        ({"fault": "Delay", "method": "get", "seconds": -1}, "seconds: must be at least 0"),
        ({"fault": "Stockout", "times": 5}, "times: must be 1 to 4; 4 fail the job"),
        ({"fault": "Preemption", "times": 0}, "times: must be 1 to 7"),
        ({"fault": "Stockout", "at": "running"}, "at: must be one of provisioning; got 'running'"),
        ({"fault": "Held", "after": -1}, "after: must be at least 0"),
        ({"fault": "UnknownState", "number": 4}, "number: must be 12 to 2147483647"),
        ({"fault": "ListLag"}, "seconds, lists: one of the two must be given"),
        ({"fault": "ListLag", "seconds": 1, "lists": 1}, "seconds, lists: one of the two"),
        ({"fault": "Preemption", "job_id": "1"}, "job_id: there is no job 1"),
    ],
)
def test_an_invalid_fault_is_refused(simulation: Any, wanted: Any, text: str) -> None:
    """An invalid fault gets 400 with the field and its valid values, and nothing is planned."""
    body = {"faults": [{"fault": "Deleted"}, wanted]}
    answer = requests.post(faults_url(simulation), json=body, timeout=10)
    assert answer.status_code == 400
    assert text in answer.json()["error"]["message"]
    assert simulation.emulator.faults.all() == ()


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ({"fault": "Delay", "method": "get", "seconds": 1}, "seconds"),
        ({"fault": "AnswerLost", "method": "get"}, "late"),
        ({"fault": "AnswerLost", "method": "get"}, "lasts"),
        ({"fault": "ErrorAnswer", "method": "get", "status": 503}, "retry_after"),
        ({"fault": "Deleted"}, "after"),
        *(
            ({"fault": kind}, "seconds")
            for kind in ("Paused", "Updating", "UnknownState", "Held", "HangsAfterWork", "ListLag")
        ),
    ],
)
def test_seconds_are_limited_to_a_year(simulation: Any, wanted: Any, name: str) -> None:
    """Seconds that no clock can count get 400 with the allowed range; a year is accepted."""
    for number in ("1e999", "-1e999", "1e300", "9" * 400, "31536001", "-1"):
        if name == "retry_after" and "e" in number:
            continue
        fault = json.dumps({**wanted, name: "NUMBER"}).replace('"NUMBER"', number)
        body = f'{{"faults": [{fault}]}}'
        answer = requests.post(faults_url(simulation), data=body, headers=AS_JSON, timeout=10)
        assert answer.status_code == 400
        message = answer.json()["error"]["message"]
        assert f"{name}: must be " in message
        assert "at most 31536000 (a year)" in message
    with pytest.raises(FaultError, match=f"{name}: "):
        fault_from_json({**wanted, name: float("nan")})
    year = {"faults": [{**wanted, name: 31536000}]}
    assert requests.post(faults_url(simulation), json=year, timeout=10).status_code == 200
    simulation.emulator.faults.clear()


def test_a_plan_with_an_unknown_name_is_refused(simulation: Any) -> None:
    """A body with a name beside `faults` and `seed` gets 400 that names it."""
    body = {"faults": [{"fault": "Deleted"}], "sead": 1}
    answer = requests.post(faults_url(simulation), json=body, timeout=10)
    assert answer.status_code == 400
    assert "`sead`" in answer.json()["error"]["message"]
    assert simulation.emulator.faults.all() == ()


def test_a_seed_over_http(simulation: Any) -> None:
    """A seed planned over HTTP hits the same calls each time, and it must be a number."""
    fault = {"fault": "ErrorAnswer", "method": "list", "status": 503, "count": 0, "chance": 0.5}

    def draw(seed: int) -> list[bool]:
        body = {"seed": seed, "faults": [fault]}
        planned = requests.post(faults_url(simulation), json=body, timeout=10).json()["faults"][0]
        url = f"{simulation.emulator.url}/v1/projects/p/locations/us-central1/customJobs"
        answers = [requests.get(url, timeout=10).ok for _ in range(30)]
        requests.delete(faults_url(simulation, f"/{planned['id']}"), timeout=10)
        return answers

    assert draw(1) != draw(2)
    assert draw(1) == draw(1)
    body = {"seed": "x", "faults": [fault]}
    answer = requests.post(faults_url(simulation), json=body, timeout=10)
    assert "seed: must be a whole number" in answer.text


@pytest.mark.parametrize("body", [{}, {"faults": []}, {"faults": {}}, {"fault": "Stockout"}])
def test_a_plan_without_faults_is_refused(simulation: Any, body: Any) -> None:
    """A body without faults gets 400 that shows the expected body."""
    answer = requests.post(faults_url(simulation), json=body, timeout=10)
    assert answer.status_code == 400
    assert '{"faults": [...]}' in answer.json()["error"]["message"]


@pytest.mark.parametrize("kind", [kind for kind in FaultKind.registry.values() if kind.has_json])
def test_every_fault_can_be_written_as_json(kind: Any) -> None:
    """Each fault is read back from its JSON, which has every field that is not a default."""
    more = {"method": "get", "status": 503, "seconds": 5.0}
    names = {field.name for field in fields(kind)}
    wanted = {name: value for name, value in more.items() if name in names}
    wanted |= {"fault": kind.__name__, "labels": {"a": "b"}, "display_name": "n"}
    fault = fault_from_json(wanted)
    assert fault_from_json(fault_to_json(fault)) == fault
    assert fault_to_json(fault) == wanted


@pytest.mark.parametrize(
    "make",
    [
        lambda: ErrorAnswer("get", 700),
        lambda: Delay("get", -1),
        lambda: InternalErrors(times=4),
        lambda: Paused(at="over"),
        lambda: UnknownState(number=11),
        lambda: Stockout(nth=0),
    ],
)
def test_an_invalid_fault_is_a_value_error_in_python(make: Any) -> None:
    """An invalid fault is a ValueError when it is constructed."""
    with pytest.raises(FaultError):
        make()
