"""Why the ZenML server does not do what is asked, in words that can be shown."""

import pytest
from zenml.exceptions import AuthorizationException

from zenml_vertex.errors import ServerUnreachable
from zenml_vertex.steps.server import server_errors


def test_what_the_server_says_can_be_shown() -> None:
    """A server, or a proxy that answers for it, cannot steer the terminal or show a token."""
    said = "Not allowed\x1b]0;title\x07\nfor Bearer hunter2"
    with pytest.raises(ServerUnreachable) as raised, server_errors():
        raise AuthorizationException(said)
    assert "allow this: Not allowed for Bearer ***. `zenml status` shows" in str(raised.value)
    assert raised.value.__cause__ is None
