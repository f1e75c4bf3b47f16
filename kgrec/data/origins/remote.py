"""Files at addresses of fsspec, such as s3:// and https://: copied once, in a stream."""

from __future__ import annotations

import errno
import time
from typing import Any, cast

from kgrec.data.origins.address import file_name, filled, redacted, scheme_of, shown
from kgrec.data.tables.copies import LocalCopy, unwritable
from kgrec.errors import ConfigError, DataError, KGRecError
from kgrec.progress import SILENT, Progress, Task

_ATTEMPTS = 3
_PAUSE_S = 1.0
_INSTALL = {"s3": "'kgrec[s3]'", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def copy_file(address: str, progress: Progress = SILENT) -> LocalCopy:
    """Copy a file to this machine; an attempt that breaks off is made again, twice.

    Args:
        address: such as `s3://bucket/films.parquet`; `${NAME}` is a variable of the environment.

    Raises:
        ConfigError: there is no such scheme, or a package for it is not installed.
        DataError: there is no such file, or it cannot be read.
    """
    full, name = filled(address), shown(address)
    system, path = _system(full, name)
    copy = LocalCopy(file_name(full))
    with progress.task(f"copy {file_name(name)}") as task:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                _copy(system, path, copy, task)
            except Exception as error:  # the packages behind fsspec share no class of errors
                if isinstance(error, OSError) and error.errno in _FULL:
                    raise unwritable(error) from None
                if attempt == _ATTEMPTS or _is_final(error):
                    raise _failed(error, full, name) from None
                time.sleep(_PAUSE_S * attempt)
            else:
                break
    return copy


def is_there(address: str) -> bool:
    """Return whether there is a file at an address.

    Raises:
        ConfigError: as of `copy_file`.
        DataError: it cannot be found out.
    """
    full, name = filled(address), shown(address)
    system, path = _system(full, name)
    try:
        return bool(system.exists(path))
    except Exception as error:
        raise _failed(error, full, name) from None


def _system(full: str, name: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it."""
    try:
        import fsspec
    except ImportError:
        raise _lacks("fsspec", "'kgrec[remote]'") from None
    options: dict[str, Any] = {}
    if scheme_of(full) in ("http", "https"):
        try:
            import aiohttp
        except ImportError:
            raise _lacks("aiohttp", "'kgrec[remote]'") from None
        # The usual limit is five minutes for a whole file, however large.
        limits = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
        options = {"client_kwargs": {"timeout": limits}, "skip_instance_cache": True}
    try:
        found = fsspec.core.url_to_fs(full, **options)
    except ImportError as error:
        scheme = scheme_of(full)
        raise _lacks(redacted(str(error), full), _INSTALL.get(scheme, scheme)) from None
    except ValueError as error:
        raise ConfigError(
            f"the address cannot be used ({redacted(str(error), full)})",
            value=name,
            remedy="Examples: https://host/films.csv.gz, s3://bucket/films.parquet.",
        ) from None
    except Exception as error:  # some connect at once
        raise _failed(error, full, name) from None
    return cast(tuple[Any, str], found)


def _copy(system: Any, path: str, copy: LocalCopy, task: Task) -> None:
    from fsspec.callbacks import Callback

    class Shown(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            task.advance(inc)

    # Not by ranges, which some servers of HTTP do not know.
    system.get_file(path, str(copy.path), callback=Shown())


def _is_final(error: Exception) -> bool:
    """Return whether another attempt would end the same."""
    if isinstance(error, FileNotFoundError | PermissionError):
        return True
    status = _status(error)
    return 400 <= status < 500 and status not in (408, 425, 429)


def _status(error: Exception) -> int:
    return int(getattr(error, "status", 0) or 0)


def _failed(error: Exception, full: str, name: str) -> KGRecError:
    if isinstance(error, KGRecError):
        return error
    if isinstance(error, FileNotFoundError) or _status(error) in (404, 410):
        return DataError("there is no such file", value=name, remedy="Check the address.")
    if isinstance(error, PermissionError) or _status(error) in (401, 403):
        return DataError(
            "the file may not be read",
            value=name,
            remedy="Give credentials by the environment: as the service has them (AWS_PROFILE, "
            "AWS_ACCESS_KEY_ID), or as ${NAME} in the address.",
        )
    reason = f"HTTP {_status(error)}" if _status(error) else redacted(str(error), full)
    reason = reason or type(error).__name__
    return DataError(f"the file cannot be read ({reason})", value=name)


def _lacks(what: str, package: str) -> ConfigError:
    return ConfigError(
        "a package that this address needs is not installed",
        value=what,
        remedy=f"Run `pip install {package}`.",
    )
