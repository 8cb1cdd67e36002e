"""What `dpd explain` does: reads the contract and the ledger out of the package, and prints."""

import json

from dpd.commands import BAD_USAGE, OK, UsageError, complain, print_text
from dpd.explain.fields import Book, UnknownFieldError
from dpd.explain.names import steps_of
from dpd.explain.text import data_of, text_of
from dpd.package import contract_schema, field_rows
from dpd.problems import short


def explain(field: str, output_format: str, *, is_schema: bool) -> int:
    """Print what there is to say of a field, or the schema. Returns the exit code."""
    schema = contract_schema()
    try:
        if is_schema and field:
            raise UsageError(f"--schema: writes the whole contract; leave out {short(field)}")
        if is_schema:
            print_text(json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
            return OK
        book = Book(schema, field_rows())
        found = book.find(steps_of(field)) if steps_of(field) else book.root
        as_json = output_format == "json"
        print_text(json.dumps(data_of(book, found), indent=1) + "\n" if as_json else text_of(book, found))
    except (UnknownFieldError, UsageError) as error:
        complain(str(error))
        return BAD_USAGE
    return OK
