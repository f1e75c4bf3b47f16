"""A Ray cluster that texts are read on: one that is there, or one of this machine alone.

A cluster that is started here lives as long as the block. Its ports are bound to loopback and take
a token that no file holds; it has no dashboard, and reports nothing to anybody.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from kgrec.errors import ClusterError

ADDRESS = "RAY_ADDRESS"
"""The variable of Ray that names a cluster."""
_STORE_BYTES = 128 * 2**20
_FOLDER = "kgrec-ray-"
_ANSWER_S = 10.0
_LONGEST_FOLDER = 40
"""Characters; Ray adds some sixty for its sockets, whose names have a hundred at most."""


@contextmanager
def ray_cluster(address: str | None = None, processes: int | None = None) -> Iterator[int]:
    """Be connected to a cluster inside the block; yield how many workers are to read there.

    Args:
        address: `host:port` of a cluster; that of RAY_ADDRESS when absent, and without either a
            cluster is started on this machine. One that the process is connected to is used as
            it is.
        processes: workers; as many as the cluster has processors when absent.

    Raises:
        ImportError: Ray is not installed.
        ClusterError: the cluster cannot be reached or started.
    """
    joined = sys.modules.get("ray")
    if joined is not None and joined.is_initialized():
        yield processes or _processors(joined)
        return
    address = address or os.environ.get(ADDRESS) or "local"
    _check_answers(address)
    with _environment(_own_settings() if address == "local" else {}), _sigterm_kept():
        import ray  # reads the environment

        folder = _own_folder() if address == "local" else None
        try:
            _connect(ray, address, processes, folder)
            with _silent(ray):
                yield processes or _processors(ray)
        finally:
            ray.shutdown()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def _connect(ray: Any, address: str, processes: int | None, folder: str | None) -> None:
    options: dict[str, Any] = {}
    if folder is not None:
        options = {"num_cpus": processes, "object_store_memory": _STORE_BYTES}
        options["include_dashboard"] = False
        if len(folder) <= _LONGEST_FOLDER:
            options["_temp_dir"] = folder
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it announces its defaults as warnings
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False, **options)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        if folder is None:
            raise _unreachable(address, lines[0]) from None
        raise ClusterError(
            f"Ray cannot be started on this machine ({lines[0]})",
            remedy="Check its memory and disk, or name a cluster: --ray-address host:port.",
        ) from None
    finally:
        logger.setLevel(level)


def _check_answers(address: str) -> None:
    """Refuse an address where nothing answers, which Ray would try for many minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()
        except (OSError, OverflowError) as error:
            raise _unreachable(address, str(error)) from None


def _unreachable(address: str, reason: str) -> ClusterError:
    return ClusterError(
        f"the Ray cluster cannot be reached ({reason})",
        value=address,
        remedy=f"Check the address (--ray-address, {ADDRESS}), and whether the cluster runs there "
        "with the same releases of Ray and Python.",
    )


def _processors(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _own_folder() -> str:
    """Return a new folder for logs and sockets; those of processes that were killed are removed."""
    for other in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        owner = other.name.removeprefix(_FOLDER).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(other, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-")


def _own_settings() -> dict[str, str]:
    """Return what a cluster of this machine alone is started with, by variable of Ray."""
    return {
        "RAY_USAGE_STATS_ENABLED": "0",
        # Elsewhere than on Linux this is the default: no node but this, and loopback alone.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_TOKEN": _token(),
        "RAY_worker_niceness": "0",  # as this process; workers are 15 behind all others by default
    }


@cache
def _token() -> str:
    """Return what clusters of this process ask for; Ray remembers the first one."""
    return secrets.token_hex(32)


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set variables that are not set inside the block, and leave all as they were."""
    before = dict(os.environ)
    os.environ.update({name: value for name, value in settings.items() if name not in before})
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            if name.startswith("RAY_"):
                del os.environ[name]


@contextmanager
def _silent(ray: Any) -> Iterator[None]:
    """Keep what happens in the cluster off the standard output; no setting of Ray does.

    Workers that die are reported by `kgrec.text.workers`.
    """
    place = ray._private.worker
    place._worker_logs_enabled = False
    try:
        yield
    finally:
        place._worker_logs_enabled = True


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Put back how the process ends on SIGTERM, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
