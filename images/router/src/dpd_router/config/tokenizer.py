"""The section `routing.tokenizer`: how prompts are counted."""

from dataclasses import dataclass

from dpd_router.config.section import Section

MODES = ("estimate", "file", "engine")


@dataclass(frozen=True, slots=True)
class TokenizerSettings:
    """`path` is the folder of `mode` file; `seconds` is how long a count may take."""

    mode: str
    path: str
    seconds: float
    threads: int


def read_tokenizer(routing: Section, *, ids_wanted: bool) -> TokenizerSettings:
    """Return the section. Where token ids are wanted and nothing is said, an engine is asked."""
    with routing.section("tokenizer") as section:
        mode = section.text("mode", "engine" if ids_wanted else "estimate", MODES)
        path = section.text("path", "/etc/dpd-tokenizer")
        seconds, threads = section.seconds("timeoutSeconds", 0.5, 0.001, 60), section.integer("threads", 2, 1, 64)
        if ids_wanted and mode == "estimate":
            section.problem("mode", "estimate yields no token ids, and kvaware needs them", "use engine or file")
        return TokenizerSettings(mode, path, seconds, threads)
