"""Results as tables, for a terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comparison import Leads, best_peer, leads_of, ours, time_to_quality
from peers.registry import is_ours
from results import METRICS, Result

from kgrec.metrics.intervals import Difference

Rows = list[list[str]]


def report(results: Sequence[Result], ks: Sequence[int], *, markdown: bool) -> Iterator[str]:
    """Yield the lines about one data set."""
    ks = [k for k in ks if all(k in each.at for each in results)]
    if not ks:
        yield "The results have no length of list in common with those asked for."
        return
    shown = sorted(results, key=lambda each: -each.at[ks[0]].mean[METRICS[0]].mean)
    first = shown[0]
    dates = " to ".join(sorted({each.machine.date for each in shown}))
    place = f"{first.machine.processor}, {first.machine.cores} cores, {first.machine.gib:g} GiB"
    yield f"{'### ' if markdown else ''}{first.data}"
    yield f"{len(first.users)} test users; {place}; {dates}"
    if first.mask == "train":
        yield "Items of the validation part are ranked as well."
    kgrec = ours(shown)
    for k in ks:
        leads = {} if kgrec is None else leads_of(kgrec, shown, k)
        yield ""
        yield from layout(accuracy_rows(shown, leads, k), markdown=markdown)
        yield ""
        yield from _ahead_of_the_best(shown, leads, k)
    yield ""
    yield from layout(cost_rows(shown), markdown=markdown)
    yield ""
    yield from _notes(shown)


def accuracy_rows(results: Sequence[Result], leads: Leads, k: int) -> Rows:
    """Metrics at `k`, with how far kgrec is ahead of each."""
    rows = [["system", *(f"{name}@{k}" for name in METRICS)]]
    if leads:
        rows[0] += [f"kgrec ahead in {name} (95 %)" for name in METRICS]
    for each in results:
        mean = [each.at[k].mean[name] for name in METRICS]
        row = [each.system, *(f"{value.mean:.4f} ± {value.error:.4f}" for value in mean)]
        if leads:
            ahead = leads.get(each.system)
            row += [_interval(ahead[name]) if ahead else "" for name in METRICS]
        rows.append(row)
    return rows


def _interval(found: Difference) -> str:
    return f"{found.mean:+.4f} ({found.low:+.4f} to {found.high:+.4f})"


def _ahead_of_the_best(results: Sequence[Result], leads: Leads, k: int) -> Iterator[str]:
    for metric in METRICS:
        peer = best_peer(results, metric, k)
        if peer is None or peer.system not in leads:
            continue
        found = leads[peer.system][metric]
        relative = found.mean / max(peer.at[k].mean[metric].mean, 1e-9)
        yield (
            f"- {metric}@{k}: best peer {peer.system}; kgrec is {_interval(found)} ahead, "
            f"{relative:+.1%}, p = {found.p_value:.4f}"
        )


def cost_rows(results: Sequence[Result]) -> Rows:
    """Time and memory, and how many times as much as kgrec each takes."""
    kgrec = ours(results)
    rows = [["system", "threads", "fit and choose s", "one fit s", "CPU s", "rank s", "MiB"]]
    rows[0].append("valid")
    if kgrec is not None:
        rows[0] += ["time / kgrec", "CPU / kgrec", "memory / kgrec", "time to its quality / kgrec"]
    for each in results:
        times, mark = each.times, "" if each.times.quiet else "*"
        row = [
            each.system,
            f"{each.threads}",
            f"{times.fit:.1f}{mark}",
            f"{times.last_fit:.1f}{mark}",
            f"{times.cpu:.1f}",
            f"{times.rank:.2f}{mark}",
            f"{each.memory / 2**20:.0f}",
            f"{each.valid:.4f}",
        ]
        if kgrec is not None:
            row += [
                f"{times.fit / kgrec.times.fit:.2f}",
                f"{times.cpu / kgrec.times.cpu:.2f}",
                f"{each.memory / kgrec.memory:.2f}",
                "" if is_ours(each.system) else _to_quality(kgrec, each),
            ]
        rows.append(row)
    return rows


def _to_quality(kgrec: Result, peer: Result) -> str:
    found = time_to_quality(kgrec, peer)
    if found.ratio is None:
        return f"kgrec does not reach {found.target:.4f}"
    times = f"{found.peer_seconds:.1f} s / {found.kgrec_seconds:.1f} s"
    return f"{found.ratio:.2f} ({times}, {found.by})"


def _notes(results: Sequence[Result]) -> Iterator[str]:
    for each in results:
        chosen = ", ".join(
            f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in each.chosen.items()
        )
        told = "; ".join(filter(None, [chosen, *each.notes]))
        if told:
            yield f"- {each.system}: {told}"
    busy = [f"{each.system} {_others(each)}" for each in results if not each.times.quiet]
    if busy:
        yield f"- * other processes kept cores busy meanwhile (how many: {', '.join(busy)})"


def _others(result: Result) -> str:
    return "unknown" if result.times.others is None else f"{result.times.others:.1f}"


def layout(rows: Rows, *, markdown: bool) -> Iterator[str]:
    """Yield the lines of a table, the first row its heading, numbers to the right."""
    if markdown:
        yield f"| {' | '.join(rows[0])} |"
        yield f"|---|{'---:|' * (len(rows[0]) - 1)}"
        yield from (f"| {' | '.join(row)} |" for row in rows[1:])
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join([row[0].ljust(widths[0]), *cells]).rstrip()
