"""Draws trials from a seed: the same seed, the same trials. Pure.

What is drawn stays within the operator's patience unless it says otherwise. A create
that takes effect more than half a minute after its answer was lost is not drawn:
docs/explanation/exactly-one-job.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from campaign.boundaries import INTERRUPTIBLE, KILLABLE, BoundarySetup, find_setup
from campaign.trial import (
    Cut,
    CutKind,
    EmulatorCrash,
    Hazard,
    JobMethod,
    Mode,
    OutageForm,
    RunStops,
    Sequel,
    ServerHazard,
    ServerOutage,
    SiblingFails,
    Step,
    StepKind,
    Trial,
    VertexHazard,
)
from vertex_emulator.faults import (
    AnswerCut,
    AnswerLost,
    Delay,
    Deleted,
    ErrorAnswer,
    Expired,
    HangsAfterWork,
    Held,
    InternalErrors,
    JobFault,
    ListLag,
    OutOfMemory,
    PartiallySucceeded,
    Paused,
    PermissionWithdrawn,
    Preemption,
    QuotaExceeded,
    RequestFault,
    RequestLost,
    Stockout,
    TokensExpired,
    UnknownState,
    Updating,
    find_kinds,
)
from zenml_vertex.following.submission import MAX_CREATES

# Kind of a step -> how often it is drawn.
_STEPS: dict[StepKind, int] = {
    "reports": 40,
    "hangs": 10,
    "stuck": 8,
    "fails": 12,
    "dies": 8,
    "silent": 5,
    "command": 10,
    "bad command": 4,
}
_SEQUELS: tuple[Sequel, ...] = (
    "resume", "submit", "attach", "attach", "settle", "sweep step", "sweep run",
)  # fmt: skip
# One trial in so many is cut off at a given boundary, and meets little else, so that each
# boundary gets its turn.
_DIRECTED = 5
_EVERY_BOUNDARY: Sequence[tuple[Mode, Cut]] = [
    *((mode, Cut("SIGKILL", name)) for mode, names in KILLABLE.items() for name in names),
    *(("static", Cut("Ctrl-C", name)) for name in INTERRUPTIBLE),
]
# How Google's client sees a connection end.
_HOW: tuple[Literal["reset", "close"], ...] = ("reset", "close")
# The faults of jobs that are drawn with fields of their own; any other one is drawn as it
# is by default.
_VARIED = frozenset(
    {
        *(Stockout, Preemption, InternalErrors, OutOfMemory, Expired, PartiallySucceeded, Paused),
        *(Updating, UnknownState, Deleted, Held, HangsAfterWork, ListLag),
    }
)
_LONGEST_LAG = 20.0
_LATEST_EFFECT = 20.0
_SPREADING = (
    "The service agent does not have permission to access Artifact Registry repository "
    "projects/p/locations/r/repositories/x."
)
# Status codes of a server, or of a proxy before it.
_BAD_GATEWAY = 502
_STATUSES = (500, _BAD_GATEWAY, 503, 504)


@dataclass(frozen=True, slots=True)
class _Slot:
    """Something that can go wrong, in one of several ways."""

    # Probability that it does.
    chance: float
    # Draws the way.
    draw: Callable[[Random, Step], Hazard]


def draw_trial(seed: int, index: int) -> Trial:
    """Draw a trial.

    Args:
        seed: Seed of the campaign.
        index: Number of the trial.
    """
    rng = Random(f"{seed} {index}")
    mode: Mode = rng.choice(("static", "dynamic"))
    cuts = _draw_cuts(rng, index, mode)
    is_directed = index % _DIRECTED == _DIRECTED - 1
    if is_directed:
        mode, cut = _EVERY_BOUNDARY[index // _DIRECTED % len(_EVERY_BOUNDARY)]
        cuts = [cut]
    setup = next((setup for cut in cuts if (setup := find_setup(cut.boundary))), BoundarySetup())
    cuts = [replace(cut, process=max(cut.process, setup.process)) for cut in cuts]
    kind: StepKind = setup.step or _weigh(rng, _STEPS)
    step = Step(
        kind,
        seconds=setup.seconds or rng.choice((5.0, rng.uniform(1, 120), rng.uniform(60, 1800))),
        ending=rng.choice((0.0, 2.0, rng.uniform(0, 120))),
    )
    has_key = setup.has_key or _happens(rng, 0.15)
    hazards = list(setup.hazards)
    if not is_directed:
        drawn = [slot.draw(rng, step) for slot in _SLOTS if _happens(rng, slot.chance)]
        hazards = _bound(hazards, drawn)
        if has_key:
            hazards.append(_draw_expiry(rng, step))
        if mode == "dynamic" and _happens(rng, 0.15):
            hazards.append(SiblingFails(rng.uniform(0, step.seconds + 120)))
    return Trial(
        index=index,
        seed=f"{seed} {index}",
        mode=mode,
        step=step,
        hazards=(*hazards, *cuts),
        detaches=_happens(rng, 0.2) and not is_directed,
        has_key=has_key,
        sequel="resume" if setup.process > 1 else rng.choice(_SEQUELS),
        delay=rng.choice((0.0, rng.uniform(0, 30), rng.uniform(30, 900))),
    )


def _bound(hazards: list[Hazard], drawn: Sequence[Hazard]) -> list[Hazard]:
    """The hazards, as far as they leave one create of those that the operator tries."""
    left = MAX_CREATES - 1 - sum(map(_count_creates, hazards))
    for hazard in drawn:
        creates = _count_creates(hazard)
        if creates <= left:
            hazards.append(hazard)
            left -= creates
    return hazards


def _count_creates(hazard: Hazard) -> int:
    """How many creates a hazard costs; none if it exceeds the operator's patience anyway."""
    if isinstance(hazard, EmulatorCrash):
        return int(hazard.method == "create")
    if not isinstance(hazard, VertexHazard) or hazard.exceeds_patience:
        return 0
    return sum(
        fault.limit or 1
        for fault in hazard.faults
        if isinstance(fault, RequestFault) and fault.method in {"create", "*"}
        if not isinstance(fault, Delay)
    )


def _choose_body(status: int) -> Any:
    return "html" if status == _BAD_GATEWAY else "json"


def _happens(rng: Random, chance: float) -> bool:
    return rng.random() < chance


def _draw_create(rng: Random, _: Step) -> VertexHazard:
    how = rng.choice(_HOW)
    status = rng.choice(_STATUSES)
    late = rng.choice((0.0, rng.uniform(0, _LATEST_EFFECT)))
    body = _choose_body(status)
    slow = Delay("create", rng.uniform(1, 60), clock="advanced", after_effect=_happens(rng, 0.5))
    draws: tuple[Callable[[], VertexHazard], ...] = (
        lambda: _of(AnswerLost("create", how=how, late=late)),
        lambda: _of(AnswerLost("create", how=how, late=late)),
        lambda: _of(AnswerLost("create", how=how, late=rng.uniform(0, _LATEST_EFFECT))),
        lambda: _of(RequestLost("create", how=how, count=rng.randint(1, 2))),
        lambda: _of(ErrorAnswer("create", status, body=body, count=rng.randint(1, 2))),
        lambda: _of(ErrorAnswer("create", status, body=body, after_effect=True)),
        lambda: _of(ErrorAnswer("create", 408, after_effect=_happens(rng, 0.5))),
        lambda: _of(AnswerCut("create", share=rng.choice((0.0, rng.uniform(0, 0.99))))),
        lambda: _of(slow),
        lambda: _of(slow, AnswerLost("create", how=how)),
        lambda: _of(ErrorAnswer("create", 429, count=rng.randint(1, 2), retry_after=7)),
        lambda: _of(ErrorAnswer("create", 429, count=rng.randint(1, 2))),
        lambda: _of(ErrorAnswer("create", 400, message=_SPREADING, lasts=rng.uniform(1, 50))),
        lambda: _of(ErrorAnswer("create", 400), exceeds_patience=True),
        lambda: _of(QuotaExceeded(), exceeds_patience=True),
        lambda: _of(PermissionWithdrawn("create"), exceeds_patience=True),
        lambda: _of(RequestLost("create", lasts=900), exceeds_patience=True),
    )
    return rng.choice(draws)()


def _draw_list(rng: Random, _: Step) -> VertexHazard:
    return _draw_reading(rng, "list", 300)


def _draw_get(rng: Random, _: Step) -> VertexHazard:
    if _happens(rng, 0.15):
        return _of(ErrorAnswer("get", 404, call=rng.randint(1, 3), count=rng.randint(1, 3)))
    return _draw_reading(rng, "get", 600)


def _draw_reading(rng: Random, method: Any, longest: float) -> VertexHazard:
    span = rng.choice(({"count": rng.randint(1, 6)}, {"lasts": rng.uniform(1, longest)}))
    common: dict[str, Any] = {"call": rng.choice((1, 1, rng.randint(1, 12))), **span}
    status = rng.choice(_STATUSES)
    draws: tuple[Callable[[], VertexHazard], ...] = (
        lambda: _of(RequestLost(method, how=rng.choice(_HOW), **common)),
        lambda: _of(AnswerLost(method, **common)),
        lambda: _of(ErrorAnswer(method, status, body=_choose_body(status), **common)),
        lambda: _of(ErrorAnswer(method, 503, body="empty", **common)),
        lambda: _of(ErrorAnswer(method, 429, retry_after=rng.choice((None, 30)), **common)),
        lambda: _of(AnswerCut(method, share=rng.uniform(0, 0.99), **common)),
        lambda: _of(PermissionWithdrawn(method, **common)),
        lambda: _of(Delay(method, rng.uniform(1, 30), clock="advanced", **common)),
    )
    return rng.choice(draws)()


def _draw_logs(rng: Random, _: Step) -> VertexHazard:
    return _draw_reading(rng, "entries:list", 300)


def _draw_cancel(rng: Random, _: Step) -> VertexHazard:
    span = rng.choice(({"count": rng.randint(1, 4)}, {"lasts": rng.uniform(1, 60)}))
    status = rng.choice(_STATUSES)
    draws: tuple[Callable[[], VertexHazard], ...] = (
        lambda: _of(RequestLost("cancel", **span)),
        lambda: _of(AnswerLost("cancel", **span)),
        lambda: _of(ErrorAnswer("cancel", status, body=_choose_body(status), **span)),
        lambda: _of(ErrorAnswer("cancel", 429, **span)),
        lambda: _of(AnswerCut("cancel", **span)),
        lambda: _of(PermissionWithdrawn("cancel", **span)),
    )
    return rng.choice(draws)()


def _draw_outage(rng: Random, _: Step) -> VertexHazard:
    """Every call fails, or reads are refused for longer than the operator's patience."""
    if _happens(rng, 0.4):
        long = (PermissionWithdrawn("get", lasts=3600), PermissionWithdrawn("list", lasts=3600))
        return _of(*long, exceeds_patience=True)
    seconds = rng.choice((rng.uniform(1, 20), rng.uniform(20, 600)))
    fault = RequestLost("*", call=rng.randint(1, 20), lasts=seconds)
    return _of(fault, exceeds_patience=seconds > _LATEST_EFFECT)


def _draw_life(rng: Random, step: Step) -> VertexHazard:
    after = rng.choice((0.0, rng.uniform(0, 100)))
    stubborn = _happens(rng, 0.5)
    minutes = rng.uniform(1, 30) * 60

    draws: tuple[Callable[[], VertexHazard], ...] = (
        lambda: _of(Stockout(times=rng.randint(1, 4), despite_disable_retries=stubborn)),
        lambda: _of(
            Preemption(times=rng.randint(1, 7), despite_disable_retries=stubborn, after=after)
        ),
        lambda: _of(InternalErrors(times=rng.randint(1, 3), after=after)),
        lambda: _of(OutOfMemory(form=rng.choice(("exit", "replicas")), after=after)),
        lambda: _of(Expired(at=rng.choice(("queued", "provisioning", "running")), after=after)),
        lambda: _of(PartiallySucceeded()),
        lambda: _of(Paused(seconds=minutes, after=after)),
        lambda: _of(Updating(seconds=minutes, after=after)),
        lambda: _of(UnknownState(seconds=minutes, after=after)),
        lambda: _of(UnknownState(after=after), exceeds_patience=True),
        lambda: _of(
            Deleted(
                # Before that, the client possibly never saw it, and creates another one rightly.
                at=rng.choice(("running", "tearing_down", "over")),
                after=after,
            )
        ),
        lambda: _of(
            Held(at=rng.choice(("queued", "provisioning", "tearing_down")), seconds=minutes)
        ),
        lambda: _of(
            HangsAfterWork(seconds=rng.choice((None, minutes)) if step.report else minutes)
        ),
    )
    others = [kind for kind in find_kinds(JobFault) if kind not in _VARIED]
    # What the operator promises then is not known.
    defaults = [lambda kind=kind: _of(kind(), exceeds_patience=True) for kind in others]
    return rng.choice((*draws, *defaults))()


def _draw_lag(rng: Random, _: Step) -> VertexHazard:
    return _of(ListLag(seconds=rng.uniform(1, _LONGEST_LAG)))


def _draw_expiry(rng: Random, _: Step) -> VertexHazard:
    method: JobMethod = rng.choice(("create", "get", "list", "cancel"))
    return _of(TokensExpired(method, call=rng.randint(1, 3)))


def _draw_server_outage(rng: Random, _: Step) -> ServerOutage:
    form: OutageForm = rng.choice(("refused", "proxy"))
    if _happens(rng, 0.4):
        return ServerOutage(rng.uniform(0, 60), rng.uniform(1, 50), form)
    return ServerOutage(rng.uniform(70, 900), rng.uniform(10, 900), form)


def _draw_server_hazard(rng: Random, _: Step) -> ServerHazard:
    return ServerHazard(
        rng.choice(("create_run_metadata", "list_run_steps", "update_run_step", "get_run_step")),
        rng.randint(1, 3),
        rng.choice(("request lost", "answer lost", "repeated")),
    )


def _draw_crash(rng: Random, _: Step) -> EmulatorCrash:
    return EmulatorCrash(
        rng.choice(("create", "get", "list", "list", "cancel")),
        rng.randint(1, 4),
        rng.uniform(0, 90),
        after_effect=_happens(rng, 0.5),
    )


def _draw_stop(rng: Random, _: Step) -> RunStops:
    return RunStops(rng.uniform(0, 600), ends_step=_happens(rng, 0.7))


def _draw_cuts(rng: Random, index: int, mode: Mode) -> Sequence[Cut]:
    """Where the process is cut off: the boundaries take turns, so that each gets its turn."""
    if _happens(rng, 0.5):
        boundaries = KILLABLE[mode]
        nth = rng.choice((1, 1, 1, 1, 2, 5))
        cuts = [Cut("SIGKILL", boundaries[index % len(boundaries)], nth)]
        if _happens(rng, 0.2):
            cuts.append(Cut("SIGKILL", rng.choice(boundaries), process=2))
        return cuts
    if mode == "static" and _happens(rng, 0.6):
        how: CutKind = rng.choice(("Ctrl-C", "SIGTERM", "stop"))
        cuts = [Cut(how, rng.choice(INTERRUPTIBLE), rng.choice((1, 1, 2, 7)))]
        if _happens(rng, 0.2):
            cuts.append(Cut("Ctrl-C", rng.choice(INTERRUPTIBLE), rng.randint(1, 3)))
        return cuts
    return []


_SLOTS = (
    _Slot(0.45, _draw_create),
    _Slot(0.2, _draw_list),
    _Slot(0.2, _draw_get),
    _Slot(0.1, _draw_logs),
    _Slot(0.25, _draw_cancel),
    _Slot(0.08, _draw_outage),
    _Slot(0.3, _draw_life),
    _Slot(0.25, _draw_lag),
    _Slot(0.2, _draw_server_outage),
    _Slot(0.2, _draw_server_hazard),
    _Slot(0.08, _draw_crash),
    _Slot(0.06, _draw_stop),
)


def _of(*faults: Any, exceeds_patience: bool = False) -> VertexHazard:
    return VertexHazard(tuple(faults), exceeds_patience)


def _weigh(rng: Random, weights: dict[Any, int]) -> Any:
    (chosen,) = rng.choices(list(weights), weights=list(weights.values()))
    return chosen
