# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a host was not reached, or could not run a module, as Ansible's messages tell it; and what to do. Pure."""

from __future__ import annotations

import re

VAULT = "Give the password that it was encrypted with: --vault-password-file, --vault-id or --ask-vault-pass."

# A pattern of the message, in lower case, and the remedy; the first that matches counts. The texts are those of
# ansible-core's connection and become plugins, of OpenSSH, of sudo and of shells.
_REMEDIES = (
    (r"vault secrets|undecryptable|decryption failed", VAULT),
    (
        r"(missing|incorrect) (sudo|su|doas|become) password|sudo: a password is required|sudo: a terminal is required"
        r"|waiting for privilege escalation|sudo: \d+ incorrect password|sorry, try again|must have a tty to run sudo",
        "Give the password of sudo with -K (--ask-become-pass) or ansible_become_password, or allow sudo without one.",
    ),
    (
        r"is not in the sudoers|sudo: command not found|sudo: not found|may not run sudo",
        "Let the user run sudo on the host, or connect as one who may: -u, or ansible_user.",
    ),
    (
        r"python[\w.-]*['\"]?: (command )?not found|python[\w.-]*: no such file|no python interpreters? found"
        r"|interpreter .* not found|set the interpreter|env: .*python|future feature annotations is not defined"
        r"|ansible requires a minimum of python|ansible requires python",
        "Install Python 3.8 or later on the host, or name its interpreter with ansible_python_interpreter.",
    ),
    (
        r"host key verification failed|remote host identification has changed",
        "Add the host's key to known_hosts, or correct the one that is there.",
    ),
    (
        r"permission denied|authentication fail|too many authentication",
        "Correct the user (-u, ansible_user) and its key or password (--private-key, -k).",
    ),
    (
        r"sshpass program",
        "Install sshpass on the controller, or connect with a key instead of a password.",
    ),
    (
        r"could not resolve hostname|name or service not known|no address associated",
        "Correct the name of the host in the inventory, or give its address with ansible_host.",
    ),
    (
        r"connection refused|timed out|no route to host|network is unreachable|connection reset|connection closed"
        r"|failed to connect|data could not be sent|broken pipe",
        "Make the host reachable by SSH (ansible_host, ansible_port), or leave it out with --limit.",
    ),
)


def find_remedy(message: str) -> str:
    """What to do about a message of Ansible about a host; "" for a message that is not about reaching it."""
    text = message.lower()
    return next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, text)), "")
