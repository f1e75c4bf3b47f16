"""A PostgreSQL of its own, where the programs of one are on this machine."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "kgrec"


def programs() -> Path | None:
    """Return the folder of initdb and postgres, None where there is none that may run."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in folders if (one / "initdb").exists()), None)


@contextmanager
def postgres() -> Iterator[tuple[str, str]]:
    """Run a server; yields host and port, and the password of `USER`."""
    bin_folder = programs()
    assert bin_folder is not None
    folder = Path(tempfile.mkdtemp(prefix="kgrec-postgres-"))
    password = secrets.token_hex(8)
    (folder / "password").write_text(password)
    # The programs refuse to run as root.
    as_user: dict[str, str] = {}
    if os.geteuid() == 0:
        as_user = {"user": "postgres"}
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = str(folder / "data")
    options = ["-A", "scram-sha-256", "-U", USER, "--pwfile", str(folder / "password"), "-N"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "cwd": folder}
    try:
        subprocess.run(
            [bin_folder / "initdb", "-D", data, "-E", "UTF8", "--locale=C", *options],
            check=True,
            **quiet,
            **as_user,
        )
        command = [bin_folder / "postgres", "-D", data, "-p", str(port), "-F"]
        command += ["-c", "listen_addresses=127.0.0.1", "-k", str(folder)]
        server = subprocess.Popen(command, **quiet, **as_user)
        try:
            _wait(port, server)
            yield f"127.0.0.1:{port}", password
        finally:
            server.terminate()
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, "PostgreSQL ended at its start"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("PostgreSQL does not answer")
