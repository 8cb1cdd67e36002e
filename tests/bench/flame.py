"""Beside the steps: where the router's time goes under load. Writes the section, and docs/flame.svg.

Usage: python -m bench.flame. py-spy looks at the router from outside, a few hundred times a second; what the system
does for a call is counted as that call's. Needs the right to trace a process: root, or a ptrace scope of 0.
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench.cases import REQUESTS, SOURCES
from bench.measure import build, command, standing
from bench.peers import VERSIONS, installed_program
from bench.record import Record, Table, installed, write
from support.paths import ROOT

SECONDS, RATE, SHARE = 20, 400, 50.0
CASE = REQUESTS[1]
PICTURE = "docs/flame.svg"
STAGES = {
    "sockets: writing to the engine": "Outbox._send",
    "sockets: writing to the client": "Exchange.write",
    "the loop: waiting, reading, timers": "Runner.run",
    "parsing requests": "RequestReader.feed",
    "the body: JSON, what it asks for": "FastPath._plain",
    "estimate of its length": "estimate",
    "choice of a worker": "Chooser.answering",
    "the answer's head, read": "answer_head",
    "the answer's head, written": "Exchange.start_plain",
    "metrics, access log": "Accounts.report",
    "lines of what was decided": "Log.of",
    "log lines, put into words and written": "Log.flush",
}
OWN = ("Runner.run",)
"""Of these only their own time counts: all else is below them."""
TRIED = [
    "Three costs stand out, and this was tried against each. **Writing to sockets** is the system's own work, which "
    "every proxy has; what could be saved were writes. A head goes out with the first piece of its body, and log lines "
    "go out together: two or three writes for a request instead of five. **What a request needs before it is sent** "
    "(parsing, JSON, the estimate, the choice): parsers live as long as their connection, headers are looked at once, "
    "targets are remembered. **What is told about it** (events, metrics, log lines): counters are plain dictionaries "
    "that become the client library's families when somebody looks, which took 9 % off the router's own time; looking "
    "for reference cycles was 8 % of it, and is done less often. All of it together took between a fifth and a third "
    "off a small request; sorting headers once where they come in, taking idle connections and estimates without "
    "waiting, and passing a stream's pieces through fewer hands took another quarter.",
    "That left some 120 calls of Python functions and 200 of C's, none of which took a twentieth, so what was tried "
    "last is a way for plain requests with fewer of them (`dpd_router.fastpath`): no task and no waking of one, no "
    "events where what they would say is known, no parsing of a head that the same bytes had before, the pieces of "
    "a stream straight from the engine's socket to the client's. What is decided, counted and told is the same. It "
    "took two thirds off the router's own work for a small request, four tenths off an event's, and a quarter off a "
    "stream's memory. What was left of it was choosing a worker (a quarter, most of it the hash of the "
    "prompt's beginning), the request's and the answer's heads, three lines of log and the metrics.",
    "**What is compiled.** With the work spread over a hundred small functions, none of which takes a twentieth, only "
    "what makes all of them cheaper helps. Cython compiles the package as it stands and makes it a sixth slower, for "
    "the interpreter's own short cuts to attributes are lost. mypyc knows the types, and where classes and their "
    "attributes are its own it takes a fifth off a small request among 64. So the image has those modules compiled "
    "that every request runs through, from the same sources (decision 42 of the [architecture](architecture.md)); the "
    "column of what is not compiled says what that is worth. They call each other straight, and not by the table "
    "through which others could replace a library's functions, for another 3 %. Python 3.12 and 3.13 took between "
    "nothing and a tenth; all else is tested on 3.11, so they are not in.",
    "**Where a compiled request's instructions go** no profiler of Python says. Probes on the interpreter's own "
    "functions do, by counting who calls them, and callgrind, which counts instructions and so is deaf to what else "
    "the machine does: 166 thousand for a request among 64, of which 70 were found to be for nothing. Of 116 "
    "attributes looked up by name 90 were those of a few structures that every request has: plain classes of the "
    "compiled modules now. The prompt's beginning was hashed twice, by a digest and by Python: it is summed once, and "
    "the throws at the ring come from that sum by a few multiplications. A member of an enumeration costs as much as "
    "five attributes and is looked up once; two functions had been left to the interpreter; the numbers of a log line "
    "were rounded and printed by way of the shortest decimal that reads the same. A request among 64 costs a quarter "
    "less, one alone a seventh.",
    "What costs a microsecond when nothing else runs costs two or three between two system calls, when its code has "
    "left the processor's caches. So what a request has to tell is put into words when the lines are written and "
    "counted when 64 have ended or somebody looks, many together, and a piece of a stream that is one whole chunk is "
    "told by its two ends and not parsed: that took two thirds off what an event cost beyond the bare relay. Requests "
    "to engines are sent together at the end of a turn while eight or more are under way: an engine that is being "
    "woken is not woken again, which takes a twelfth off a request among 64; it would put an eighth on one alone.",
    "Of an event nearly all is the system's: a read, a write, and the segment that acknowledges what was read. The "
    "last is what could be saved: a stream's connection to its engine is in the system's interactive mode, where "
    "pieces are acknowledged two at a time or with what is sent, which takes a twelfth off.",
]


def main() -> int:
    """Entry point."""
    build()
    spy = installed_program("py-spy")
    with tempfile.TemporaryDirectory(prefix="dpd-bench-") as name, standing(SOURCES, CASE) as there:
        load = subprocess.Popen(command(there.port, CASE, SHARE), stdout=subprocess.DEVNULL)
        try:
            stacks = Path(name) / "stacks"
            for form, file in (("raw", stacks), ("flamegraph", ROOT / PICTURE)):
                look = ["record", "-p", str(there.pid), "-d", str(SECONDS), "-r", str(RATE), "-F", "-f", form, "-o"]
                subprocess.run([*spy, *look, str(file)], check=True, stdout=subprocess.DEVNULL)
            own, within, count = read(stacks.read_text())
            _name(ROOT / PICTURE)
        finally:
            load.kill()
            load.wait()
    print(write(record(own, within, count)))
    return 0


def _name(picture: Path) -> None:
    """Call the picture by what it shows, and not by the command with this machine's paths."""
    svg = picture.read_text(encoding="utf-8")
    picture.write_text(re.sub(r'(<text id="title"[^>]*>)[^<]*', rf"\1The router under load: {CASE.name}", svg), "utf-8")


def read(stacks: str) -> tuple[Counter[str], Counter[str], int]:
    """Return samples by function, its own and with all below it, and how many there are; of lines `a;b;c 3`."""
    own, within, total = Counter[str](), Counter[str](), 0
    for line in stacks.splitlines():
        frames, _, number = line.rpartition(" ")
        names = [frame.partition(" (")[0] for frame in frames.split(";")]
        total += int(number)
        own[names[-1]] += int(number)
        within.update(dict.fromkeys(names, int(number)))
    return own, within, total


def record(own: Counter[str], within: Counter[str], count: int) -> Record:
    """Return the page's section."""
    parts = {title: (own if name in OWN else within)[name] / count for title, name in STAGES.items()}
    rows = sorted(parts.items(), key=lambda each: -each[1])
    rest = 1 - sum(parts.values())
    shares = [["part of a request", "share"], *([title, f"{share:.0%}"] for title, share in rows)]
    return Record(
        name="profile",
        title="Where the time goes",
        place=2,
        command="python -m bench.flame",
        text=[
            f"The router under load ({CASE.name}), sampled {count} times; the [flame graph](flame.svg) has every "
            "function, and what the system does for it. This is the router as its sources are: of what is compiled in "
            "its image a profiler of Python sees nothing.",
            *TRIED,
        ],
        tables=[Table([*shares, ["going from one to the other, and the rest", f"{rest:.0%}"]])],
        versions={**installed("uvloop", "httptools", "msgspec"), "py-spy": VERSIONS["py-spy"]},
        data={"own": dict(own.most_common(40)), "within": dict(within.most_common(60)), "samples": count},
    )


if __name__ == "__main__":
    sys.exit(main())
