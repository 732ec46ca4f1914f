"""The parent of step images: Debian with Python and ZenML, built on this machine.

It stands in for `zenmldocker/zenml`, which has the same contents, and no bytecode of ZenML
either, on machines that reach a mirror of Debian and a package index but no registry of images.
It is built once and kept by the Docker engine, under a name that changes with its contents.
"""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import docker
import docker.errors

from zenml_vertex.local_stack.processes.servers import StartError, ToolsMissingError

# A pickled step needs the same minor version of Python: version -> the release of Debian
# that has it.
_SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}
_MIRROR = "http://deb.debian.org/debian"
_PACKAGES = "python3,python3-venv,ca-certificates"
_MMDEBSTRAP_SECONDS = 600
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_CERTIFICATE_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
# Variables of the package index, which stay in the image: what is built on it asks there too.
_INDEX_VARIABLES = ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX")
# Before a host, or in a query. A URL of an index without credentials has none of them.
_CREDENTIAL_MARKS = ("@", "?", "#")
REPOSITORY = "zenml-vertex-local"
_ERROR_LINES = 20


def find_suite() -> str:
    """Return the release of Debian that has this Python version.

    Raises:
        ToolsMissingError: If no release has it.
    """
    python = sys.version_info[:2]
    if python not in _SUITES:
        known = " or ".join(f"{major}.{minor}" for major, minor in _SUITES)
        raise ToolsMissingError(
            f"Debian has no Python {python[0]}.{python[1]} to make the base image with: run this "
            f"with Python {known}, such as `make demo-docker PYTHON=python3.11 VENV=.venv-3.11`."
        )
    return _SUITES[python]


def find_index(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the package index.

    Raises:
        ToolsMissingError: If there are credentials in one, which would stay in the image for
            whoever can read it.
    """
    found = {name: environ[name] for name in _INDEX_VARIABLES if name in environ}
    for name, value in found.items():
        if any(mark in value for mark in _CREDENTIAL_MARKS):
            raise ToolsMissingError(
                f"{name} has credentials, and would be kept by the base image and by each image "
                f"that is built on it. Set {name} to an index that asks for none."
            )
    return found


def build_dockerfile(parent: str, variables: Mapping[str, str], zenml_version: str) -> str:
    """Build the Dockerfile of the base image.

    Args:
        parent: Image of Debian with Python.
        variables: Of the package index and its certificates, for pip and uv.
        zenml_version: Of this machine's ZenML.
    """
    return "\n".join(
        [
            f"FROM {parent}",
            f"COPY certificates.crt {_CERTIFICATES}",
            *(f"ENV {name}={value}" for name, value in sorted(variables.items())),
            # Debian keeps its own Python for itself.
            "RUN python3 -m venv /opt/venv",
            "ENV VIRTUAL_ENV=/opt/venv",
            "ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "ENV PIP_DISABLE_PIP_VERSION_CHECK=1",
            "RUN pip install --no-cache-dir uv",
            f"RUN uv pip install --no-cache zenml=={zenml_version}",
            "",
        ]
    )


def choose_tag(suite: str, dockerfile: str, certificates: bytes) -> str:
    """Return a tag that changes with the contents of the base image."""
    content = hashlib.sha256(dockerfile.encode() + certificates).hexdigest()
    return f"{suite}-{content[:12]}"


def make_base_image(host: str, cache: Path, environ: Mapping[str, str]) -> str:
    """Return the name of the base image, which is built if the engine does not have it.

    Args:
        host: Address of the Docker engine.
        cache: Folder that keeps Debian as an archive.
        environ: Where to find the package index and its certificates.

    Raises:
        StartError: If it cannot be made.
    """
    variables = find_index(environ)
    suite = find_suite()
    certificates = _CERTIFICATES.read_bytes() if _CERTIFICATES.exists() else b""
    variables |= dict.fromkeys(_CERTIFICATE_VARIABLES, str(_CERTIFICATES))
    debian = f"{REPOSITORY}/debian:{suite}"
    dockerfile = build_dockerfile(debian, variables, version("zenml"))
    name = f"{REPOSITORY}/zenml:{choose_tag(suite, dockerfile, certificates)}"
    client = docker.DockerClient(base_url=host, timeout=_MMDEBSTRAP_SECONDS)
    try:
        if has_image(client, name):
            return name
        if not has_image(client, debian):
            archive = make_archive(suite, cache)
            client.api.import_image_from_file(str(archive), f"{REPOSITORY}/debian", suite)
        files = {"Dockerfile": dockerfile.encode(), "certificates.crt": certificates}
        client.images.build(
            fileobj=pack(files), custom_context=True, tag=name, network_mode="host", rm=True
        )
    except docker.errors.BuildError as error:
        said = "".join(str(line.get("stream", "")) for line in error.build_log)
        end = "\n".join(said.splitlines()[-_ERROR_LINES:])
        raise StartError(f"The base image cannot be built: {error}\n{end}") from None
    except docker.errors.APIError as error:
        raise StartError(f"The base image cannot be made: {error}") from error
    finally:
        client.close()
    return name


def make_archive(suite: str, cache: Path) -> Path:
    """Return Debian with Python as a tar archive, from the cache or from mmdebstrap.

    Raises:
        StartError: If it cannot be made.
    """
    archive = cache / f"debian-{suite}.tar"
    if archive.exists():
        return archive
    program = shutil.which("mmdebstrap")
    if program is None:
        raise ToolsMissingError(
            "There is no program `mmdebstrap`: `make docker-tools` installs it on Debian."
        )
    cache.mkdir(parents=True, exist_ok=True)
    part = archive.with_suffix(f".{os.getpid()}.part.tar")
    try:
        subprocess.run(
            [program, "--variant=minbase", f"--include={_PACKAGES}", suite, str(part), _MIRROR],
            check=True,
            capture_output=True,
            timeout=_MMDEBSTRAP_SECONDS,
        )
        part.replace(archive)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode("utf-8", "replace").splitlines()[-_ERROR_LINES:]
        raise StartError("\n".join(["mmdebstrap failed:", *lines])) from None
    finally:
        part.unlink(missing_ok=True)
    return archive


def has_image(client: docker.DockerClient, name: str) -> bool:
    """Return whether an engine has an image."""
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        return False
    return True


def pack(files: Mapping[str, bytes]) -> io.BytesIO:
    """Pack files as the context of a build."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    stream.seek(0)
    return stream
