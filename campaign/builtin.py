"""ZenML's built-in step operator, unmodified, in the world of a trial.

`python -m campaign.builtin`, with ZENML_VERTEX_DISABLE=1, so that the name
`vertex` is ZenML's own; prints the tallies of trials and crowds as one line of JSON.
"""

import argparse
import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud.aiplatform_v1 import JobServiceClient
from google.oauth2 import service_account
from zenml.integrations.gcp.flavors.vertex_step_operator_flavor import VertexStepOperatorConfig
from zenml.integrations.gcp.step_operators.vertex_step_operator import VertexStepOperator

from campaign.campaign import open_runner, run_campaign, run_crowds
from campaign.drawing import draw_trial
from campaign.operators import PROJECT, REGION, build_component
from campaign.process import Process
from campaign.trial import Trial
from campaign.world import World

_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


class BuiltinSubject:
    """The step operator of ZenML's `gcp` integration."""

    # Longer than anything that delays a step or a job in a trial.
    max_seconds = 4 * 60 * 60.0

    def build(self, process: Process, trial: Trial, world: World, key_file: Path) -> Any:
        """A step operator in a process of its own.

        Its client is of the same class as otherwise, over REST, which the emulator speaks.
        """
        del process
        credentials: Any = AnonymousCredentials()
        if trial.has_key:
            credentials = service_account.Credentials.from_service_account_file(
                str(key_file), scopes=_SCOPES
            )
        VertexStepOperator._job_service_client = JobServiceClient(
            credentials=credentials,
            transport="rest",
            client_options={"api_endpoint": world.url},
        )
        VertexStepOperator._gcp_credentials = credentials
        VertexStepOperator._gcp_project_id = PROJECT
        config = VertexStepOperatorConfig(region=REGION, project=PROJECT)
        return VertexStepOperator(**build_component(config))

    def attach(self, operator: Any, process: Process, client: Any, *, waits: bool) -> None:
        """ZenML's operator offers nothing of the kind."""

    def sweep(self, operator: Any, process: Process, world: World) -> None:
        """ZenML's operator offers nothing of the kind."""


def main() -> int:
    """Run the campaign, and print its tallies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with open_runner(BuiltinSubject()) as run:
        trials = (draw_trial(options.seed, number) for number in range(options.trials))
        tallies = [run_campaign(run, trials), run_crowds(run, options.seed, options.trials)]
    print(json.dumps([tally.to_json() for tally in tallies]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
