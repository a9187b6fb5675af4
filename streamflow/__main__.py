"""`python -m streamflow`: the same as the command `streamflow`."""

from __future__ import annotations

import sys

from streamflow.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
