# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole configurations in real servers: what the reader says of each request is what becomes of it."""

from __future__ import annotations

import collections
import os
from pathlib import Path

import pytest
from proxies import figures
from proxies.conftest import PROGRAMS
from proxies.differential import Differential

OWN = Path(__file__).parent / "data"
HEADING = ("files", "server", "loaded", "not loaded", "requests", "passed on", "kept", "not told", "disagreements")


@pytest.fixture
def differential(certificates, tmp_path, request):
    """Compares files, each with a server of its own."""
    import shutil

    from proxies.bench import Daemon

    made = []

    def make(kind):
        program = shutil.which(PROGRAMS[kind], path="/usr/sbin:/sbin:/usr/bin")
        made.append(Daemon(kind, program, tmp_path / str(len(made))))
        return made[-1]

    found = Differential(certificates, make)
    yield found
    found.close()


def compare_all(differential, title, kind, directory):
    outcomes = [differential.compare(kind, path) for path in sorted(directory.iterdir())]
    loaded = [item for item in outcomes if not item.refused]
    figures.add(
        "Live differential",
        HEADING,
        (
            title, kind, len(loaded), len(outcomes) - len(loaded), sum(item.requests for item in loaded),
            sum(item.passed for item in loaded), sum(item.kept for item in loaded),
            sum(sum(item.untold.values()) for item in loaded), sum(len(item.disagreements) for item in loaded),
        ),
    )  # fmt: skip
    for item in outcomes:
        if item.refused:
            figures.add("Not loaded", ("server", "file", "why"), (kind, item.path, item.refused))
    reasons = sum((item.untold for item in loaded), collections.Counter())
    for reason, number in reasons.most_common():
        figures.add("Not told", ("files", "server", "reason", "requests"), (title, kind, reason, number))
    wrong = [f"{item.path}: {text}" for item in loaded for text in item.disagreements]
    assert not wrong, "\n".join(wrong)
    return loaded


@pytest.mark.parametrize("kind", PROGRAMS)
def test_own_files(differential, kind):
    loaded = compare_all(differential, "own", kind, OWN / kind)
    assert len(loaded) == len(list((OWN / kind).iterdir()))
    assert sum(item.passed for item in loaded) > 100


@pytest.mark.parametrize("kind", PROGRAMS)
def test_corpus(differential, kind):
    corpus = os.environ.get("RTC_CORPUS")
    if not corpus:
        pytest.skip("RTC_CORPUS is not set")
    assert compare_all(differential, "corpus", kind, Path(corpus, kind))
