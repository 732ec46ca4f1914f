"""Where log entries are kept: pages that cost what they show, bounded memory, damaged files."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vertex_emulator.core.errors import ApiError
from vertex_emulator.core.times import parse_nanoseconds
from vertex_emulator.logs import entry_file
from vertex_emulator.logs.entry_file import EntryFile, NamedFile
from vertex_emulator.logs.log_store import LogStore, Window
from vertex_emulator.logs.queries import list_entries

Json = dict[str, Any]
PROJECT = {"projectIds": ["1"]}


def entry(number: int, job_id: str = "7", **fields: Any) -> Json:
    """Build the log entry of millisecond `number`."""
    return {
        "insertId": f"id-{number:07d}",
        "timestamp": f"2026-01-01T{number // 60_000:02d}:{number // 1000 % 60:02d}:00."
        f"{number % 1000:03d}Z",
        "logName": "projects/p/logs/workerpool0-0",
        "resource": {"type": "ml_job", "labels": {"job_id": job_id}},
        "textPayload": f"line {number}",
        **fields,
    }


def open_store(*job_ids: str, folder: Path | None = None) -> LogStore:
    """Open the logs of jobs of project 1; without a folder, they have no files."""
    store = LogStore()
    for job_id in job_ids:
        file = folder / f"{job_id}.jsonl" if folder else None
        store.open(job_id, number="1", file=file, job_id=job_id)
    return store


@pytest.fixture(params=["files", "spool"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Where the logs of a test are: in files, or in none."""
    return tmp_path if request.param == "files" else None


class CountingStore:
    """Counts how many entries of a store are read.

    Args:
        store: The store.
    """

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self.count = 0

    def select(self, window: Window) -> Iterator[tuple[int, Json]]:
        for item in self._store.select(window):
            self.count += 1
            yield item


def read_pages(store: LogStore, size: int, **query: Any) -> tuple[list[str], list[int]]:
    """Read all pages; returns the lines, and how many entries each page has looked at."""
    lines, counts, token = [], [], ""
    while True:
        counting = CountingStore(store)
        asked = {**PROJECT, "pageSize": size, "pageToken": token, **query}
        page = list_entries(counting.select, asked)
        counts.append(counting.count)
        lines += [item["textPayload"] for item in page.get("entries", [])]
        token = page.get("nextPageToken", "")
        if not token:
            return lines, counts


@pytest.mark.parametrize("order", ["timestamp asc", "timestamp desc"])
def test_a_page_costs_what_it_shows(folder: Path | None, order: str) -> None:
    """Each page of a log looks at its own entries, one more, and the last of the one before."""
    store = open_store("7", folder=folder)
    for number in range(1000):
        store.append("7", entry(number))
    lines, counts = read_pages(store, 10, orderBy=order)
    expected = [f"line {number}" for number in range(1000)]
    assert lines == (expected if order.endswith("asc") else expected[::-1])
    assert len(counts) == 100
    assert max(counts) <= 12


def test_a_page_of_many_logs_costs_what_it_shows() -> None:
    """A page of a project's entries reads few of each log, and none of another project's."""
    store = open_store(*(str(job_id) for job_id in range(100)))
    store.open("other", number="2", file=None, job_id="other")
    store.append("other", entry(3, "other"))
    for number in range(2000):
        store.append(str(number % 100), entry(number, str(number % 100)))
    lines, counts = read_pages(store, 100)
    assert lines == [f"line {number}" for number in range(2000)]
    assert max(counts) <= 102


def test_a_filter_of_job_and_time_confines_what_is_read() -> None:
    """The entries of other jobs and times are not even read."""
    store = open_store("7", "8")
    for number in range(1000):
        store.append("78"[number % 2], entry(number, "78"[number % 2]))
    text = (
        'resource.labels.job_id="7" AND timestamp>="2026-01-01T00:00:00.500Z" '
        'AND timestamp<"2026-01-01T00:00:00.600Z"'
    )
    lines, counts = read_pages(store, 1000, filter=text)
    assert lines == [f"line {number}" for number in range(500, 600, 2)]
    # The last one is that of the second time, which the filter excludes.
    assert counts == [51]


def test_entries_of_one_time_are_on_one_page_each(folder: Path | None) -> None:
    """Entries of the same time, in any log, are in the order of their insertIds; none is lost."""
    store = open_store("7", "8", folder=folder)
    for number in [3, 1, 4, 0, 2, 6, 5]:
        same = entry(0, insertId=f"id-{number}", textPayload=str(number))
        store.append("78"[number % 2], same)
    for size in (1, 2, 3, 7):
        assert read_pages(store, size)[0] == list("0123456")
        assert read_pages(store, size, orderBy="timestamp desc")[0] == list("6543210")


def test_late_entries_find_their_place(folder: Path | None) -> None:
    """Entries are in the order of their times, to the nanosecond, however late they have come."""
    store = open_store("7", folder=folder)
    for text in ("30", "1", "20.000000002", "20.000000001", "20"):
        seconds, _, rest = text.partition(".")
        written = f"2026-01-01T00:00:{int(seconds):02d}.{rest or 0}Z"
        store.append("7", entry(0, insertId=text, timestamp=written, textPayload=text))
    assert [item["textPayload"] for item in store.entries_of("7")] == [
        "1", "20", "20.000000001", "20.000000002", "30",
    ]  # fmt: skip


def test_a_page_token_belongs_to_its_query(folder: Path | None) -> None:
    """A token of another query, or one that no query has made, is refused."""
    store = open_store("7", folder=folder)
    for number in range(3):
        store.append("7", entry(number))
    query: Json = {**PROJECT, "pageSize": 1}
    token = list_entries(store.select, query)["nextPageToken"]
    for wrong in ({"filter": "severity=DEFAULT"}, {"orderBy": "timestamp desc"}):
        with pytest.raises(ApiError, match="another query"):
            list_entries(store.select, {**query, **wrong, "pageToken": token})


@pytest.mark.parametrize(
    "query",
    [
        {"orderBy": "severity"},
        {"pageSize": -1},
        {"pageSize": "many"},
        {"pageSize": True},
        {"pageSize": float("inf")},
        {"pageToken": "x"},
        {"pageToken": "WyJbWyIsIDJd" * 10_000},
        {"pageToken": "WzEsMiwzXQ=="},
        {"projectIds": []},
        {"projectIds": [], "resourceNames": ["folders/1"]},
        {"projectIds": [], "resourceNames": ["projects/"]},
        {"projectIds": [], "resourceNames": ["p"]},
    ],
)
def test_an_invalid_query_is_an_invalid_argument(query: Json) -> None:
    """A malformed query, and one about what is no project, is refused."""
    with pytest.raises(ApiError) as error:
        list_entries(open_store("7").select, {**PROJECT, **query})
    assert error.value.status in {"INVALID_ARGUMENT", "PERMISSION_DENIED"}


def test_new_entries_come_on_later_pages() -> None:
    """What is written between two pages is on a later one, and nothing comes twice."""
    store = open_store("7")
    for number in range(4):
        store.append("7", entry(number))
    query: Json = {**PROJECT, "pageSize": 3}
    first = list_entries(store.select, query)
    store.append("7", entry(4))
    second = list_entries(store.select, {**query, "pageToken": first["nextPageToken"]})
    assert [item["textPayload"] for item in second["entries"]] == ["line 3", "line 4"]
    assert "nextPageToken" not in second


def test_memory_has_no_entries(folder: Path | None) -> None:
    """A log of 5 MB takes up less than 40 bytes of memory for each of its lines."""
    store = open_store("7", folder=folder)
    store.append("7", entry(0))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(1, 5_001):
        store.append("7", entry(number, textPayload="x" * 1000))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 5_000 * 40
    assert len(store.entries_of("7")) == 5_001


def test_a_spool_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries without a file are in a temporary one that no folder shows."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = open_store("7")
    store.append("7", entry(1))
    assert store.entries_of("7") == [entry(1)]
    assert list(tmp_path.iterdir()) == []


def test_a_spool_starts_anew_without_logs() -> None:
    """What the last forgotten log has written takes up no room any more."""
    store = open_store("7")
    store.append("7", entry(1))
    store.forget("7")
    store.open("8", number="1", file=None, job_id="8")
    store.append("8", entry(2, "8"))
    assert store.entries_of("8") == [entry(2, "8")]
    assert store._spool._size < 2 * len(json.dumps(entry(2)))


def test_a_damaged_line_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Lines that are no entries are left out, said once with the place; the others are there."""
    file = tmp_path / "7.jsonl"
    damaged = [
        "{",
        "[1]",
        "[" * 100_000,
        json.dumps({**entry(3), "timestamp": "yesterday"}),
        json.dumps({**entry(4), "insertId": 4}),
        json.dumps({**entry(5), "line": 5}),
        "\xff",
    ]
    lines = [json.dumps(entry(1)), *damaged, json.dumps(entry(9)), '{"cut": "of']
    file.write_text("\n".join(lines), encoding="latin-1")
    store = open_store("7", folder=tmp_path)
    for _ in range(2):
        assert store.entries_of("7") == [entry(1), entry(9)]
    assert caplog.text.count("Skipping 7 lines of ") == 1
    assert "the first is line 2" in caplog.text
    store.append("7", entry(10))
    assert open_store("7", folder=tmp_path).entries_of("7") == [entry(1), entry(9), entry(10)]


def test_an_impossible_time_harms_nothing(tmp_path: Path) -> None:
    """An entry of a time that no log can have is the first or the last one."""
    store = open_store("7", folder=tmp_path)
    for number, year in ((1, "0001"), (2, "9999"), (3, "2026")):
        store.append("7", entry(number, timestamp=f"{year}-01-01T00:00:00Z"))
    numbers = [item["textPayload"][-1] for item in store.entries_of("7")]
    assert numbers == ["1", "3", "2"]


class FullFile(NamedFile):
    """A file on a disk that is full as long as `has_room` is false."""

    has_room = False

    def append(self, data: bytes) -> int:
        if not self.has_room:
            raise OSError(28, "No space left on device")
        return super().append(data)


def test_without_room_memory_keeps_the_newest_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a full disk does not take is kept up to a bound; a mark says how much was dropped."""
    size = len(json.dumps(entry(1)))
    monkeypatch.setattr(entry_file, "MAX_UNWRITTEN_BYTES", 3 * size)
    file = FullFile(tmp_path / "7.jsonl")
    log = EntryFile(file)

    def read() -> list[str]:
        places = log.find(None, None, 100, is_descending=False)
        return [item["textPayload"] for item in log.read(places) if item]

    for number in range(1, 4):
        log.append(entry(number))
    assert read() == ["line 1", "line 2", "line 3"]
    for number in range(4, 10):
        log.append(entry(number))
    mark = "6 earlier lines were dropped: there was no room to store them."
    assert read() == [mark, "line 7", "line 8", "line 9"]
    file.has_room = True
    log.append(entry(10))
    assert read() == [mark, "line 7", "line 8", "line 9", "line 10"]
    assert caplog.text.count("Cannot write to ") == 1


def test_waiting_for_a_line_reads_each_entry_once() -> None:
    """Whoever waits for a line sees each entry once, whatever its shape, also one to come."""
    store = open_store("7")
    for number in range(5):
        store.append("7", entry(number))
    seen: list[str] = []

    def accepts(item: Json) -> bool:
        seen.append(item["textPayload"])
        if len(seen) == 5:
            store.append("7", entry(6))
        return seen[-1] == "line 6"

    assert store.wait_for("7", accepts, seconds=30)
    assert seen == [f"line {number}" for number in (0, 1, 2, 3, 4, 6)]
    assert not store.wait_for("8", accepts, seconds=0)


def test_nanoseconds_are_kept() -> None:
    """A time is read with every digit that Google writes."""
    assert parse_nanoseconds("1970-01-01T00:00:01.000000002Z") == 10**9 + 2
    assert parse_nanoseconds("1970-01-01T01:00:01.5+01:00") == 1_500_000_000
    assert parse_nanoseconds("1969-12-31T23:59:59.999999999Z") == -1
