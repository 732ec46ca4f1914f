"""The login of gcloud: a made-up service account, whose tokens come from the emulator.

Google's libraries take it for a real one. Without any credentials, gcsfs looks for
a metadata server for 15 s in every process.
"""

import json
import sqlite3
from configparser import ConfigParser
from contextlib import closing
from pathlib import Path


def activate_in_gcloud(folder: Path, key_file: Path) -> None:
    """Activate an account in gcloud, as `gcloud auth activate-service-account` does.

    gcloud takes a second and more to do it; what it writes is the same since its version 161.
    https://cloud.google.com/sdk/docs/configurations

    Args:
        folder: `CLOUDSDK_CONFIG`, which gcloud has not used yet.
        key_file: The account's key.
    """
    key = json.loads(key_file.read_text("utf-8"))
    account = key["client_email"]
    configuration = ConfigParser(interpolation=None)
    configuration["core"] = {"account": account, "project": key["project_id"]}
    configurations = folder / "configurations"
    configurations.mkdir(mode=0o700)
    with (configurations / "config_default").open("w", encoding="utf-8") as stream:
        configuration.write(stream)
    (folder / "active_config").write_text("default", "utf-8")
    store = folder / "credentials.db"
    store.touch(mode=0o600)
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)")
        database.execute("INSERT INTO credentials VALUES (?, ?)", (account, json.dumps(key)))
