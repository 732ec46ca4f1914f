"""ZenML's built-in flavor `vertex`, whether or not this package has taken its place."""

from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

from zenml.config.source import Source
from zenml.models import FlavorRequest
from zenml.stack import Flavor

from zenml_vertex_init_hook import BUILTIN_MODULE, FLAVOR_CLASS

BUILTIN_SOURCE = f"{BUILTIN_MODULE}.{FLAVOR_CLASS}"
_INTEGRATION = "gcp"


def load_builtin_flavor() -> Flavor:
    """ZenML's built-in flavor.

    Its module is executed once more, beside the one that everybody imports: the
    class refers to the config class by the name in its own module.

    Raises:
        ModuleNotFoundError: If ZenML has it no more.
    """
    package = import_module(BUILTIN_MODULE.rpartition(".")[0])
    spec = PathFinder.find_spec(BUILTIN_MODULE, package.__path__)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {BUILTIN_MODULE!r}", name=BUILTIN_MODULE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    flavor_class = getattr(module, FLAVOR_CLASS)
    # ZenML would look the class up under its name, where it is not while it is replaced.
    flavor_class.__zenml_source__ = Source.from_import_path(BUILTIN_SOURCE)
    flavor: Flavor = flavor_class()
    return flavor


def describe_builtin() -> FlavorRequest:
    """The record that ZenML itself writes of its flavor."""
    return load_builtin_flavor().to_model(integration=_INTEGRATION, is_custom=False)
