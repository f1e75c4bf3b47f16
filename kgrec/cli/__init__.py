"""The command line: `kgrec GROUP`, one module a group, each imported only when it is called."""

from kgrec.cli.app import main

__all__ = ["main"]
