"""Users of this machine, as people know them."""

import pwd


def describe_user(user: int) -> str:
    """The ID of a user, and the name where it has one: `1000 (alice)`.

    Any name can be encoded as UTF-8, also one that was not written in it.
    """
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
    return f"{user} ({name.encode('utf-8', 'backslashreplace').decode('utf-8')})"
