"""`dpd explain`: what a field is and what it does here, from the contract's schema and the ledger of fields.

`names` (what people type → a path) → `fields` (a path → the field, its children, its likes) → `text`. Only `command`
does any I/O.
"""
