"""`python -m dpd_operator`."""

import sys

from dpd_operator.cli import main

sys.exit(main())
