"""What Google's client sees of each call fault, and what effect the call has."""

from collections.abc import Callable
from http.client import HTTPConnection, IncompleteRead
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from tests.support.emulators import PARENT
from vertex_emulator import ManualClock, VertexEmulator
from vertex_emulator.faults import (
    AnswerCut,
    AnswerLost,
    Delay,
    ErrorAnswer,
    Interruption,
    NoAnswer,
    PermissionWithdrawn,
    QuotaExceeded,
    RequestLost,
    TokensExpired,
)

Json = dict[str, Any]


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_lost_request_has_no_effect(simulation: Any, how: Any) -> None:
    """A lost request is a connection error for the client, and no job exists."""
    simulation.emulator.faults.plan(RequestLost("create", how=how))
    with pytest.raises(requests.ConnectionError):
        simulation.create()
    assert simulation.emulator.jobs == ()
    assert simulation.emulator.calls[-1].status == 0
    assert simulation.listed() == []


def test_a_call_without_an_answer_has_no_effect(simulation: Any) -> None:
    """The client waits until its own timeout, and no job exists; the end does not wait for it."""
    planned = simulation.emulator.faults.plan(NoAnswer("create"))
    jobs = f"{simulation.emulator.url}/v1/{PARENT}/customJobs"
    with pytest.raises(requests.ReadTimeout):
        requests.post(jobs, json={}, timeout=0.2)
    assert planned.hits == 1
    assert simulation.emulator.jobs == ()


def test_vertex_ai_goes_down_and_its_jobs_go_on(simulation: Any) -> None:
    """Every call is hung up on until it comes back, and a job ends in its own time meanwhile."""
    name = simulation.create()
    simulation.emulator.go_down()
    simulation.emulator.go_down()
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            simulation.listed()
    simulation.clock.advance(100_000)
    assert simulation.emulator.job(name).is_terminal
    simulation.emulator.come_back()
    assert len(simulation.listed()) == 1
    simulation.emulator.come_back()


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_call_whose_answer_is_lost_has_its_effect(simulation: Any, how: Any) -> None:
    """A lost answer is the same connection error for the client, but the job exists."""
    simulation.emulator.faults.plan(AnswerLost("create", how=how))
    with pytest.raises(requests.ConnectionError):
        simulation.create()
    assert len(simulation.emulator.jobs) == 1
    assert len(simulation.listed()) == 1


def test_a_reset_and_a_close_differ(simulation: Any) -> None:
    """The client's socket sees a RST for a reset and a FIN for a close."""
    simulation.emulator.faults.plan(RequestLost("list", how="reset"))
    with pytest.raises(requests.ConnectionError, match="Connection reset by peer"):
        simulation.listed()
    simulation.emulator.faults.plan(RequestLost("list", how="close"))
    with pytest.raises(requests.ConnectionError, match="closed connection without response"):
        simulation.listed()


def test_an_effect_can_come_after_the_client_has_given_up(simulation: Any) -> None:
    """With `late`, the job is created that many seconds after the connection was cut."""
    simulation.emulator.faults.plan(AnswerLost("create", late=20))
    with pytest.raises(requests.ConnectionError):
        simulation.create()
    simulation.clock.advance(19)
    assert simulation.listed() == []
    simulation.clock.advance(1)
    assert len(simulation.listed()) == 1


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (400, exceptions.BadRequest, "invalid argument"),
        (403, exceptions.Forbidden, "does not have permission"),
        (404, exceptions.NotFound, "not found"),
        (429, exceptions.TooManyRequests, "Resource has been exhausted"),
        (500, exceptions.InternalServerError, "Internal error encountered"),
        (502, exceptions.BadGateway, "Bad Gateway"),
        (503, exceptions.ServiceUnavailable, "currently unavailable"),
        (504, exceptions.GatewayTimeout, "Deadline expired"),
    ],
)
@pytest.mark.parametrize("after_effect", [False, True])
def test_an_error_becomes_the_exception_of_googles_client(
    simulation: Any, status: int, error: type[Exception], text: str, after_effect: bool
) -> None:
    """Google's client raises its own exception for each status, whether or not the job exists."""
    simulation.emulator.faults.plan(ErrorAnswer("create", status, after_effect=after_effect))
    with pytest.raises(error, match=text):
        simulation.create()
    assert len(simulation.emulator.jobs) == after_effect


def test_an_error_401_makes_a_client_renew_its_token(
    simulation: Any, google_client: Callable[..., Any], key_of: Callable[[str], Json]
) -> None:
    """Google's client retries once with a new token after a 401, and fails after a second."""
    key = key_of(simulation.emulator.url)
    credentials = service_account.Credentials.from_service_account_info(key)
    with google_client(simulation.emulator, credentials) as client:
        simulation.emulator.faults.plan(ErrorAnswer("list", 401))
        assert list(client.list_custom_jobs(parent=PARENT, timeout=10)) == []
        simulation.emulator.faults.plan(ErrorAnswer("list", 401, count=3))
        with pytest.raises(exceptions.Unauthorized, match="invalid authentication credentials"):
            client.list_custom_jobs(parent=PARENT, timeout=10)


def test_retry_after_is_sent_when_planned(simulation: Any) -> None:
    """An answer has a Retry-After header if and only if the fault asks for one."""
    url = f"{simulation.emulator.url}/v1/{PARENT}/customJobs"
    simulation.emulator.faults.plan(ErrorAnswer("list", 429, retry_after=7))
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.json()["error"]["status"] == "RESOURCE_EXHAUSTED"
    simulation.emulator.faults.plan(ErrorAnswer("list", 429))
    assert "Retry-After" not in requests.get(url, timeout=10).headers


def test_a_proxy_answers_in_html(simulation: Any) -> None:
    """A 502 is BadGateway for the client, whether its body is an HTML page or empty."""
    simulation.emulator.faults.plan(ErrorAnswer("get", 502, body="html"))
    simulation.emulator.faults.plan(ErrorAnswer("get", 503, body="empty"))
    name = simulation.create()
    with pytest.raises(exceptions.BadGateway):
        simulation.get(name)
    with pytest.raises(exceptions.ServiceUnavailable):
        simulation.get(name)
    simulation.emulator.faults.plan(ErrorAnswer("get", 502, body="html"))
    answer = requests.get(f"{simulation.emulator.url}/v1/{name}", timeout=10)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>Error 502 (Bad Gateway)!!1</title>" in answer.text


def test_a_quota_is_exceeded(simulation: Any) -> None:
    """A create over quota gets 429 with the documented text and no job; the next create works."""
    simulation.emulator.faults.plan(QuotaExceeded(metric="custom_model_training_cpus"))
    with pytest.raises(exceptions.TooManyRequests) as caught:
        simulation.create()
    assert (
        "The following quota metrics exceed quota limits: "
        "aiplatform.googleapis.com/custom_model_training_cpus"
    ) in caught.value.message
    assert simulation.emulator.jobs == ()
    assert simulation.create()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_an_answer_is_cut_short(simulation: Any, share: float) -> None:
    """A body shorter than its Content-Length is an error for the client; the job exists."""
    simulation.emulator.faults.plan(AnswerCut("create", share=share))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        simulation.create()
    assert len(simulation.emulator.jobs) == 1


def test_the_part_of_a_body_that_is_sent_arrives(simulation: Any) -> None:
    """Half of the body arrives behind headers that announce all of it."""
    name = simulation.create()
    whole = requests.get(f"{simulation.emulator.url}/v1/{name}", timeout=10).content
    simulation.emulator.faults.plan(AnswerCut("get"))
    connection = HTTPConnection(simulation.emulator.host, timeout=10)
    connection.request("GET", f"/v1/{name}")
    answer = connection.getresponse()
    assert answer.headers["Content-Length"] == str(len(whole))
    with pytest.raises(IncompleteRead) as caught:
        answer.read()
    assert caught.value.partial == whole[: len(whole) // 2]
    connection.close()


def test_permissions_are_withdrawn_and_restored(simulation: Any) -> None:
    """Calls get the documented 403 with IAM_PERMISSION_DENIED until the fault is withdrawn."""
    name = simulation.create()
    planned = simulation.emulator.faults.plan(PermissionWithdrawn("get", count=0))
    for _ in range(2):
        with pytest.raises(exceptions.Forbidden) as caught:
            simulation.get(name)
    (detail,) = caught.value.response.json()["error"]["details"]
    assert detail == {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "IAM_PERMISSION_DENIED",
        "domain": "aiplatform.googleapis.com",
        "metadata": {"permission": "aiplatform.customJobs.get", "resource": name},
    }
    assert simulation.listed() == [name]
    planned.withdraw()
    assert simulation.get(name).name == name
    with (
        simulation.emulator.faults.planned(PermissionWithdrawn("create")),
        pytest.raises(exceptions.Forbidden) as caught,
    ):
        simulation.create()
    assert (
        "Permission 'aiplatform.customJobs.create' denied on resource "
        f"'//aiplatform.googleapis.com/{PARENT}' (or it may not exist)."
    ) in caught.value.message


def test_a_service_is_unavailable_for_a_while(simulation: Any) -> None:
    """With `lasts`, every call fails for that many seconds from the first one on."""
    name = simulation.create()
    simulation.emulator.faults.plan(ErrorAnswer("*", 503, lasts=600))
    simulation.clock.advance(100)
    for _ in range(3):
        with pytest.raises(exceptions.ServiceUnavailable):
            simulation.get(name)
        with pytest.raises(exceptions.ServiceUnavailable):
            simulation.listed()
        simulation.clock.advance(199)
    simulation.clock.advance(3)
    assert simulation.state(name) == "SUCCEEDED"


def test_one_identity_loses_its_permission(
    simulation: Any, google_client: Callable[..., Any], key_of: Callable[[str], Json]
) -> None:
    """A fault with an identity hits the calls of that identity only."""
    key = key_of(simulation.emulator.url)
    credentials = service_account.Credentials.from_service_account_info(key)
    name = simulation.create()
    fault = PermissionWithdrawn("get", identity=key["client_email"])
    with google_client(simulation.emulator, credentials) as client:
        simulation.emulator.faults.plan(fault)
        assert simulation.get(name).name == name
        with pytest.raises(exceptions.Forbidden):
            client.get_custom_job(name=name, timeout=10)


def test_tokens_expire(simulation: Any, key_of: Callable[[str], Json]) -> None:
    """Tokens issued before the call get 401; a token issued after it is accepted."""
    key = key_of(simulation.emulator.url)
    credentials = service_account.Credentials.from_service_account_info(
        key, scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )
    name = simulation.create()
    url = f"{simulation.emulator.url}/v1/{name}"
    credentials.refresh(Request())
    old = {"Authorization": f"Bearer {credentials.token}"}
    assert requests.get(url, headers=old, timeout=10).status_code == 200
    simulation.emulator.faults.plan(TokensExpired("get"))
    assert simulation.get(name)  # has no token
    refused = requests.get(url, headers=old, timeout=10)
    assert refused.status_code == 401
    assert refused.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_EXPIRED"
    assert requests.get(url, headers=old, timeout=10).status_code == 401
    credentials.refresh(Request())
    new = {"Authorization": f"Bearer {credentials.token}"}
    assert requests.get(url, headers=new, timeout=10).status_code == 200


def test_googles_client_recovers_from_expired_tokens(
    simulation: Any, google_client: Callable[..., Any], key_of: Callable[[str], Json]
) -> None:
    """Google's client renews its credentials after the 401, and its caller sees no error."""
    key = key_of(simulation.emulator.url)
    credentials = service_account.Credentials.from_service_account_info(key)
    name = simulation.create()
    with google_client(simulation.emulator, credentials) as client:
        client.get_custom_job(name=name, timeout=10)
        simulation.emulator.faults.plan(TokensExpired("get"))
        assert client.get_custom_job(name=name, timeout=10).name == name
    assert [call.status for call in simulation.emulator.calls][-2:] == [401, 200]


def test_the_token_endpoint_fails(simulation: Any) -> None:
    """A fault for the method `token` hits the token endpoint; a fault for `*` does not."""
    url = f"{simulation.emulator.url}/token"
    form = {"grant_type": "refresh_token", "refresh_token": "r", "client_id": "c"}
    everything = simulation.emulator.faults.plan(ErrorAnswer("*", 503, count=0))
    assert requests.post(url, data=form, timeout=10).status_code == 200
    with pytest.raises(exceptions.ServiceUnavailable):
        simulation.listed()
    everything.withdraw()
    simulation.emulator.faults.plan(ErrorAnswer("token", 503))
    assert requests.post(url, data=form, timeout=10).status_code == 503


def test_the_clock_continues_during_a_call(simulation: Any) -> None:
    """A delay that is `advanced` moves the clock before the call has its effect."""
    name = simulation.create()
    simulation.emulator.faults.plan(Delay("get", 265, clock="advanced"))
    before = simulation.clock.now()
    assert simulation.state(name) == "SUCCEEDED"
    assert (simulation.clock.now() - before).total_seconds() == 265
    simulation.emulator.faults.plan(Delay("create", 30, clock="advanced", after_effect=True))
    late = simulation.create()
    assert simulation.states(late) == ["QUEUED", "PENDING"]


def test_a_delayed_call_waits_for_the_emulators_clock(simulation: Any) -> None:
    """A call delayed on the emulator's clock has its effect when that clock reaches the time."""
    planned = simulation.emulator.faults.plan(Delay("create", 60))
    with pytest.raises(requests.exceptions.ReadTimeout):
        simulation.client.create_custom_job(parent=PARENT, custom_job={
            "display_name": "late", "job_spec": {"worker_pool_specs": [{
                "machine_spec": {"machine_type": "n1-standard-4"}, "replica_count": 1,
                "container_spec": {"image_uri": "i", "command": ["true"]}}]},
        }, timeout=0.2)  # fmt: skip
    assert planned.is_consumed
    simulation.clock.advance(59)
    assert simulation.emulator.jobs == ()
    simulation.clock.advance(1)
    simulation.emulator.wait_for(lambda: len(simulation.emulator.jobs) == 1)


def test_a_delay_on_the_system_clock_is_real(simulation: Any) -> None:
    """A client with a short timeout gives up on a real delay, and the call has its effect."""
    name = simulation.create()
    simulation.emulator.faults.plan(Delay("cancel", 0.3, clock="machine"))
    with pytest.raises(requests.exceptions.ReadTimeout):
        simulation.client.cancel_custom_job(name=name, timeout=0.05)
    simulation.emulator.wait_for(lambda: len(simulation.states(name)) > 1)
    assert simulation.states(name)[:2] == ["QUEUED", "CANCELLING"]


@pytest.mark.parametrize(("after_effect", "jobs"), [(False, 0), (True, 1)])
def test_a_test_can_act_in_the_middle_of_a_call(
    simulation: Any, after_effect: bool, jobs: int
) -> None:
    """The function of an interruption is called at the point of the call that it names."""
    seen: list[int] = []
    simulation.emulator.faults.plan(
        Interruption(
            "create",
            lambda: seen.append(len(simulation.emulator.jobs)),
            after_effect=after_effect,
        )
    )
    assert simulation.create()
    assert seen == [jobs]


def test_a_delay_combines_with_an_error(simulation: Any) -> None:
    """A delay is added to one other fault; of several others, the first planned applies."""
    simulation.emulator.faults.plan(Delay("list", 10, clock="advanced"))
    simulation.emulator.faults.plan(ErrorAnswer("list", 500))
    simulation.emulator.faults.plan(ErrorAnswer("list", 503))
    before = simulation.clock.now()
    with pytest.raises(exceptions.InternalServerError):
        simulation.listed()
    assert (simulation.clock.now() - before).total_seconds() == 10
    with pytest.raises(exceptions.ServiceUnavailable):
        simulation.listed()
    assert simulation.listed() == []


def test_logging_fails_too(simulation: Any) -> None:
    """`entries:list` can be refused, with Cloud Logging's permission in the error."""
    simulation.emulator.faults.plan(PermissionWithdrawn("entries:list"))
    body = {"resourceNames": ["projects/my-project"]}
    answer = requests.post(f"{simulation.emulator.url}/v2/entries:list", json=body, timeout=10)
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["message"] == (
        "Permission 'logging.logEntries.list' denied on resource "
        "'//logging.googleapis.com/projects/my-project' (or it may not exist)."
    )


def test_a_stop_does_not_wait_for_delayed_answers() -> None:
    """Stopping the emulator ends calls that wait for its clock."""
    with VertexEmulator(clock=ManualClock()) as emulator:
        emulator.faults.plan(Delay("list", 1000))
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.get(f"{emulator.url}/v1/{PARENT}/customJobs", timeout=0.1)
        emulator.stop()
