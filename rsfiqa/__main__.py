"""`python -m rsfiqa`."""

import sys

from rsfiqa.cli import main

sys.exit(main())
