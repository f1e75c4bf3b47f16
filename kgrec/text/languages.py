"""Blank spaCy pipelines by language, for texts that nothing here parses.

They split a text into words, or into characters where a language is written without spaces or its
words need a package that is not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import spacy
from spacy.language import Language
from spacy.util import compile_infix_regex

ENGLISH = "en"
MULTILINGUAL = "xx"
_CHARACTERS = "zh"
"""The blank pipeline of this language splits into characters."""
_NO_SPACES = frozenset(["zh", "ja", "ko", "th", "lo", "km", "my"])
"""Written without spaces between words, or, as Korean, with particles that are joined to names."""
_JOINED = (r"(?<=[^\W\d_])['’](?=[^\W\d_])", r"(?<=[^\W\d_])-(?=[^\W\d_])")


@dataclass(frozen=True, slots=True)
class WordForms:
    """What may follow a name, or a term such as a genre, where it is inflected.

    Attributes:
        names: endings of proper names, such as the genitive.
        terms: endings of common nouns, such as plurals.
    """

    names: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()


FORMS: dict[str, WordForms] = {
    "de": WordForms(names=("s",), terms=("s", "es", "e", "en", "n")),
    "fr": WordForms(terms=("s", "x")),
    "es": WordForms(terms=("s", "es")),
    "pt": WordForms(terms=("s", "es")),
    "nl": WordForms(names=("s",), terms=("s", "en")),
    "sv": WordForms(names=("s",)),
    "da": WordForms(names=("s",)),
    "nb": WordForms(names=("s",)),
}
"""By language; those that are not here have no forms but elided articles and apostrophes."""


def code_of(language: str) -> str:
    """Return the code of a language without its region: `de` for `de-AT` or `DE`."""
    code = re.split(r"[-_]", language.strip().lower())[0]
    return ENGLISH if code == "eng" else code


def is_english(language: str) -> bool:
    """Whether texts of a language are parsed."""
    return code_of(language) == ENGLISH


@lru_cache(maxsize=32)
def note_on(language: str) -> str:
    """Return what is to be known of how a language is split into words; empty where nothing is."""
    code = code_of(language)
    if code in _NO_SPACES:
        return ""
    if _class_of(code) is None:
        known = f"the language {language!r} is not known, or its words need a package"
        return f"{known}: it is read as {MULTILINGUAL} (any)"
    return ""


def blank_pipeline(language: str) -> Language:
    """Return a pipeline that splits texts of a language; of an unknown one by spaces and signs."""
    code = code_of(language)
    if code in _NO_SPACES:
        return spacy.blank(_CHARACTERS)
    nlp = spacy.blank(code if _class_of(code) is not None else MULTILINGUAL)
    infixes = [*(nlp.Defaults.infixes or ()), *_JOINED]
    tokenizer: Any = nlp.tokenizer
    tokenizer.infix_finditer = compile_infix_regex(infixes).finditer
    return nlp


def forms_of(language: str) -> WordForms:
    """Return the word forms of a language."""
    found = _class_of(code_of(language))
    return FORMS.get(code_of(language), FORMS.get(found or "", WordForms()))


def _class_of(code: str) -> str | None:
    """Return the language of spaCy that a code means, None where it has none that splits texts."""
    try:
        return spacy.blank(code).lang if re.fullmatch(r"[a-z]{2,3}", code) else None
    except ImportError:
        return None
