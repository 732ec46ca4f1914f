"""The pipeline of digits.py, with an image for its training: `python digits_image.py [PARENT]`.

What a project adds to `digits.py` where jobs run in containers: what the step
imports, and the parent image, if it is not ZenML's own.
"""

import sys
from importlib.metadata import version

from digits import digits
from zenml.config import DockerSettings
from zenml.config.docker_settings import DockerBuildConfig, DockerBuildOptions

if __name__ == "__main__":
    docker = DockerSettings(
        parent_image=sys.argv[1] if len(sys.argv) > 1 else None,
        # ZenML among the last that is installed: what comes before may have replaced
        # packages that it pins (opentelemetry, by google-api-core).
        requirements=["scikit-learn", f"zenml=={version('zenml')}"],
        # An engine without a network of its own builds too, and a VPN does no harm.
        build_config=DockerBuildConfig(
            build_options=DockerBuildOptions.model_validate({"network_mode": "host", "rm": True})
        ),
    )
    digits.with_options(settings={"docker": docker})()
