"""Facts that texts state of other works: precision and recall with and without `item_mentions`.

    python examples/extraction/other_works.py tests/text/other_works.toml

A file has `relations`, which are scored, and texts with `domain`, `title`, `text` and `facts`. With
`--declared` the domains are read without their rules, by their declarations.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

from kgrec.schema import load_schema
from kgrec.text.pipeline import ItemText
from kgrec.text.sources.chosen import ComponentSettings, open_components, without_facts
from kgrec.text.sources.fusion import FusionCounts, read_beside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--declared", action="store_true", help="by declarations, without rules")
    parser.add_argument("--show", action="store_true", help="what is wrong and what is missed")
    parser.add_argument("--seen", action="store_true", help="the texts that are not unseen alone")
    options = parser.parse_args()
    content = tomllib.loads(options.file.read_text(encoding="utf-8"))
    groups = defaultdict(list)
    for text in content["texts"]:
        if not (options.seen and text.get("unseen")):
            groups[text.get("domain", content.get("domain"))].append(text)
    finders = ("declared",) if options.declared else ("ner", "rules")
    counts: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    for name, texts in groups.items():
        domain = load_schema().domain(name)
        scored = content.get("relations") or sorted(domain.facts)
        items = [ItemText(str(n), one["title"], one["text"]) for n, one in enumerate(texts)]
        for way, listed in (("without", finders), ("with", (*finders, "item_mentions"))):
            parts = open_components(domain, ComponentSettings(components=listed))
            extractor = parts.extractor(dict)
            reading = without_facts(items) if extractor is None else extractor.read(items)
            read = read_beside(
                reading, parts.sources, domain, FusionCounts(), mentions=parts.mentions
            )
            for one, found in zip(texts, read, strict=True):
                facts = {f"{f.relation} {f.entity_name}" for f in found.facts}
                facts = {fact for fact in facts if fact.split()[0] in scored}
                gold = set(one["facts"])
                gold = {fact for fact in gold if fact.split()[0] in scored}
                count = counts[way, bool(one.get("unseen"))]
                count.update(found=len(facts), right=len(facts & gold), wanted=len(gold))
                if options.show and way == "with" and facts != gold:
                    wrong, missed = sorted(facts - gold), sorted(gold - facts)
                    print(f"{name}: {one['title']}: wrong {wrong}, missed {missed}")
    for (way, unseen), count in counts.items():
        precision = count["right"] / max(count["found"], 1)
        recall = count["right"] / max(count["wanted"], 1)
        row = {"item_mentions": way, "unseen": unseen, **count}
        print(json.dumps({**row, "precision": round(precision, 3), "recall": round(recall, 3)}))


if __name__ == "__main__":
    main()
