"""The step operator of this package, in the world of a trial."""

from pathlib import Path

from campaign.operators import PROJECT, REGION, build_component
from campaign.process import Process
from campaign.trial import Trial
from campaign.world import World
from zenml_vertex.config import VertexStepOperatorConfig
from zenml_vertex.following.ending import cancel_and_verify
from zenml_vertex.following.orphans import find_orphans, list_live_jobs
from zenml_vertex.steps.connections import ConnectionPool
from zenml_vertex.steps.operator import VertexStepOperator


class Own:
    """The flavor `vertex` of this package."""

    # It waits six hours for a state that it does not know to pass.
    most_seconds = 9 * 60 * 60.0

    def build(
        self, process: Process, trial: Trial, world: World, key_file: Path
    ) -> VertexStepOperator:
        """A step operator in a process of its own."""
        del world
        config = VertexStepOperatorConfig(
            region=REGION,
            project=PROJECT,
            on_client_exit="detach" if trial.detaches else "cancel",
            service_account_path=str(key_file) if trial.has_key else None,
        )
        pool = ConnectionPool(process, run_in_background=process.background.append)
        return VertexStepOperator(**build_component(config), clock=process, pool=pool)

    def sweep(self, operator: VertexStepOperator, process: Process, world: World) -> None:
        """What `zenml-vertex jobs cancel --orphans --yes` does."""
        process.phase = "sweep"
        connection = operator.connect()
        step_runs = operator.step_runs
        live = list_live_jobs(connection.jobs, connection.parent, step_runs.server_id)
        for orphan in list(find_orphans(live, step_runs, world.now())):
            cancel_and_verify(connection.jobs, orphan.name, process)
