"""Runs the failing example on a local stack and draws what the terminal shows: `make picture`.

The text is the program's own. Left out are the lines between the ones below, each gap with a
mark, and whatever is wider than the picture, with an ellipsis.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parents[2]
PICTURE = Path(__file__).parent / "failing-step.svg"
COMMAND = ["zenml-vertex", "local-stack", "python", "examples/failing_step.py"]
GAP = "  ⋮"

_WIDTH = 112
# What is shown: these lines, and everything from the step's start to ZenML's own word on its end.
_ALONE = re.compile(r"Starting a ZenML server|Stack `local-vertex`|The servers are stopped")
_FIRST, _AFTER_LAST = re.compile(r"Step `\w+` has started"), re.compile(r"Step \w+ failed")
# The beginning of a line -> how it is drawn, the first that fits.
_STYLES = {
    r"Failed to run step": "bold red",
    r"Next:": "bold green",
    r"Why:|Logs:|Job:|      gcloud|Vertex AI|Step `\w+` \(job": "white",
    r"": "bright_black",
}
# A calm dark window, which reads on a light page and on a dark one.
_THEME = TerminalTheme(
    (24, 26, 33),
    (205, 209, 219),
    [(24, 26, 33), (255, 121, 121), (126, 217, 150), *[(205, 209, 219)] * 5],
    [(134, 141, 158), *[(205, 209, 219)] * 7],
)
# Rich's own format without its window's font, which would come from another server.
_FORMAT = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 16px; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def choose_lines(output: str) -> Iterator[str]:
    """The lines that the picture shows, with a mark where others are left out."""
    is_step = is_gap = False
    for line in output.splitlines():
        is_step = (is_step or bool(_FIRST.match(line))) and not _AFTER_LAST.match(line)
        if is_step or _ALONE.match(line):
            if is_gap:
                yield GAP
            yield line
            is_gap = False
        else:
            is_gap = True


def render(output: str) -> str:
    """Draw the chosen lines of an output as SVG."""
    console = Console(
        record=True, width=_WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in [f"$ {' '.join(COMMAND)}", *choose_lines(output)]:
        style = "bold white" if line.startswith("$ ") else _find_style(line)
        console.print(Text(line, style), no_wrap=True, overflow="ellipsis", soft_wrap=False)
    return console.export_svg(
        title="zenml-vertex", theme=_THEME, code_format=_FORMAT, unique_id="failing-step"
    )


def _find_style(line: str) -> str:
    return next(style for pattern, style in _STYLES.items() if re.match(pattern, line))


def main() -> int:
    """Run the command and write the picture."""
    program = str(Path(sys.executable).parent / COMMAND[0])
    ran = subprocess.run(
        [program, *COMMAND[1:]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if "Next:" not in ran.stdout:
        sys.stderr.write(ran.stdout)
        return 1
    PICTURE.write_text(render(ran.stdout), "utf-8")
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
