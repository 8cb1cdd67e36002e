"""`python -m dpd_sim`."""

from dpd_sim.cli import main

raise SystemExit(main())
