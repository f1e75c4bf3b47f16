"""`python -m kgrec` is `kgrec`."""

from kgrec.cli import main

main()
