"""What Secret Manager answers, as far as clients can ask for parts of it.

https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets
"""

from vertex_emulator.core.messages import Enum, Field, Message

_PACKAGE = "google.cloud.secretmanager.v1"
_OUTPUT = Field("output")

SECRET = Message(
    f"{_PACKAGE}.Secret",
    {
        "name": _OUTPUT,
        "replication": _OUTPUT,
        "createTime": _OUTPUT,
        "labels": Field("map"),
        "topics": _OUTPUT,
        "expireTime": _OUTPUT,
        "etag": _OUTPUT,
        "rotation": _OUTPUT,
        "versionAliases": _OUTPUT,
        "annotations": Field("map"),
        "versionDestroyTtl": _OUTPUT,
        "customerManagedEncryption": _OUTPUT,
        "tags": Field("map"),
    },
)

VERSION = Message(
    f"{_PACKAGE}.SecretVersion",
    {
        "name": _OUTPUT,
        "createTime": _OUTPUT,
        "destroyTime": _OUTPUT,
        "state": Field(
            Enum(
                f"{_PACKAGE}.SecretVersion.State",
                {"STATE_UNSPECIFIED": 0, "ENABLED": 1, "DISABLED": 2, "DESTROYED": 3},
            )
        ),
        "replicationStatus": _OUTPUT,
        "etag": _OUTPUT,
        "clientSpecifiedPayloadChecksum": _OUTPUT,
        "scheduledDestroyTime": _OUTPUT,
        "customerManagedEncryption": _OUTPUT,
    },
)

SECRETS_PAGE = Message(
    f"{_PACKAGE}.ListSecretsResponse",
    {"secrets": Field(SECRET, repeated=True), "nextPageToken": _OUTPUT, "totalSize": _OUTPUT},
)

VERSIONS_PAGE = Message(
    f"{_PACKAGE}.ListSecretVersionsResponse",
    {"versions": Field(VERSION, repeated=True), "nextPageToken": _OUTPUT, "totalSize": _OUTPUT},
)

ACCESS = Message(f"{_PACKAGE}.AccessSecretVersionResponse", {"name": _OUTPUT, "payload": _OUTPUT})
