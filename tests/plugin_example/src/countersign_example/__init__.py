"""One plugin of each kind. Importing this leaves a mark where the variable EXAMPLE_MARK says, for tests that look."""

import os
from pathlib import Path

if mark := os.environ.get("EXAMPLE_MARK"):
    with Path(mark).open("a", encoding="utf-8") as file:
        file.write("imported\n")
