"""Calls over gRPC as requests over HTTP, and the variables that lead clients there."""

from pathlib import Path

import pytest

from tests.support.generate_methods import build_methods
from vertex_emulator.as_google.environment import build_environment, choose_direct, write_exports
from vertex_emulator.as_google.hosts import is_google_host
from vertex_emulator.as_google.methods import load_methods
from vertex_emulator.as_google.templates import Binding, HttpCall, transcode
from vertex_emulator.core.errors import ApiError

PACKAGE = Path(__file__).parents[2] / "src" / "vertex_emulator" / "as_google"
NAME = "projects/p/locations/l/things/t"


def test_the_methods_are_current() -> None:
    """methods.json is what its generator prints from the installed client."""
    assert (PACKAGE / "methods.json").read_text("utf-8") == build_methods()


@pytest.mark.parametrize(
    ("binding", "request_json", "call"),
    [
        (
            Binding("GET", "/v1/{name=projects/*/locations/*/things/*}"),
            {"name": NAME},
            HttpCall("GET", f"/v1/{NAME}", None),
        ),
        (
            Binding("POST", "/v1/{parent=projects/*}/things", "some_thing"),
            {"parent": "projects/p", "someThing": {"a": 1}, "thingId": "x y", "force": True},
            HttpCall("POST", "/v1/projects/p/things?thingId=x+y&force=true", b'{"a": 1}'),
        ),
        (
            Binding("POST", "/v1/{name=projects/**}:cancel", "*"),
            {"name": NAME, "why": "so"},
            HttpCall("POST", f"/v1/{NAME}:cancel", b'{"why": "so"}'),
        ),
        (
            Binding("PATCH", "/v1/{some_thing.name=projects/*/locations/*/things/*}", "some_thing"),
            {"someThing": {"name": NAME, "a": 1}, "updateMask": "a,b"},
            HttpCall(
                "PATCH",
                f"/v1/{NAME}?updateMask=a%2Cb",
                b'{"name": "projects/p/locations/l/things/t", "a": 1}',
            ),
        ),
        (
            Binding("GET", "/v1/{parent=projects/*}/things"),
            {"parent": "projects/ü?&", "ids": ["1", "2"], "in": {"depth": 3}},
            HttpCall("GET", "/v1/projects/%C3%BC%3F%26/things?ids=1&ids=2&in.depth=3", None),
        ),
    ],
)
def test_a_call_becomes_the_request_of_its_route(
    binding: Binding, request_json: dict[str, object], call: HttpCall
) -> None:
    """Path, query and body get what google/api/http.proto gives them."""
    assert transcode(request_json, [binding]) == call


def test_a_name_of_another_form_is_refused() -> None:
    """A resource name that fits no route of the method is named with the form that it must have."""
    binding = Binding("GET", "/v1/{name=projects/*/things/*}")
    for wrong in (
        {},
        {"name": "projects/p"},
        {"name": "projects/p/things/a/b"},
        {"name": "x/../y"},
    ):
        with pytest.raises(ApiError, match="`name` must be of the form") as refused:
            transcode(wrong, [binding])
        assert refused.value.status == "INVALID_ARGUMENT"


def test_the_first_route_that_fits_is_taken() -> None:
    """A method may have several routes, for names of several kinds."""
    bindings = [Binding("GET", "/v1/{name=projects/*}"), Binding("GET", "/v1/{name=folders/*}")]
    assert transcode({"name": "folders/f"}, bindings).target == "/v1/folders/f"


def test_a_status_keeps_the_details_that_are_known() -> None:
    """A detail of a kind that nobody here knows is left out; the others arrive."""
    known = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "WHY"}
    error = {"message": "no", "details": [{"@type": "type.googleapis.com/x.Y"}, known]}
    assert b"WHY" in load_methods().write_status(3, error)


@pytest.mark.parametrize(
    ("host", "is_served"),
    [
        ("us-central1-aiplatform.googleapis.com", True),
        ("aiplatform.googleapis.com", True),
        ("OAUTH2.googleapis.com", True),
        ("logging.googleapis.com", True),
        ("secretmanager.googleapis.com", True),
        ("storage.googleapis.com", False),
        ("evil.example", False),
        ("us-central1-aiplatform.googleapis.com.evil.example", False),
        ("x.logging.googleapis.com", False),
        ("evilaiplatform.googleapis.com", False),
    ],
)
def test_which_hosts_it_stands_for(host: str, is_served: bool) -> None:
    """The hosts of the services that the emulator has, and no other of Google's."""
    assert is_google_host(host) is is_served


@pytest.mark.parametrize(
    ("given", "direct"),
    [
        ("", "localhost,127.0.0.1,::1"),
        ("*", "localhost,127.0.0.1,::1"),
        (
            "localhost, .corp.example ,10.0.0.0/8",
            "localhost,127.0.0.1,::1,.corp.example,10.0.0.0/8",
        ),
        ("googleapis.com,.googleapis.com,*.com", "localhost,127.0.0.1,::1"),
        ("storage.googleapis.com", "localhost,127.0.0.1,::1,storage.googleapis.com"),
        ("us-east1-aiplatform.googleapis.com", "localhost,127.0.0.1,::1"),
    ],
)
def test_what_goes_around_the_proxy(given: str, direct: str) -> None:
    """The user's exceptions hold, but for those that would lead to Google's own Vertex AI."""
    assert choose_direct(given) == direct


def test_the_variables_are_lines_of_a_shell() -> None:
    """A value with blanks is quoted, and the user's own project is kept."""
    variables = build_environment(
        {"GOOGLE_CLOUD_PROJECT": "theirs"}, proxy="http://p", trusted="/a b", key_file="/k"
    )
    lines = write_exports(variables).splitlines()
    assert {"export GOOGLE_CLOUD_PROJECT=theirs", "export SSL_CERT_FILE='/a b'"} <= set(lines)
    assert all(line.startswith("export ") for line in lines)
