"""docs/contract.md: the ledger as people read it, one table per object of the spec, in the contract's order."""

from schemagen.ledger import ITEMS, WARNINGS, Field, fields
from schemagen.sources import Sources

_TEMPLATES = "charts/dpd/templates/"
_FOLDERS = ("charts/", "images/", "renderer/", "schemas/")
_HEADING = """<!-- Generated from schemas/ by `make generate`; do not edit. -->

# The contract: what every field does here

Each field of an InferenceEndpointConfig's `spec` is in one of these tables: what happens because of it and which file
does it, or that nothing does and why. `dpd render` warns of each field that is set and has no effect. A test sets every
field in turn and looks at the manifests, so this page cannot fall behind. Types, defaults and constraints are in
[the reference](reference/endpoint.md); the status, which the operator writes, is there too.
"""


def contract_page(sources: Sources) -> str:
    """Return the page, as Markdown."""
    found = fields(sources)
    speaking = [each for each in found if each.row or each.is_leaf]
    owners = dict.fromkeys(each.owner for each in speaking if not each.covered)
    counts = _counts([each for each in found if each.is_leaf], found)
    return "\n".join([_HEADING, counts, *(_section(owner, speaking) for owner in owners)])


def spoken(path: tuple[str, ...]) -> str:
    """Return a path as people write it: `spec.tags[].name`."""
    return "spec." + ".".join(path).replace(f".{ITEMS}", ITEMS)


def _counts(leaves: list[Field], found: list[Field]) -> str:
    silent = {"not-drawn": 0, "no-effect": 0}
    speakers = [each for each in found if each.row and each.warning and "does" not in each.row]
    for leaf in leaves:
        for speaker in speakers:
            if leaf.path[: len(speaker.path)] == speaker.path and speaker.row:
                silent[next(key for key in WARNINGS if key in speaker.row)] += 1
    drawn = len(leaves) - sum(silent.values())
    parts = [
        f"{len(leaves)} fields, each counted once per place it may stand: {drawn} take effect",
        f"{silent['not-drawn']} are not drawn yet",
        f"{silent['no-effect']} have no effect here",
    ]
    return ", ".join(parts) + ".\n"


def _section(owner: str, speaking: list[Field]) -> str:
    here = [each for each in speaking if each.owner == owner and not each.covered]
    places = dict.fromkeys(spoken(each.path[:-1]) if each.path[1:] else "spec" for each in here)
    rows = dict.fromkeys(_row(each) for each in here)
    lead = f"In {', '.join(f'`{place}`' for place in places)}." if owner != "Spec" else "In `spec` itself."
    return f"## {owner}\n\n{lead}\n\n| field | what it does here | where |\n| --- | --- | --- |\n{''.join(rows)}"


def _row(field: Field) -> str:
    row = field.row or {}
    said = [row.get("does", ""), _warning(field)]
    text = " ".join(each for each in said if each).replace("|", "\\|")
    return f"| `{field.path[-1]}` | {text} | {_where(row.get('where', []))} |\n"


def _warning(field: Field) -> str:
    row = field.row or {}
    if not field.warning:
        return ""
    remedy = f"; {row['remedy']}" if "remedy" in row else ""
    values = ", ".join(f"`{each}`" if each != "" else "empty" for each in row.get("unless", []))
    scope = f" (unless {values})" if values else ""
    return f"{field.warning[0].upper()}{field.warning[1:]}{remedy}{scope}."


def _where(where: str | list[str]) -> str:
    files = [where] if type(where) is str else list(where)
    return ", ".join(f"[{each.rpartition('/')[2]}](../{source_file(each)})" for each in files)


def source_file(where: str) -> str:
    """Return the file a row names, from the repository's root."""
    return where if where.startswith(_FOLDERS) else _TEMPLATES + where
