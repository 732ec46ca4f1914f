"""Serves ZenML's own server application on the socket that is this process's standard input.

Uvicorn's `--fd` would do the same with every answer 40 ms late: it takes the socket
for a Unix one, and leaves Nagle's algorithm on.
"""

import socket
import sys

import uvicorn

from zenml_vertex.local_stack.processes.servers import STAGE


def main() -> None:
    """Serve until SIGTERM."""
    listener = socket.socket(fileno=sys.stdin.fileno())
    _begin("importing ZenML (a minute or more the first time)")
    from zenml.zen_server.zen_server_api import app

    _begin("preparing its database")
    _answer_survey()
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


def _begin(stage: str) -> None:
    sys.stdout.write(f"{STAGE}{stage}\n")
    sys.stdout.flush()


def _answer_survey() -> None:
    """Let the dashboard begin with the pipelines, and not with a survey and a newsletter.

    The server takes `email_opted_in` from no request (`update_user` of
    zenml.zen_server.routers.users_endpoints leaves it out), but its database does.
    """
    from zenml.config.global_config import GlobalConfiguration
    from zenml.constants import FINISHED_ONBOARDING_SURVEY_KEY
    from zenml.models import UserFilter, UserUpdate

    # The store that the application takes when it starts.
    store = GlobalConfiguration().zen_store
    answers = UserUpdate(email_opted_in=False, user_metadata={FINISHED_ONBOARDING_SURVEY_KEY: True})
    for user in store.list_users(UserFilter()).items:
        store.update_user(user.id, answers)


if __name__ == "__main__":
    main()
