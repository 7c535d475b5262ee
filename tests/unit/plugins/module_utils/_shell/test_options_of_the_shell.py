# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changes the meaning of all that follows makes it unknown."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._shell import evaluate


@pytest.mark.parametrize(
    "script",
    ["shopt -s nocasematch", "shopt -s extglob", "shopt -s lastpipe", "declare -n R=X", "declare -u X", "typeset -l X"],
)
def test_it_does(script):
    assert evaluate.evaluate(script + "\nX=1", {})[0].anything


@pytest.mark.parametrize(
    "script", ["shopt -s nullglob", "shopt -u extglob", "declare -x X", "declare -a X", "export -n X"]
)
def test_others_do_not(script):
    assert not evaluate.evaluate(script + "\nX=1", {})[0].anything
