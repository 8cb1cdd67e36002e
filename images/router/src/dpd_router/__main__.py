"""`python -m dpd_router` is the same as the `dpd-router` command."""

from dpd_router.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
