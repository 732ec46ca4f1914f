"""Folders that hold secrets: whose they must be, and temporary ones that do not outlive their use.

What an emulator finds in its folder it runs, and what it writes there may hold tokens. So
a folder is its user's alone, and nobody else can put one in its place.
"""

import fcntl
import grp
import os
import pwd
import shlex
import shutil
import stat
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from vertex_emulator.core.users import describe_user

LOCK = "lock"
"""Name of the file in a folder that whoever works there has locked."""
OTHER_FOLDER = "Give another --data-dir."
"""What to do about a data folder that cannot be used."""

# Locked by whoever has made a temporary folder, for as long as that process lives or
# until the folder is removed; `LOCK` is released by a crash too.
_MADE = "made"
_ROOT = 0
_OPEN_TO_OTHERS = 0o077
_GROUP_WRITES, _OTHERS_WRITE, _OTHERS_ENTER = stat.S_IWGRP, stat.S_IWOTH, 0o011


class DataDirError(Exception):
    """The data folder, or a file in it, cannot be used; names it and says what to do."""


class DataDirInUseError(DataDirError):
    """Another emulator is using the same folder."""


def open_root(folder: Path) -> Path:
    """Make a data folder, or take one, for nobody but this process's user.

    Args:
        folder: Made where it is missing. One that others can enter is closed to them if it
            is empty or an emulator's.

    Returns:
        Its path without links: a link that changes later leads nobody elsewhere.

    Raises:
        DataDirError: If it cannot be made; if it is somebody else's; if others could have put
            something there, or could put another folder in its place; if others can enter it
            and it has other files.
    """
    try:
        folder = folder.resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as exc:
        # Before Python 3.13, links in a circle are a RuntimeError.
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise DataDirError(f"Cannot make {folder}: {reason}. {OTHER_FOLDER}") from exc
    _refuse_open_parents(folder, OTHER_FOLDER)
    refuse_foreign(folder, folder.stat())
    _close_root(folder)
    return folder


def close_folder(folder: Path) -> None:
    """Let nobody but the owner enter a folder below the data folder.

    Raises:
        DataDirError: If it is a link or a file, or somebody else's.
    """
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise DataDirError(f"{folder} must be a folder, and not a link. Remove it.")
    refuse_foreign(folder, status)
    if status.st_mode & _OPEN_TO_OTHERS:
        folder.chmod(0o700)


def refuse_foreign(path: Path, status: os.stat_result) -> None:
    """Refuse what another user has put into the data folder: jobs in it would be run.

    Args:
        path: A folder or file.
        status: Its status, read after it was opened where that matters.

    Raises:
        DataDirError: If it is not this process's user's.
    """
    if status.st_uid != os.geteuid():
        raise DataDirError(
            f"{path} belongs to the user {describe_user(status.st_uid)}, and the emulator runs as "
            f"{describe_user(os.geteuid())}: it would run what it finds there. {OTHER_FOLDER}"
        )


class TemporaryFolder:
    """A folder for this process's user alone, which is removed at the end of its use.

    What a process that was killed has left is removed by the next one with the same prefix.

    Args:
        prefix: Beginning of its name.
        parent: Folder that it is made in; that for temporary files by default.

    Raises:
        OSError: If there is no place for one.
        DataDirError: If others could put another folder in its place.
    """

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        _remove_abandoned(parent or Path(tempfile.gettempdir()), prefix)
        made = None
        while made is None:
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            try:
                _refuse_open_parents(self.path, "Set TMPDIR to a folder of your own.")
                # None where another process has just taken it for abandoned.
                made = _lock(self.path / _MADE, os.O_CREAT)
            except BaseException:
                shutil.rmtree(self.path, ignore_errors=True)
                raise
        self._made: int | None = made

    def keep(self) -> None:
        """Leave it to the user: neither this process nor another one will remove it."""
        (self.path / _MADE).unlink(missing_ok=True)
        self._unlock()

    def remove(self) -> None:
        """Remove it with all that is in it, also a second time."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._unlock()

    def _unlock(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            os.close(made)


def is_temporary(folder: Path) -> bool:
    """Whether a folder is, or is in, a `TemporaryFolder` that nobody keeps."""
    for parent in (folder, *folder.parents):
        with suppress(OSError):
            status = parent.stat()
            is_own = status.st_uid == os.geteuid() and not status.st_mode & _OPEN_TO_OTHERS
            if is_own and (parent / _MADE).exists():
                return True
    return False


def find_own_parent(environ: Mapping[str, str]) -> Path | None:
    """A folder for temporary ones whose names nobody else can take when they have gone.

    Args:
        environ: The user's environment.

    Returns:
        The user's folder for running programs, or for caches; None if there is neither.
    """
    folders = [environ.get("XDG_RUNTIME_DIR"), environ.get("XDG_CACHE_HOME")]
    if home := environ.get("HOME"):
        folders.append(str(Path(home) / ".cache"))
    for folder in (Path(name) for name in folders if name and Path(name).is_absolute()):
        with suppress(OSError, DataDirError):
            folder.mkdir(mode=0o700, exist_ok=True)
            status = folder.stat()
            is_open = _is_open_to_writers(status.st_mode, status.st_gid)
            if status.st_uid == os.geteuid() and not is_open and os.access(folder, os.W_OK):
                _refuse_open_parents(folder, OTHER_FOLDER)
                return folder
    return None


def _remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove the temporary folders whose makers have ended, as far as they are this user's."""
    for folder in parent.glob(f"{prefix}*"):
        # One that has gone meanwhile, or was never locked.
        with suppress(OSError), ExitStack() as locks:
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                continue
            for name, flags in ((_MADE, 0), (LOCK, os.O_CREAT)):
                descriptor = _lock(folder / name, flags)
                if descriptor is None:
                    break
                locks.callback(os.close, descriptor)
            else:
                shutil.rmtree(folder, ignore_errors=True)


def _lock(file: Path, flags: int) -> int | None:
    """Lock a file, and return its descriptor; None if it is locked, or has gone meanwhile."""
    descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), file.lstat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _close_root(folder: Path) -> None:
    """Let nobody but the owner enter the data folder.

    Raises:
        DataDirError: If others could write there, or enter it and it has files that are not an
            emulator's.
    """
    mode = folder.stat().st_mode
    if not mode & _OPEN_TO_OTHERS:
        return
    names = {path.name for path in folder.iterdir()}
    is_open = _is_open_to_writers(mode, folder.stat().st_gid)
    if is_open and not names:
        # What is there afterwards was put there in the meantime.
        folder.chmod(0o700)
        names = {path.name for path in folder.iterdir()}
    if is_open and names:
        raise DataDirError(
            f"Other users can write to {folder}: what they have put there would be run. "
            f"{OTHER_FOLDER}"
        )
    if names and LOCK not in names:
        raise DataDirError(
            f"Other users can enter {folder}, which has files that are not an emulator's. Give "
            f"another --data-dir, or run: chmod 700 {shlex.quote(str(folder))}"
        )
    folder.chmod(0o700)


def _refuse_open_parents(folder: Path, cure: str) -> None:
    """Refuse a folder that others can replace: they own one that leads to it, or can write to it.

    The owner of a sticky folder, too, can move away what is in it.

    Args:
        folder: The folder.
        cure: What to do instead.

    Raises:
        DataDirError: If so.
    """
    for parent in reversed(folder.resolve().parents):
        status = parent.stat()
        mode, owner = status.st_mode, status.st_uid
        if owner not in {os.geteuid(), _ROOT}:
            raise DataDirError(
                f"{parent} belongs to the user {describe_user(owner)}, who can put another folder "
                f"in the place of {folder}. {cure}"
            )
        is_sticky = mode & stat.S_ISVTX
        if _is_open_to_writers(mode, status.st_gid) and not is_sticky:
            command = shlex.join(["chmod", "+t", str(parent)])
            sudo = "sudo " if owner != os.geteuid() else ""
            raise DataDirError(
                f"Other users can write to {parent}, and so put another folder in the place of "
                f"{folder}. {cure} Or run: {sudo}{command}"
            )
        if not mode & _OTHERS_ENTER:
            # Nobody else comes any further.
            return


def _is_open_to_writers(mode: int, group: int) -> bool:
    """Whether others can write to a folder; a group that has its user alone is no others."""
    if mode & _OTHERS_WRITE:
        return True
    return bool(mode & _GROUP_WRITES) and not _is_private_group(group)


def _is_private_group(group: int) -> bool:
    """Whether a group is the one that many systems make for each user, and has nobody else.

    Root's is none: processes of any user have it in many containers.
    """
    try:
        found, user = grp.getgrgid(group), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    if group == _ROOT or (found.gr_name, group) != (user.pw_name, user.pw_gid):
        return False
    # A group's list of members leaves out those whose primary group it is.
    others = (other.pw_name for other in pwd.getpwall() if other.pw_gid == group)
    return {*found.gr_mem, *others} <= {user.pw_name}
