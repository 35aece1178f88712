"""A PostgreSQL cluster that lives as long as a test run, made with the server's own programs."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import subprocess
from pathlib import Path


def binary(name: str) -> str:
    """The path of a PostgreSQL program; Debian keeps them outside the PATH."""
    candidates = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = str(candidates[-1]) if candidates else shutil.which(name)
    if not found:
        raise RuntimeError(f"PostgreSQL's {name} is missing: tests/install_parts.sh installs it")
    return found


class Cluster:
    """One server on a socket in `folder`; the server refuses to run as root, so root lends it another name.

    Only a `durable` one waits until a commit is on the disk; tests have no use for that.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self.fsync = "on" if durable else "off"
        self.user = getpass.getuser() if os.getuid() else _unprivileged()
        self.url = f"postgres://{self.user}@/{folder}/postgres"

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        if os.getuid() == 0:
            # The server must be able to walk into its folder.
            self.folder.parent.chmod(0o755)
            shutil.chown(self.folder, self.user)
        self._run(
            "initdb", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-D", str(self.folder / "data")
        )
        self.start_again()

    def start_again(self) -> None:
        """Start the server on the data that it had."""
        options = f"-k {self.folder} -c listen_addresses= -c fsync={self.fsync} -c max_connections=100"
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "-w", "-D", str(self.folder / "data"), "-l", log, "-o", options)

    def create(self, name: str) -> str:
        """Make a fresh database `name`; answers its address."""
        for statement in (f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}"):
            self._run("psql", "-h", str(self.folder), "-d", "postgres", "-c", statement)
        return f"postgres://{self.user}@/{self.folder}/{name}"

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.folder / "data"))

    def _run(self, program: str, *arguments: str) -> None:
        account = self.user if os.getuid() == 0 else None
        command = [binary(program), *arguments]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, user=account)


def _unprivileged() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
