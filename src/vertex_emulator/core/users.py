"""Users of this machine, as people know them."""

import pwd


def describe_user(user: int) -> str:
    """The ID of a user, and the name where it has one: `1000 (alice)`."""
    try:
        return f"{user} ({pwd.getpwuid(user).pw_name})"
    except KeyError:
        return str(user)
