"""Google's client of Vertex AI for Node.js, over its default transport."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.clients.conftest import keep_environment
from vertex_emulator import JobState, VertexEmulator

_PACKAGE = "@google-cloud/aiplatform@7.4.0"
_SECONDS = 120.0
_SCRIPT = """
const {JobServiceClient} = require('@google-cloud/aiplatform').v1;

async function main() {
  const client = new JobServiceClient({apiEndpoint: 'us-central1-aiplatform.googleapis.com'});
  const parent = 'projects/my-project/locations/us-central1';
  const pool = {
    machineSpec: {machineType: 'n1-standard-4'},
    replicaCount: 1,
    containerSpec: {imageUri: 'registry.example/image:1', command: process.argv.slice(2)},
  };
  const customJob = {displayName: 'from Node', jobSpec: {workerPoolSpecs: [pool]}};
  let [job] = await client.createCustomJob({parent, customJob});
  while (!['JOB_STATE_SUCCEEDED', 'JOB_STATE_FAILED'].includes(job.state)) {
    await new Promise(resolve => setTimeout(resolve, 100));
    [job] = await client.getCustomJob({name: job.name});
  }
  const [listed] = await client.listCustomJobs({parent, filter: 'display_name="from Node"'});
  const error = await client.getCustomJob({name: `${parent}/customJobs/1`}).catch(error => error);
  console.log(JSON.stringify({state: job.state, listed: listed.length, code: error.code}));
}

main().catch(error => { console.error(error); process.exit(1); });
"""


@pytest.fixture(scope="session")
def modules() -> Path:
    """A folder with the client and what it needs; kept for the next run."""
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        pytest.skip("Node.js and npm are not installed here")

    def install(folder: Path) -> list[list[str]]:
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        options += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
        return [[npm, "install", *options, "--prefix", str(folder), _PACKAGE]]

    return keep_environment(_PACKAGE, install) / "node_modules"


def test_a_job_from_node(
    emulator: VertexEmulator, variables: Mapping[str, str], modules: Path, tmp_path: Path
) -> None:
    """The client creates a job over gRPC, sees its end, lists it, and is told what is missing."""
    script = tmp_path / "submit.js"
    script.write_text(_SCRIPT, "utf-8")
    done = subprocess.run(
        ["node", str(script), "true"],
        env={**variables, "NODE_PATH": str(modules), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == {"state": "JOB_STATE_SUCCEEDED", "listed": 1, "code": 5}
    assert [job.state for job in emulator.jobs] == [JobState.SUCCEEDED]
