"""What of a step's environment goes into its secret, and how the secret is described."""

import json

import pytest

from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.errors import ConfigurationError, VertexStepOperatorError
from zenml_vertex.job.identity import Attempt
from zenml_vertex.job.secrets import (
    MAX_PAYLOAD_BYTES,
    SecretName,
    build_secret,
    encode_environment,
    split_environment,
)

NAME = SecretName.of("demo-project", Attempt("6a1f0000-0000-0000-0000-000000000000", 2))


def test_only_what_is_read_at_the_start_is_shown() -> None:
    """A secret with a harmless name was shown to readers of jobs: no name is trusted to be one.

    Only variables that the loader, the container runtime or Python read before anything can set
    them stay in the job.
    """
    shown = {
        "PATH": "/bin",
        "PYTHONUNBUFFERED": "1",
        "LD_LIBRARY_PATH": "/usr/local/nvidia/lib",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "LC_ALL": "C.UTF-8",
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_TRIM_THRESHOLD_": "65536",
        "GLIBC_TUNABLES": "glibc.malloc.check=3",
        "PYTHON_GIL": "0",
        "PYTHON_CPU_COUNT": "4",
        "PYTHON_FROZEN_MODULES": "off",
        "SSL_CERT_FILE": "/etc/ssl/cert.pem",
    }
    hidden = {
        "ZENML_STORE_API_TOKEN": "eyJ",
        "MODE": "https://user:password@index.example",
        "NVIDIA_API_KEY": "nvapi",
        "PYTHON_API_KEY": "k",
        "LD_API_KEY": "k",
        "PYTHON_KEYRING_PASSWORD": "k",
        "PATH_TO_TOKEN": "t",
        "LD_SECRET": "l",
        "pythonpath": "p",
        "LANG\n": "n",
    }
    own = {"ZENML_VERTEX_ATTEMPT": "1"}
    assert split_environment({**shown, **hidden, "ZENML_VERTEX_ATTEMPT": "7"}, own) == (
        shown,
        hidden,
    )


def test_the_payload_is_what_a_container_reads() -> None:
    """Every value comes back as it was, whatever characters it has."""
    values = {"A": "", "B": "ü\n\x1b\udcff😀 $(A) {{secret.key}}"}
    assert json.loads(encode_environment(values)) == values


def test_an_environment_that_no_secret_holds_is_refused() -> None:
    """More than 64 KiB are refused with the names of the largest variables, and no value."""
    fits = "x" * (MAX_PAYLOAD_BYTES - len('{"LARGE":""}'))
    assert len(encode_environment({"LARGE": fits})) == MAX_PAYLOAD_BYTES
    with pytest.raises(ConfigurationError) as raised:
        encode_environment({"LARGE": fits, "SMALL": "y"})
    assert "a secret holds 65536. The largest are `LARGE`, `SMALL`: put them" in str(raised.value)
    assert "xxx" not in str(raised.value)


def test_a_name_that_no_variable_has_is_refused() -> None:
    """A container could not set a variable whose name has a `=`, and would not start."""
    with pytest.raises(ConfigurationError, match="`A=B` has a name that Vertex AI does not accept"):
        encode_environment({"A=B": "c"})


@pytest.mark.parametrize(
    ("arguments", "days"),
    [
        ({}, 9),
        ({"timeout": "86400s"}, 3),
        ({"max_wait_duration": 7 * 86400}, 15),
        # It waits without an end.
        ({"max_wait_duration": 0}, 365 + 8),
        ({"max_wait_duration": "0s", "timeout": "86400s"}, 365 + 2),
    ],
)
def test_a_secret_outlives_its_job_and_no_more(arguments: dict[str, object], days: int) -> None:
    """It expires a day after the longest time for which the job may wait and run."""
    fields = VertexStepOperatorSettings(additional_training_job_args=arguments).to_job_fields()
    assert build_secret(fields, region="europe-west4", labels={"zenml-step": "train"}) == {
        "replication": {"userManaged": {"replicas": [{"location": "europe-west4"}]}},
        "labels": {"zenml-step": "train"},
        "ttl": f"{days * 86400}s",
    }


def test_the_name_of_a_secret_tells_the_attempt() -> None:
    """One attempt has one secret, also after a create whose response was lost."""
    secret_id = "zenml-vertex-6a1f0000-0000-0000-0000-000000000000-2"
    assert str(NAME) == f"projects/demo-project/secrets/{secret_id}"
    assert NAME.first_version == f"{NAME}/versions/1"
    assert NAME.delete_command == f"gcloud secrets delete {secret_id} --project=demo-project"
    assert SecretName.parse(str(NAME)) == NAME


@pytest.mark.parametrize("name", ["", "projects/p/secrets/a/b", "projects/p/secrets/../x", "a"])
def test_what_is_not_a_secrets_name_is_refused(name: str) -> None:
    """A name with other parts never becomes part of an address."""
    with pytest.raises(VertexStepOperatorError, match="is not the name of a secret"):
        SecretName.parse(name)
