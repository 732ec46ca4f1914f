"""Steps whose containers leave notes: the ZenML server is asked when one is found."""

import threading

import pytest

from tests.support.fakes import InMemoryNotes
from tests.support.worlds import START, STEP, Watched
from zenml_vertex.errors import PermissionDenied, ServerUnreachable
from zenml_vertex.job.identity import Attempt


@pytest.fixture
def notes() -> InMemoryNotes:
    """No notes."""
    return InMemoryNotes()


@pytest.fixture
def world(notes: InMemoryNotes) -> Watched:
    """A watcher that looks for notes, whose step runs are running."""
    return Watched(notes=notes)


def _poll_for(world: Watched, seconds: float) -> None:
    until = world.clock.now + seconds
    while world.clock.now < until:
        world.watcher.poll(STEP)
        world.clock.sleep(max(0.1, world.watcher.next_due - world.clock.now))


def test_a_note_has_the_server_asked_at_once(world: Watched, notes: InMemoryNotes) -> None:
    """A step has finished within seconds of its note, and hardly a question is asked before."""
    world.follow("JOB_STATE_RUNNING")
    _poll_for(world, 119)
    assert world.step_runs.questions <= 10
    assert notes.looks > 100
    world.report(at=world.clock.now)
    reported, questions = world.clock.now, world.step_runs.questions
    notes.left.add(STEP)
    assert world.watcher.wait(STEP) == "completed"
    assert world.clock.now - reported < 2
    assert world.step_runs.questions == questions + 1


def test_a_process_that_waits_for_long_hardly_asks(world: Watched) -> None:
    """After ten minutes, the ZenML server is asked once a minute."""
    world.follow("JOB_STATE_RUNNING")
    _poll_for(world, 600)
    before = world.step_runs.questions
    _poll_for(world, 600)
    assert 5 <= world.step_runs.questions - before <= 11


def test_a_job_that_waits_for_its_machine_hardly_costs_the_server_anything() -> None:
    """Without notes too, the server is asked seldom while nothing can have finished yet."""
    world = Watched()
    world.follow("JOB_STATE_PENDING")
    _poll_for(world, 119)
    assert world.step_runs.questions <= 10


def test_a_forged_note_costs_one_question(world: Watched, notes: InMemoryNotes) -> None:
    """A note of a step that is still running has the server asked once, and changes nothing."""
    world.follow("JOB_STATE_RUNNING")
    _poll_for(world, 25)
    questions = world.step_runs.questions
    notes.left.add(STEP)
    _poll_for(world, 3)
    assert world.watcher.poll(STEP) == "running"
    assert world.step_runs.questions == questions + 1


def test_a_step_that_forges_notes_all_the_time_hardly_costs_the_server_anything(
    world: Watched, notes: InMemoryNotes
) -> None:
    """The server is asked for it after growing pauses, and still learns of its end in a minute."""
    world.follow("JOB_STATE_RUNNING")
    until = world.clock.now + 600
    while world.clock.now < until:
        notes.left.add(STEP)
        _poll_for(world, 1)
        if world.clock.now < START + 121:
            early = world.step_runs.questions
    assert early <= 16
    assert world.step_runs.questions <= 40
    world.report(at=world.clock.now)
    reported = world.clock.now
    notes.left.add(STEP)
    assert world.watcher.wait(STEP) == "completed"
    assert world.clock.now - reported <= 66


def test_a_note_after_a_forged_one_is_kept(world: Watched, notes: InMemoryNotes) -> None:
    """A step that finishes a moment after a note in vain has finished seconds later."""
    world.follow("JOB_STATE_RUNNING")
    _poll_for(world, 20)
    notes.left.add(STEP)
    _poll_for(world, 1)
    world.report(at=world.clock.now)
    reported = world.clock.now
    notes.left.add(STEP)
    assert world.watcher.wait(STEP) == "completed"
    assert world.clock.now - reported < 4


def test_a_client_that_is_denied_the_notes_says_once_what_to_grant(
    world: Watched, notes: InMemoryNotes, caplog: pytest.LogCaptureFixture
) -> None:
    """One line at INFO says what to grant, and what happens without; later looks are silent."""
    caplog.set_level("INFO", logger="zenml_vertex")
    notes.error = PermissionDenied("Grant storage.objects.get and storage.objects.list.")
    world.follow("JOB_STATE_RUNNING")
    _poll_for(world, 600)
    notes.error = None
    _poll_for(world, 600)
    notes.error = PermissionDenied("Grant storage.objects.get and storage.objects.list.")
    _poll_for(world, 600)
    said = [each.getMessage() for each in caplog.records if "Grant storage" in each.getMessage()]
    assert len(said) == 1
    assert "later" in said[0]


def test_a_note_is_not_forgotten_while_the_server_is_down(
    world: Watched, notes: InMemoryNotes
) -> None:
    """A step that leaves its note while the server is down has finished soon after it is back."""
    world.follow("JOB_STATE_RUNNING")
    _poll_for(world, 100)
    world.step_runs.question_errors = [ServerUnreachable("The ZenML server is down.")] * 4
    world.report(at=START)
    before = world.clock.now
    notes.left.add(STEP)
    assert world.watcher.wait(STEP) == "completed"
    assert world.clock.now - before < 20


def test_a_store_that_cannot_be_looked_into_is_done_without(
    world: Watched, notes: InMemoryNotes
) -> None:
    """Where looks fail, a step's end is noticed by asking the server, and looks are few."""
    notes.error = PermissionError("no")
    world.follow("JOB_STATE_RUNNING")
    world.report(at=START + 100)
    assert world.watcher.wait(STEP) == "completed"
    assert 100 <= world.elapsed < 104
    assert 1 < notes.looks < 5


def test_a_store_that_hangs_holds_nothing_up(world: Watched, notes: InMemoryNotes) -> None:
    """While a look hangs, a step's end is noticed by asking the server."""
    answered = threading.Event()

    def take(run_id: str, attempts: object) -> set[Attempt]:
        del run_id, attempts
        assert answered.wait(60)
        return set()

    notes.take = take  # type: ignore[method-assign]
    world.follow("JOB_STATE_RUNNING")
    world.report(at=START + 100)
    assert world.watcher.wait(STEP) == "completed"
    assert 100 <= world.elapsed < 105
    answered.set()


def test_notes_of_commands_are_not_looked_for(world: Watched, notes: InMemoryNotes) -> None:
    """A command step leaves no note: only Vertex AI tells when it ends."""
    world.follow("JOB_STATE_RUNNING", reports_itself=False)
    _poll_for(world, 119)
    assert notes.looks == 0
    assert world.step_runs.questions <= 10


def test_one_look_serves_all_steps_of_a_run(world: Watched, notes: InMemoryNotes) -> None:
    """However many steps wait, a look is one request, and one note has one question asked."""
    asked: list[list[str]] = []
    statuses = world.step_runs.statuses

    def note_question(run_id: str, step_run_ids: list[str]) -> object:
        asked.append(list(step_run_ids))
        return statuses(run_id, step_run_ids)

    for number in range(50):
        world.follow("JOB_STATE_RUNNING", step_run_id=f"step-{number}")
    world.follow("JOB_STATE_RUNNING")
    _poll_for(world, 25)
    world.step_runs.statuses = note_question  # type: ignore[assignment, method-assign]
    looks = notes.looks
    notes.left.add("step-7")
    world.report(at=START, step_run_id="step-7")
    world.clock.sleep(1)
    assert world.watcher.poll("step-7") == "completed"
    assert asked == [["step-7"]]
    assert notes.looks == looks + 1
