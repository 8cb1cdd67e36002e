"""A page of the documentation as a script: its commands, and what it says they print."""

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Step:
    """Commands that are run together, and what they shall print; `…` stands for anything within its line."""

    commands: str
    printed: str

    def differs(self, said: str) -> str:
        """Return the first line that is not as the page has it, or nothing."""
        lines, wanted = said.rstrip("\n").splitlines(), self.printed.splitlines()
        if wanted and wanted[-1] == "…":
            wanted, lines = wanted[:-1], lines[: len(wanted) - 1]
        if not self.printed:
            return ""
        for number, want in enumerate(wanted):
            found = lines[number] if number < len(lines) else "(nothing)"
            if not re.fullmatch(_pattern(want), _squeezed(found)):
                return f"expected: {want}\nprinted:  {found}"
        return f"printed besides: {lines[len(wanted)]}" if len(lines) > len(wanted) else ""


def steps(page: Path) -> list[Step]:
    """Return the steps of a page, in order."""
    blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
    found = []
    for index, (kind, text) in enumerate(blocks):
        if kind == "sh":
            follows = blocks[index + 1] if index + 1 < len(blocks) else ("", "")
            found.append(Step(text, follows[1] if follows[0] == "text" else ""))
    return found


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in _squeezed(line).split("…"))


def _squeezed(line: str) -> str:
    """Columns are as wide as what is in them; how wide is no difference."""
    return re.sub(r" +", " ", line).rstrip()
