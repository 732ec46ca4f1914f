"""The routes of the fault plan: `/emulator/faults`."""

from typing import Any

from vertex_emulator.core.errors import ApiError, invalid_argument
from vertex_emulator.faults.as_json import fault_from_json, planned_to_json
from vertex_emulator.faults.kinds import FaultError
from vertex_emulator.faults.plan import FaultPlan
from vertex_emulator.http.messages import ApiRequest
from vertex_emulator.http.routes import EMULATOR, Api, route

_PATH = "/emulator/faults"


class FaultApi(Api):
    """The fault plan over HTTP.

    Args:
        plan: The plan.
    """

    service = EMULATOR

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan

    @route("GET", _PATH, "emulator only", "What is planned, and how often it has happened.")
    def list_faults(self, request: ApiRequest) -> Any:
        """Every planned fault, with its ID."""
        del request
        return planned_to_json(self._plan.all())

    @route("POST", _PATH, "emulator only", "Plans faults; see below.")
    def plan_faults(self, request: ApiRequest) -> Any:
        """Plan faults: all of the request, or none."""
        body = request.read_json()
        wanted = body.get("faults")
        if not isinstance(wanted, list) or not wanted:
            raise invalid_argument('The body must be {"faults": [...]}, with at least one fault.')
        if unknown := body.keys() - {"faults", "seed"}:
            listed = ", ".join(f"`{name}`" for name in sorted(unknown))
            raise invalid_argument(f"The body can have `faults` and `seed` only; got {listed}.")
        seed = body.get("seed")
        if not isinstance(seed, int | None) or isinstance(seed, bool):
            raise invalid_argument("seed: must be a whole number.")
        try:
            faults = [fault_from_json(item) for item in wanted]
            return planned_to_json(self._plan.plan_all(faults, seed=seed))
        except FaultError as error:
            raise invalid_argument(str(error)) from error

    @route("DELETE", _PATH, "emulator only", "Withdraws every fault.")
    def clear_faults(self, request: ApiRequest) -> Any:
        """Withdraw every fault."""
        del request
        self._plan.clear()
        return {}

    @route("DELETE", f"{_PATH}/{{fault}}", "emulator only", "Withdraws one by its `id`.")
    def withdraw_fault(self, request: ApiRequest) -> Any:
        """Withdraw one fault."""
        fault_id = request.path["fault"]
        if not self._plan.withdraw(fault_id):
            raise ApiError("NOT_FOUND", f"No fault has the ID `{fault_id}`.")
        return {}
