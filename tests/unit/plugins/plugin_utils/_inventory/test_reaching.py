# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages of ansible-core, OpenSSH, sudo and shells, and what is advised."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import reaching


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("Attempting to decrypt but no vault secrets found.", "--ask-vault-pass"),
        ("Decryption failed (no vault secrets were found that could decrypt).", "--vault-password-file"),
        ("Missing sudo password", "-K"),
        ("Task failed: Incorrect sudo password", "-K"),
        ("Missing su password", "-K"),
        ("sudo: a password is required", "-K"),
        ("sudo: a terminal is required to read the password; either use the -S option", "-K"),
        ("Timeout (12s) waiting for privilege escalation prompt: ", "-K"),
        ("anna is not in the sudoers file.  This incident will be reported.", "-u"),
        ("/bin/sh: 1: sudo: not found", "-u"),
        ("/bin/sh: 1: /usr/bin/python3: not found", "ansible_python_interpreter"),
        ("The module interpreter '/usr/bin/python3.14' was not found.", "ansible_python_interpreter"),
        ("No python interpreters found for host 'wiki1' (tried ['python3.13', ...])", "ansible_python_interpreter"),
        ("SyntaxError: future feature annotations is not defined", "ansible_python_interpreter"),
        ("Failed to connect to the host via ssh: Host key verification failed.", "known_hosts"),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @ ... Permission denied (publickey).", "known_hosts"),
        ("Failed to connect to the host via ssh: anna@wiki1: Permission denied (publickey,password).", "--private-key"),
        ("to use the 'ssh' connection type with passwords, you must install the sshpass program", "sshpass"),
        ("ssh: Could not resolve hostname wiki9: Name or service not known", "ansible_host"),
        ("ssh: connect to host 10.0.0.9 port 22: Connection refused", "ansible_port"),
        ("ssh: connect to host 10.0.0.9 port 22: Connection timed out", "ansible_port"),
        ("something else", ""),
    ],
)
def test_the_remedy_is_about_what_failed(message, advice):
    remedy = reaching.find_remedy(message)
    assert advice in remedy
    assert bool(remedy) == bool(advice)
