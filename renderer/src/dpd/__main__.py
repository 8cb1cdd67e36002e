"""`python -m dpd`: the same as the `dpd` command."""

from dpd.cli import main

raise SystemExit(main())
