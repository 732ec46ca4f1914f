"""The `zenml.init_hooks` entry point."""


def install() -> None:
    """Make the installed plugin be the flavor `vertex` in this environment."""
