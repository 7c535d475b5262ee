# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the documents that are made from tables in the code and from the roles' argument specifications.

With ``--check``: fail when one is out of date, and write nothing.
Needs ``PYTHONPATH=.build/src``, as ``make docs`` sets it: the collection under its full name.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

import findings_doc
import roles_doc
import topologies_doc
import variables_doc

ROOT = pathlib.Path(__file__).resolve().parent.parent


def documents() -> dict[pathlib.Path, str]:
    """Path -> text of each generated document."""
    return {
        ROOT / "docs" / "findings.md": findings_doc.render(),
        ROOT / "docs" / "topologies.md": topologies_doc.render(),
        ROOT / "docs" / "variables.md": variables_doc.render(),
        **roles_doc.render_all(),
    }


def main() -> int:
    """Exit status 1: a document is not what the code says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a document is out of date")
    check = parser.parse_args().check
    stale = [
        path for path, text in documents().items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        name = path.relative_to(ROOT)
        if check:
            print(f"{name} is out of date. Run: make docs")
        else:
            path.write_text(documents()[path], encoding="utf-8")
            print(f"wrote {name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
