"""Processes that should have ended."""

import os
from pathlib import Path

import psutil


def find_processes(folder: Path | str) -> list[str]:
    """Return the command lines of processes that belong to a folder.

    Every process of a local stack, and every job of its emulator, has a path of its folder in
    its environment or on its command line.
    """
    return [
        " ".join(texts[0])
        for process in psutil.process_iter()
        if process.pid != os.getpid()
        and (texts := _read_texts(process))
        and any(str(folder) in text for text in (*texts[0], *texts[1]))
    ]


def _read_texts(process: psutil.Process) -> tuple[list[str], list[str]] | None:
    """Return command line and values of the environment, or None for a gone or foreign process."""
    try:
        return process.cmdline(), list(process.environ().values())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
