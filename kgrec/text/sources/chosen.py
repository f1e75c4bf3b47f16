"""The components that a user lists: which are known, and how they are built.

`names`, `ner` and `rules` are parts of the spaCy pipeline, which is not run where neither names nor
rules are listed. The others read texts beside it. A component of one's own is listed as
`package.module:name`, a function of the domain that returns a `FactSource`.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

from pydantic import Field, field_validator, model_validator

from kgrec.config import FrozenModel, Settings, load_settings
from kgrec.errors import ConfigError, KGRecError
from kgrec.schema import Domain
from kgrec.text.language_model import ChatEndpoint
from kgrec.text.languages import ENGLISH, is_english, note_on
from kgrec.text.models import SPACY_MODEL
from kgrec.text.pipeline import Extractor, ItemText, TextFact, extractor_version
from kgrec.text.sources.declared import DeclaredFacts, DeclaredSettings
from kgrec.text.sources.fusion import FactSource
from kgrec.text.sources.item_mentions import ItemMentions
from kgrec.text.sources.prompted import (
    LanguageModelUse,
    PromptedFacts,
    PromptSettings,
    UsesLanguageModel,
)
from kgrec.text.sources.quantities import StatedQuantities
from kgrec.text.spellings import NameReader, Spellings, names_version

COMPONENTS: dict[str, str] = {
    "names": "names that the catalogue and the graph hold",
    "ner": "names that spaCy's recogniser finds, for the rules",
    "rules": "the rules of the domain",
    "item_mentions": "what refers to another work than the item: facts of it are left out",
    "trained": "an extractor of `kgrec extract train`",
    "quantities": "durations, dates, counts, sizes and prices, as properties of the items",
    "declared": "what the declarations of the domain alone give, by sentence vectors",
    "language_model": "a language model behind an endpoint (KGREC_LLM_URL), or on this machine",
}
"""The components, with what each is."""

_KNOWN = f"known: {', '.join(COMPONENTS)}, or package.module:name for one of your own"
_OF_SPACY = ("names", "ner", "rules")
_DEFAULT = (*_OF_SPACY, "item_mentions")
_ENGLISH_ALONE = ("ner", "rules", "declared")


class SentenceReader(Protocol):
    """What reads texts for known names and by rules, one after another."""

    version: str

    def read(
        self, texts: Iterable[ItemText], *, n_process: int = 1, batch_size: int = 64
    ) -> Iterator[tuple[ItemText, list[TextFact]]]:
        """Yield texts with the facts that they state, in their order."""


class ComponentSettings(FrozenModel):
    """Which components read a text, in the order of their precedence.

    Attributes:
        model: a spaCy pipeline: folder or installed package.
        language: code of the language of the texts; all but English are read for known names, by a
            trained extractor and by a language model.
        components: names of `COMPONENTS`, or `package.module:name` for one of your own; when
            absent the names, the recogniser, the rules, and what `trained` names.
        trained: folder of `kgrec extract train`, which finds facts beside the rules.
        trained_confidence: below it the trained extractor states nothing.
        declared: encoder and threshold of the component of this name.
        language_model: limits, prices and requests of the component of this name.
    """

    model: str = SPACY_MODEL
    language: str = ENGLISH
    components: tuple[str, ...] | None = None
    trained: Path | None = None
    trained_confidence: float = Field(default=0.0, ge=0, le=1)
    declared: DeclaredSettings = DeclaredSettings()
    language_model: PromptSettings = PromptSettings()

    @property
    def active(self) -> tuple[str, ...]:
        """The components that are used."""
        if self.components is not None:
            return self.components
        return (*_DEFAULT, "trained") if self.trained else _DEFAULT

    @property
    def reads_sentences(self) -> bool:
        """Whether the spaCy pipeline finds facts."""
        parsed = is_english(self.language) and "rules" in self.active
        return parsed or "names" in self.active

    @property
    def notes(self) -> tuple[str, ...]:
        """What does not read the language of the texts, a line each."""
        if is_english(self.language):
            return ()
        idle = [name for name in _ENGLISH_ALONE if name in self.active]
        lines = [note_on(self.language)]
        if idle:
            others = [name for name in self.active if name not in idle]
            reading = f"texts are read by: {', '.join(others) or 'no component'}"
            lines.append(f"{', '.join(idle)}: English alone, not {self.language!r}; {reading}")
        return tuple(line for line in lines if line)

    @field_validator("components")
    @classmethod
    def _known(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in names or ():
            if name not in COMPONENTS and ":" not in name:
                known = ", ".join(COMPONENTS)
                raise ValueError(
                    f"{name!r} is no component; known: {known}, or package.module:name"
                )
        if names is not None and len(set(names)) < len(names):
            raise ValueError("a component is listed twice")
        if names == ():
            raise ValueError(f"no component is listed; {_KNOWN}")
        if names is not None and not {*names} - {"ner", "item_mentions"}:
            raise ValueError("the recogniser alone states no fact; list rules or another beside it")
        return names

    @model_validator(mode="after")
    def _complete_settings(self) -> Self:
        if "trained" in self.active and self.trained is None:
            raise ValueError(
                "`trained` is a component, but no folder is given for it (trained = ...)"
            )
        return self


@dataclass(frozen=True)
class Components:
    """The components that read texts of one domain.

    Attributes:
        domain: the domain, without what is switched off.
        sources: those beside the spaCy pipeline.
        mentions: by which facts of other works are left out, where it is a component.
        version: changes when any of them finds other facts in the same text.
    """

    settings: ComponentSettings
    domain: Domain
    sources: tuple[FactSource, ...]
    version: str
    mentions: ItemMentions | None = None

    @property
    def language_model(self) -> LanguageModelUse | None:
        """What the language model did so far, None where none is a component."""
        return next((one.use for one in self.sources if isinstance(one, UsesLanguageModel)), None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What does not read the language of the texts, a line each."""
        return self.settings.notes

    @property
    def spread(self) -> Components | None:
        """Those that workers can have of their own, None where none of them finds facts.

        A language model is not among them: its limits and its answers are of one process.
        """
        own = tuple(name for name in self.settings.active if name != PromptedFacts.name)
        given = {name: getattr(self.settings, name) for name in ComponentSettings.model_fields}
        settings = ComponentSettings.model_construct(**{**given, "components": own})
        sources = tuple(one for one in self.sources if not isinstance(one, UsesLanguageModel))
        if not sources and not settings.reads_sentences:
            return None
        version = _version(self.domain, settings, sources, self.mentions)
        return Components(settings, self.domain, sources, version, self.mentions)

    def extractor(
        self,
        names: Callable[[], Mapping[str, Iterable[str]]],
        spellings: Callable[[], Spellings] = dict,
    ) -> SentenceReader | None:
        """Return the spaCy pipeline with the parts that are listed; None where none finds facts.

        Args:
            names: reads the known names, where they are a component.
            spellings: reads them for a language that is not parsed.

        Raises:
            ModelError: the pipeline is not found.
        """
        if not self.settings.reads_sentences:
            return None
        active = self.settings.active
        if not is_english(self.settings.language):
            return NameReader(self.domain, spellings(), self.settings.language)
        known = names() if "names" in active else {}
        return Extractor(self.domain, names=known, model=self.settings.model, ner="ner" in active)


def open_components(
    domain: Domain,
    settings: ComponentSettings,
    environment: Settings | None = None,
    *,
    on_failure: Callable[[str, Exception], None] | None = None,
) -> Components:
    """Load the components that are listed.

    Args:
        environment: address, name and key of the language model, and where its answers are kept;
            read from the environment when absent.
        on_failure: called with the name of a component beside the spaCy pipeline that cannot be
            loaded, and the error; it is then left out. The error is raised when absent.

    Raises:
        ModelError: a model that one of them needs is not found.
        ConfigError: a component of the user's own cannot be imported.
    """
    active = settings.active
    parsed = is_english(settings.language)
    if "rules" not in active:
        domain = domain.model_copy(update={"rules": ()})
    if "names" not in active:
        reading = domain.reading.model_copy(update={"known": ()})
        domain = domain.model_copy(update={"reading": reading})
    idle = (*_DEFAULT, *(() if parsed else _ENGLISH_ALONE))
    sources: list[FactSource] = []
    for name in active:
        try:
            if name not in idle:
                sources.append(_source(name, domain, settings, environment))
        except (KGRecError, ImportError) as error:
            if on_failure is None:
                raise
            on_failure(name, error)
            active = tuple(each for each in active if each != name)
    if active != settings.active:
        settings = settings.model_copy(update={"components": active})
    mentions = None
    if ItemMentions.name in active:
        mentions = ItemMentions(domain, settings.language, settings.model)
    version = _version(domain, settings, sources, mentions)
    return Components(settings, domain, tuple(sources), version, mentions)


def _version(
    domain: Domain,
    settings: ComponentSettings,
    sources: Sequence[FactSource],
    mentions: ItemMentions | None,
) -> str:
    parts = [source.version for source in sources]
    if mentions is not None and not mentions.idle:
        parts.append(mentions.version)
    parsed = is_english(settings.language)
    if not parsed and (settings.reads_sentences or not sources):
        parts.insert(0, names_version(domain, settings.language))
    elif settings.reads_sentences:
        parts.insert(0, extractor_version(domain, settings.model, ner="ner" in settings.active))
    return parts[0] if len(parts) == 1 else f"{parts[0]}+{_digest(parts[1:])}"


def without_facts(texts: Iterable[ItemText]) -> Iterator[tuple[ItemText, list[TextFact]]]:
    """Yield texts with no facts yet, where no sentence is parsed."""
    for item in texts:
        yield item, []


def _source(
    name: str, domain: Domain, settings: ComponentSettings, environment: Settings | None
) -> FactSource:
    if name == "trained" and settings.trained is not None:
        from kgrec.text.trained.extractor import TrainedExtractor  # imports torch
        from kgrec.text.trained.facts import TrainedFacts

        extractor = TrainedExtractor(settings.trained)
        return TrainedFacts(extractor, domain, settings.trained_confidence)
    if name == "quantities":
        return StatedQuantities(domain)
    if name == "declared":
        return _declared(domain, settings)
    if name == "language_model" and settings.language_model.local is not None:
        return _copied(domain, settings, settings.language_model.local)
    if name == "language_model":
        return _prompted(domain, settings.language_model, environment or load_settings())
    return _plugged(name, domain)


def _declared(domain: Domain, settings: ComponentSettings) -> FactSource:
    from kgrec.text.encoder import encode  # imports torch

    encoder = settings.declared.encoder
    return DeclaredFacts(domain, settings.declared, partial(encode, model=encoder), settings.model)


def _copied(domain: Domain, settings: ComponentSettings, model: str) -> FactSource:
    from kgrec.text.causal import CausalModel  # imports torch
    from kgrec.text.encoder import encode
    from kgrec.text.sources.copied import CopiedFacts

    vectors = partial(encode, model=settings.declared.encoder)
    own = settings.language_model
    return CopiedFacts(domain, own, CausalModel(model), vectors, settings.model)


def _prompted(domain: Domain, settings: PromptSettings, environment: Settings) -> PromptedFacts:
    if environment.llm_url is None or environment.llm_model is None:
        raise ConfigError(
            "the component has no language model",
            value="language_model",
            remedy="Set KGREC_LLM_URL and KGREC_LLM_MODEL, and KGREC_LLM_KEY where it needs one.",
        )
    endpoint = ChatEndpoint(
        environment.llm_url,
        environment.llm_model,
        environment.llm_key,
        timeout=settings.timeout,
        attempts=settings.attempts,
        temperature=0.0,
        max_tokens=settings.answer_tokens,
    )
    cache = environment.home / "cache" / "language_model.sqlite"
    return PromptedFacts(domain, endpoint, settings, cache)


def _plugged(name: str, domain: Domain) -> FactSource:
    module, _, attribute = name.partition(":")
    try:
        make: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"the component cannot be imported ({error})",
            value=name,
            remedy=f"These are {_KNOWN}.",
        ) from None
    source: FactSource = make(domain)
    return source


def _digest(parts: Sequence[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()
