"""By what the texts of a domain were read last, kept in the home for items that come later.

`kgrec extract` and the extract stage of a pipeline write it; a server reads what is folded in by
the same components, language and thresholds.
"""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path

from kgrec.config import FrozenModel, parse_config
from kgrec.errors import KGRecError
from kgrec.schema import Domain
from kgrec.text.sources.chosen import Components, ComponentSettings, open_components
from kgrec.text.sources.prompted import PromptedFacts

logger = logging.getLogger("kgrec.fold")

_LEFT_OUT = (
    "texts of new items are read without %s, %s; kgrec extract reads them again with all components"
)


class KeptReading(FrozenModel):
    """What read texts.

    Attributes:
        version: of all components together, as items that were read are marked with it.
    """

    settings: ComponentSettings = ComponentSettings()
    version: str = ""


def keep_reading(home: Path, parts: Components) -> None:
    """Keep by what the texts of a domain are read from now on; the file is replaced at once."""
    given = {name: getattr(parts.settings, name) for name in ComponentSettings.model_fields}
    if given["trained"] is not None:
        given["trained"] = given["trained"].resolve()
    settings = ComponentSettings.model_construct(**given)
    path = _path(home, parts.domain)
    content = {"settings": settings.model_dump(mode="json"), "version": parts.version}
    text = json.dumps(content, indent=1)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def kept_reading(home: Path, domain: Domain) -> KeptReading:
    """Return by what texts were read last; the default where nothing usable is kept."""
    path = _path(home, domain)
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError("no table of settings")
        return parse_config(KeptReading, content, origin=str(path))
    except FileNotFoundError:
        return KeptReading()
    except (OSError, ValueError, KGRecError) as error:
        logger.warning("texts of new items are read by the default components: %s", error)
        return KeptReading()


def components_of_server(domain: Domain, settings: ComponentSettings) -> Components | None:
    """Open the components that a server can read with; a line in the log names each other one.

    A language model is left out, since what it costs is bounded for a command, not for a server;
    so is a component that cannot be loaded here.

    Returns:
        None where none is left.
    """
    active = settings.active
    if PromptedFacts.name in active:
        logger.warning(_LEFT_OUT, PromptedFacts.name, "whose cost is bounded in commands alone")
        active = tuple(name for name in active if name != PromptedFacts.name)
    given = settings.model_copy(update={"components": active})
    parts = open_components(
        domain, given, on_failure=lambda name, error: logger.warning(_LEFT_OUT, name, error)
    )
    return parts if parts.sources or parts.settings.reads_sentences else None


def _path(home: Path, domain: Domain) -> Path:
    return home / "reading" / f"{re.sub(r'[^A-Za-z0-9_-]', '_', domain.name)}.json"
