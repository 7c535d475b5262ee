# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A moto server for all tests, and for each test a cloud of its own."""

from __future__ import annotations

import os

import pytest
from botocore import loaders

from ansible_collections.collab.rtc.tests.aws.cloud import Cloud, serve_moto


@pytest.fixture(scope="session")
def moto_url():
    """The address of a moto server."""
    with serve_moto() as url:
        yield url


@pytest.fixture(scope="session", autouse=True)
def one_loader():
    """boto3 reads the descriptions of services once for all sessions: those of EC2 take half a second."""
    begin, loader = loaders.create_loader, loaders.create_loader()
    loaders.create_loader = lambda *_args: loader
    yield
    loaders.create_loader = begin


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    """Nothing of whoever runs the tests is used: no account, no region, no instance's role."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "BOTO"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))


@pytest.fixture
def cloud(moto_url):
    return Cloud(moto_url)
