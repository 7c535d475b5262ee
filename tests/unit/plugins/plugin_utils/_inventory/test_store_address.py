# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses of stores: the controller and the RTC server take the same ones, and neither repeats a password."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import store, unit
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import store_address

ROOT = Path(__file__).resolve().parents[5]
FILE = ROOT / "files/rtc_server/src/rtc_server/store_postgres/address.py"


@pytest.fixture(scope="module")
def server():
    spec = importlib.util.spec_from_file_location("rtc_store_address", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


GOOD = [
    "postgresql://rtc@h/d",
    "postgres://rtc@h:5433/d",
    "postgresql://rtc@a,b:5433,[2001:db8::1]:1/d",
    "postgresql://rtc@%2Frun%2Fpostgresql/d",
    "postgresql://rtc@h/d?target_session_attrs=read-write&sslmode=verify-full",
    "postgresql://r%40c@h/d",
    "postgresql://rtc@h/100%25",
    f"postgresql://{'%c3%a4' * 31}@h/{'d' * 63}",
]
BAD = [
    "", "redis://h/0", "postgresql:/rtc@h/d", "postgresql://h/d", "postgresql://@h/d", "postgresql://rtc@h",
    "postgresql://rtc@h/", "postgresql://rtc@h/a/b", "postgresql://rtc@/d", "postgresql://rtc@h,/d",
    "postgresql://rtc@h:0/d", "postgresql://rtc@h:65536/d", "postgresql://rtc@h:x/d", "postgresql://rtc@::1/d",
    "postgresql://rtc@[::g]/d", "postgresql://rtc@h,h/d", "postgresql://rtc@h/d#x", "postgresql://rtc@h/d x",
    "postgresql://rtc@h/d?sslmode=disable", "postgresql://rtc@h/d?application_name=x", "postgresql://rtc@-h/d",
    "postgresql://rtc:hunter2@h/d", "postgresql://rtc:@h/d", "postgresql://rtc@h/d?password=hunter2",
    "postgresql://rtc:hun/ter2@h/d", "postgresql://rtc:hun@ter2@h/d", "postgresql://rtc:hunter2@h", "postgresql://rtc:hu#nter2@h/d",
    "postgresql://rtc:hu?nter2@h/d", "postgresql://rtc:hunter2/d", "postgresql://rtc@h/d?PASSFILE=/hunter2", "postgresql://rtc@h\\d/d",
    "postgresql://rtc@h/d%00x", "postgresql://r%0ac@h/d", "postgresql://rtc@%2Frun%00/d", "postgresql://rtc@h/d%",
    "postgresql://rtc@h/d%zz", "postgresql://rtc@h/d%ff", f"postgresql://rtc@h/{'d' * 64}",
    f"postgresql://{'%c3%a4' * 32}@h/d",
]  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_good_ones(url, server):
    assert store_address.check(url) == url
    server.parse_address(url)


@pytest.mark.parametrize("url", BAD)
def test_bad_ones(url, server):
    for check in (store_address.check, server.parse_address):
        with pytest.raises(ValueError) as caught:
            check(url)
        assert not any(word in str(caught.value) for word in ("hunter2", "ter2", "hun", "nter2"))


SAME = [
    ("postgresql://rtc@a,b/d", "postgresql://rtc@b,a/d"),
    ("postgresql://rtc@a/d", "postgres://other@A:5432/d?sslmode=verify-full"),
    ("postgresql://rtc@a/d", "postgresql://rtc@a,b/d"),
    ("postgresql://rtc@[2001:db8::1]/d", "postgresql://rtc@[2001:DB8:0::1]:5432/d"),
    ("postgresql://rtc@localhost/d", "postgresql://rtc@127.0.0.1/d"),
    ("postgresql://rtc@[::1]/d", "postgresql://rtc@%2Frun%2Fpostgresql/d"),
    ("postgresql://rtc@a/d%20e", "postgresql://rtc@a/%64%20e"),
]
OTHER = [
    ("postgresql://rtc@a/d", "postgresql://rtc@b/d"),
    ("postgresql://rtc@a/d", "postgresql://rtc@a/D"),
    ("postgresql://rtc@a/d", "postgresql://rtc@a:5433/d"),
    ("postgresql://rtc@a,b/d", "postgresql://rtc@c,e/d"),
    ("postgresql://rtc@10.0.0.1/d", "postgresql://rtc@10.0.0.2/d"),
    ("postgresql://rtc@localhost/d", "postgresql://rtc@a/d"),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_store_in_two_words(left, right):
    assert store.is_same(left, right) and store.is_same(right, left)


@pytest.mark.parametrize(("left", "right"), OTHER)
def test_two_stores(left, right):
    assert not store.is_same(left, right) and not store.is_same(right, left)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [("localhost", "localhost", False), ("%2Frun", "127.0.0.1", False), ("localhost,db", "db,localhost", True)],
)
def test_loopback_is_another_host_on_each_machine(left, right, same):
    left, right = f"postgresql://rtc@{left}/d", f"postgresql://rtc@{right}/d"
    assert store.is_same(left, right) and store.is_same(left, right, apart=True) is same


@pytest.mark.parametrize("url", [*GOOD, 'postgresql://rtc@h/a"b', "postgresql://rtc@h/ä"])
def test_the_store_of_a_configuration_is_found_again(url):
    text = unit.render_toml({"server": {"port": 1}, "journal": {"store_url": url, "path": "/x"}})
    assert store.find_url(text) == url
    assert store.find_url(text.replace("store_url", "# store_url")) == ""


@pytest.mark.parametrize(
    "text",
    [
        '[journal]\n  store_url="postgresql://rtc@db/rtc"  # ours\n',
        "[journal]\nstore_url\t= 'postgresql://rtc@db/rtc'\n",
        'journal.store_url = "postgresql://rtc@db/rtc"\n',
    ],
)
def test_a_store_in_a_configuration_that_somebody_wrote_by_hand(text):
    assert store.find_url(text) == "postgresql://rtc@db/rtc"
