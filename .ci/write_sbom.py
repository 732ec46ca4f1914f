"""Writes what a wheel and its extras install, as a bill of materials (CycloneDX 1.5).

`write_sbom.py WHEEL`: beside the wheel, under its name. The versions are those of constraints.txt.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
UV = str(Path(sys.executable).with_name("uv"))


def main(wheel: Path) -> None:
    """Write it; an AssertionError names what constraints.txt does not pin."""
    pins = re.findall(
        r"^\w[^\\\n]*[^\\\s]", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE
    )
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    version = wheel.name.split("-")[1]
    assert 'dynamic = ["version"]' in project
    project = project.replace('dynamic = ["version"]', f"version = {json.dumps(version)}")
    target = wheel.with_suffix(".cdx.json")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(
            f"{project}\n[tool.uv]\nconstraint-dependencies = {json.dumps(pins)}\n", "utf-8"
        )
        subprocess.run(
            [
                UV, "export", "--quiet", "--project", folder, "--no-dev", "--all-extras",
                "--preview-features", "sbom-export", "--format", "cyclonedx1.5",
                "--output-file", target,
            ],
            stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
    bill = json.loads(target.read_text("utf-8"))
    assert bill["metadata"]["component"]["version"] == version
    listed = {f"{item['name']}=={item['version']}" for item in bill["components"]}
    unpinned = listed - {pin.split()[0] for pin in pins}
    assert not unpinned, unpinned


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
