"""The coverage page: `python -m vertex_emulator.coverage` prints it as Markdown."""

import sys
from collections.abc import Sequence
from dataclasses import fields

from vertex_emulator.faults.call_faults import METHODS, RequestFault
from vertex_emulator.faults.job_faults import JobFault
from vertex_emulator.faults.kinds import find_kinds
from vertex_emulator.http.routes import ROUTES, VERSIONS

_HEAD = """\
# What the emulator covers

<!-- Printed by `python -m vertex_emulator.coverage`; change it there. -->

The emulator was written from Google's public documentation and from public reports. **It has
not been compared with Google Cloud.** Where the documentation is silent, it does something
plausible, and this page says so.

## Routes

Every version of a path is served: {versions}. A route that is not in this table is answered with
501 UNIMPLEMENTED, which names it.

| Route | Service | Support | Notes |
|---|---|---|---|
"""

_BODY = """
*faithful*: does what is documented. *simplified*: leaves something out. *emulator only*: Google has
no such route.

## Faithful to what is documented

- **Messages**: every field of the CustomJob in v1 and v1beta1; both spellings of names; enums as
  names or numbers; unknown fields and wrong types are refused with the texts of Google's JSON
  transcoding.
- **Rules**: machine types, accelerators and their counts, disks, labels, display names, environment
  variables, networks, keys, persistent resource IDs, scheduling, reservations, mounts. All
  violations of a request come at once, as text and as `google.rpc.BadRequest`.
- **States**: QUEUED, PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLING, CANCELLED, with `startTime`
  at the first entry into RUNNING, and `endTime` at the entry into one of the three last ones. Every
  other state comes by a planned fault only.
- **Errors**: code 3 for an exit status, with the service's text and a link to the logs; 128 with
  `StartError` for a command that cannot be started; code 1 for a cancelled job; code 13 after three
  internal errors.
- **Restarts**: after exit statuses 6, 11, 134 and 139, three times; after an internal error (the
  emulator itself was ended), twice. By a planned fault: without machines, three times; after a
  preemption, six times.
- **The container's environment**: `CLOUD_ML_PROJECT_ID`, `CLOUD_ML_JOB_ID`, `CLUSTER_SPEC`, `AIP_*`
  with a base output directory, and the job's own variables with `$(NAME)` replaced.
- **Logs**: the service's lines in their order; stdout as INFO, stderr as ERROR; a line that is a
  JSON object is taken apart.

## Simplified

- **No image is pulled by the `process` runtime.** It runs the command on this machine; `python` is
  the emulator's own Python. In Python, the folder `/app` is a folder of the job's own; a shell or a
  library in C sees the real `/app`. Everything else of the file system is this machine's.
- **The `docker` runtime** resolves the image's tag at its registry while the job is PENDING,
  pulls it by digest and runs it in this machine's Docker engine, with the engine's credentials.
  The container shares this machine's network, so that loopback servers can be reached; has all of
  its memory and processors, whatever the machine type; and has no `/gcs`, no mounts and no
  accelerator. The command is its first process, as containerd's `StartError` shows it to be on
  Vertex AI.
- **One replica.** A job with a second worker pool or a `python_package_spec` is answered with 501,
  which names the field; with the `process` runtime, so is one without a command.
- **Beside Vertex AI's variables**, a container gets `GCE_METADATA_HOST`, `GCE_METADATA_IP` and,
  if the emulator has it, `STORAGE_EMULATOR_HOST`; a process gets `PATH`, `HOME`, `LANG`,
  `GCE_METADATA_HOST`, `GCE_METADATA_IP` and, if the emulator has them, `STORAGE_EMULATOR_HOST`,
  `SSL_CERT_FILE` and `REQUESTS_CA_BUNDLE`. Nothing else of the emulator's environment.
- **Accepted and without effect**: machines, accelerators, disks, networks, keys, service accounts,
  reservations, scheduling strategies, persistent resources (none has to exist), web access, mounts,
  Tensorboard, experiments.
- **Credentials are not checked.** A token that the emulator has issued is refused once it has
  expired. Whose token a call bore is listed at `/emulator/requests`.
- **Time**: a job is provisioned in half a second and torn down in half a second, unless options say
  otherwise; on Vertex AI, mostly 3 to 6 minutes and 43 to 65 seconds.
- **`CLUSTER_SPEC`** repeats the job's spec without its environment variables.
- **The metadata server** has one service account for all jobs, in a tenant project of its own.
- **Projects** exist as soon as they are named. Their numbers are made up, and always the same.

## Assumed, because it is not documented

- Cancelling a job that is over: FAILED_PRECONDITION. Deleting one that is not over: it is ended and
  deleted.
- A job that reaches its timeout ends CANCELLED with code 1, as one public report has it, counted
  from `startTime`. The text of that error, and of any cancelled job's, is the emulator's own.
- **An image that cannot be pulled**: the job fails out of PENDING with code 3 and a text of the
  emulator's own, with the registry's words in it. What Vertex AI says, and when, is not known. An
  exception is an Artifact Registry repository that the agents may not read: 400 at once, with the
  text of public reports. An image without anything for the machine's architecture (Arm for A4X, x86
  for all others) is treated the same way, with a text of the emulator's own.
- A restart leads back to PENDING. `disableRetries` stops every restart; a planned stockout or
  preemption can be told to restart all the same.
- A CustomJob that is PAUSED has no container, and goes on with a new start by way of PENDING. One
  that is UPDATING runs on. EXPIRED and PARTIALLY_SUCCEEDED have neither an error nor an `endTime`.
- A container that is killed for its use of memory: code 3 with the documented text. An unknown
  state is a bare number in JSON, as proto3's mapping has it.
- A preempted container gets SIGTERM and a grace period; one that has used up its memory does not.
- A missing `replicaCount` is 1. `network` and `pscInterfaceConfig` may both be set.
- A region without training: 400 INVALID_ARGUMENT. A job that does not exist: 404 with a text of the
  emulator's own. A request of more than 10 MiB: 400.
- `n1-standard-2`, which is not in the list of machines for training and is named on another page,
  is taken with any accelerator.
- A page of jobs has at most 100. OR binds tighter than AND in a filter, as AIP-160 has it.
- `$$` is an escape only before `(NAME)`.
- The `logName` of entries. A line of output is cut at 60,000 characters.
- Texts of violations, other than those for machine types, accelerators, labels, persistent resource
  IDs, environment variable names that repeat, service accounts and `max_wait_duration`, which
  public reports quote.

## Not served

- Other resources: persistent resources, training pipelines, hyperparameter tuning, batch
  prediction.
- gRPC. Use the clients' REST transport.
- Quotas, stockouts, preemption and permissions by themselves: only as planned faults.
- Several replicas, interactive shells.
- Waiting for and cancelling an operation: a delete is done when it is answered.
"""


_FAULTS = """
## Faults

A test plans what goes wrong, and is told what has not: `POST /emulator/faults` with
`{{"faults": [{{"fault": "AnswerLost", "method": "create"}}]}}`, `GET /emulator/faults` for what has
happened of it, `DELETE /emulator/faults` at the end; in Python, `emulator.faults`. See
[Inject faults](../how-to/inject-faults.md). A plan is gone when the emulator's process ends; what
is still to happen to a job is kept with the job. `"seed"` beside `"faults"` is that of `chance`.

### Of calls

Every one has {request_fields}.

`method` is one of {methods}. `*` is each one of
the JobService and of Logging. With `count` 0, calls are hit until the fault is withdrawn; with
`lasts`, for so many seconds from the first.

| Fault | Fields | What happens |
|---|---|---|
{requests}
### Of jobs

Every one has {job_fields}.

It hits the next job that matches, or, with `job_id`, one that exists; `after` is counted from the
beginning of the stage `at`.

| Fault | Fields | When | What happens |
|---|---|---|---|
{jobs}
"""


def build_page() -> str:
    """The page, as Markdown."""
    rows = [
        f"| `{route.method} {route.path}` | {route.service} | {route.support} | {route.note} |\n"
        for route in ROUTES
    ]
    versions = " and ".join(f"`{version}`" for version in VERSIONS)
    return _HEAD.format(versions=versions) + "".join(rows) + _BODY + _build_faults()


def _build_faults() -> str:
    of_requests = _names(RequestFault)
    of_jobs = _names(JobFault)
    requests = [
        f"| `{kind.__name__}` | {_list(_names(kind), of_requests)} | {_summary(kind)} |\n"
        for kind in find_kinds(RequestFault)
        if kind.has_json
    ]
    jobs = [
        f"| `{kind.__name__}` | {_list(_names(kind), of_jobs)} | {_list(kind.stages)} | "
        f"{_summary(kind)} |\n"
        for kind in find_kinds(JobFault)
    ]
    return (
        _FAULTS.format(
            request_fields=_list(of_requests),
            job_fields=_list(of_jobs),
            methods=_list((*(name for name in METHODS if name != "*"), "*")),
            requests="".join(requests),
            jobs="".join(jobs),
        ).rstrip("\n")
        + "\n"
    )


def _names(kind: type[RequestFault] | type[JobFault]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _list(names: Sequence[str], but: Sequence[str] = ()) -> str:
    return ", ".join(f"`{name}`" for name in names if name not in but)


def _summary(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    sys.stdout.write(build_page())
