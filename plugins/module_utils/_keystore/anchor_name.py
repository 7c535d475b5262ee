# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file of an authority of ours among the system's anchors: who undoes a run needs to know whose it is."""

from __future__ import annotations


def name_anchor(fingerprint: str) -> str:
    """Name of the file with an authority of ours; update-ca-certificates takes none that does not end in .crt."""
    return f"collab-rtc-{fingerprint[:16]}.crt"
