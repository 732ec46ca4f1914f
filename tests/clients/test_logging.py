"""Google's client of Cloud Logging over its default transport, with nothing but a project."""

from tests.clients.conftest import Run
from tests.support.emulators import call
from vertex_emulator import VertexEmulator

_WRITE_AND_READ = """
    import json, logging
    from google.cloud.logging import Client

    client = Client()
    # A handler of Python's own logging, which sends from a thread.
    handler = client.get_default_handler()
    records = logging.getLogger("mine")
    records.addHandler(handler)
    records.warning("by Python's logging")
    handler.flush()
    client.logger("steps").log_struct({"loss": 0.5, "step": 3}, severity="NOTICE")
    for entry in client.list_entries(filter_='severity>=NOTICE', order_by="timestamp asc"):
        print(entry.severity, entry.log_name, json.dumps(entry.payload, sort_keys=True))
"""


def test_entries_are_written_and_read(emulator: VertexEmulator, run_python: Run) -> None:
    """What the client writes over gRPC, it finds with a filter, and others do over REST."""
    out = run_python(_WRITE_AND_READ)
    logs = "projects/my-project/logs"
    assert out.splitlines()[-2:] == [
        f'WARNING {logs}/python "by Python\'s logging"',
        f'NOTICE {logs}/steps {{"loss": 0.5, "step": 3.0}}',
    ]
    body = {"resourceNames": ["projects/my-project"], "filter": "jsonPayload.step=3"}
    (entry,) = call(emulator, "POST", "/v2/entries:list", json=body).json()["entries"]
    assert entry["jsonPayload"] == {"loss": 0.5, "step": 3.0}
