"""The report as people read it: tables, then warnings with their remedies."""

from collections.abc import Sequence
from typing import Any

from dpd.sizing import GIB, gib

Report = dict[str, Any]
_KIB, _MIB = 1024, 1024**2


def text_of(report: Report) -> str:
    """Return the report as text, with a line break at the end."""
    parts = [_head(report), _memory(report)]
    if "buffer" in report:
        parts.append(_buffer(report["buffer"]))
    if "workload" in report:
        parts.append(_workload(report["workload"]))
    parts += [f"warning: {each['fact']}\n  remedy: {each['remedy']}" for each in report["warnings"]]
    return "\n\n".join(parts) + "\n"


def _head(report: Report) -> str:
    model = report["model"]
    heads = f"{model['kvHeads']} KV heads of {model['headDim']}" if model["kvHeads"] else f"rows of {model['headDim']}"
    said = [f"{model['attention']}: {model['layers']} layers, {heads}"]
    if model["windowedLayers"]:
        said.append(f"{model['windowedLayers']} layers look back {model['window']} tokens")
    if model["experts"]:
        said.append(f"{model['expertsPerToken']} of {model['experts']} experts a token")
    weights = f"{gib(model['weightsBytes'])}, {model['weightsOrigin']}" if model["weightsBytes"] else "unknown"
    types = " or ".join(report["instanceTypes"])
    return f"{report['endpoint']}: {model['name']} on {types}\n{'; '.join(said)}\nweights: {weights}"


def _memory(report: Report) -> str:
    engines = report["engines"]
    rows: list[Sequence[str]] = [("one GPU of", *(each["role"] for each in engines), "")]
    for label, key, remark in (
        ("memory", "gpu", ""),
        ("the engine may take", "engine", "--gpu-memory-utilization"),
        ("  weights", "weights", ""),
        ("  computing", "overhead", "estimated"),
        ("  left for KV", "kv", ""),
        ("beside the engine", "beside", ""),
        *((("  transfer buffer", "buffer", "PD_BUFFER_SIZE"), ("  free", "free", "")) if "buffer" in report else ()),
    ):
        rows.append((label, *(_signed(each["perGpuBytes"][key]) for each in engines), remark))
    rows.append(("one engine", *("" for _ in engines), ""))
    for label, values, remark in (
        ("  GPUs", [_gpus(each) for each in engines], "tensor x pipeline parallel"),
        ("  KV of a token, a rank", [_small(each["kvTokenBytes"]) for each in engines], ""),
        ("  KV of a token, all", [_small(each["kvTokenBytesAllRanks"]) for each in engines], ""),
        ("  tokens that fit", [f"{each['kvTokens']:,}" for each in engines], ""),
        ("  longest sequences", [_longest(each) for each in engines], "that fit, of --max-model-len"),
        ("  sequences in a step", [str(each["maxNumSeqs"]) for each in engines], "--max-num-seqs"),
    ):
        rows.append((label, *values, remark))
    return table(rows, remarked=True)


def _buffer(buffer: Report) -> str:
    place = "GPU" if buffer["onGpu"] else "host"
    size = f"{gib(buffer['bytesPerRank'])} of {place} memory on each rank of a decoder"
    pages = f"{buffer['pages']} pages of {buffer['pageTokens']} tokens, {_small(buffer['pageBytes'])} each"
    owned = "a router owns" if buffer["routers"] == 1 else f"each of {buffer['routers']} routers owns"
    how = "" if buffer["countsTokens"] else f"; uncounted, about {buffer['longestUncounted']:,}"
    lead = (
        f"transfer buffer: {size}\n"
        f"  {pages}; {owned} {buffer['pagesPerRouter']}, and one share is kept for its successor\n"
        f"  the longest prompt it lets through a prefiller: {buffer['longestDisaggregated']:,} tokens{how}"
    )
    rows: list[Sequence[str]] = [("prompt", "on a rank", "pages", "in flight", "by bytes alone")]
    for each in buffer["inFlight"]:
        size = f"{each['bytesPerRank'] / GIB:.2f} GiB"
        flying = (str(each["transfers"]), f"{each['transfersByBytes']:.1f}")
        rows.append((f"{each['promptTokens']} tokens", size, str(each["pages"]), *flying))
    return f"{lead}\n\n{table(rows)}"


def _workload(work: Report) -> str:
    lengths = f"{work['input']} tokens in and {work['output']} out" + (
        f" (spread {work['spread']:g})" * (work["spread"] > 0)
    )
    wishes = [f"{key.upper()} {value:g} s" for key, value in work["wanted"].items() if value is not None]
    met = f"; wanted: {', '.join(wishes)}: {'kept' if work['met'] else 'NOT KEPT'}" if wishes else ""
    lead = (
        f"workload: {work['rate']:g} requests a second, {lengths}; {work['requests']} simulated, seed {work['seed']}\n"
        f"  one prefiller does {work['prefillerRate']:.2f} a second, one decoder {work['decoderRate']:.2f}: "
        f"{work['prefillersPerDecoder']:.2f} prefillers for each decoder\n"
        f"  {work['prefillers']} : {work['decoders']} prefillers to decoders for this rate{met}"
    )
    rows: list[Sequence[str]] = [("", "TTFT p50", "p90", "p99", "TPOT p50", "p90", "p99")]
    together = f"{work['prefillers'] + work['decoders']} colocated"
    written = " + ".join(str(each) for each in work["written"]["replicas"])
    for label, key in (
        (f"{work['prefillers']} + {work['decoders']}", "disaggregated"),
        (together, "colocated"),
        (f"{written}, as it is written", "written"),
    ):
        rows.append((label, *_quantiles(work[key]["ttft"], 1, "s"), *_quantiles(work[key]["tpot"], 1000, "ms")))
    ways = ", ".join(f"{count} {reason}" for reason, count in sorted(work["disaggregated"]["ways"].items()))
    return f"{lead}\n\n{table(rows)}\nways of the {work['requests']}: {ways}"


def _quantiles(times: dict[str, float], factor: float, unit: str) -> list[str]:
    return [f"{times[key] * factor:.2f} {unit}" for key in ("p50", "p90", "p99")]


def table(rows: Sequence[Sequence[str]], *, remarked: bool = False) -> str:
    """Set rows in columns: the first to the left, the others to the right; `remarked`: the last to the left too."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    left = {0, len(widths) - 1} if remarked else {0}
    lines = []
    for row in rows:
        pairs = enumerate(zip(row, widths, strict=True))
        cells = [cell.ljust(width) if at in left else cell.rjust(width) for at, (cell, width) in pairs]
        lines.append("   ".join(cells).rstrip())
    return "\n".join(lines)


def _signed(count: int) -> str:
    return f"{count / GIB:.2f} GiB"


def _small(count: int) -> str:
    for size, unit in ((GIB, "GiB"), (_MIB, "MiB"), (_KIB, "KiB")):
        if count >= size:
            return f"{count / size:.2f}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{count} B"


def _gpus(engine: Report) -> str:
    return f"{engine['tensorParallel']} x {engine['pipelineParallel']}"


def _longest(engine: Report) -> str:
    if engine["maxModelLen"] is None:
        return "-"
    return f"{engine['longestSequences']} x {engine['maxModelLen']}"
