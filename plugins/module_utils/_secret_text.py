# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text of configuration files without the secrets in it, for every diff that is shown.

The files are those of proxies, of Tomcat, of units and of shells, and mostly belong to others, so what they call a
secret decides: it is better to mask a value too many. Values that say *where* a secret is (``…_file``) stay.
"""

from __future__ import annotations

import re

MASK = "********"

_KINDS = r"pass(?:wor[dt]|wd|phrase|code)?|pwd|secret|token|(?<!load)credential|api[._-]?key|private[._-]?key"
_WORD = rf"(?:{_KINDS})(?-i:s?(?![a-z]))"  # no passenger
_QUOTED = r"\"(?:[^\"\\\n]|\\.)*\"?|'(?:[^'\\\n]|\\.)*'?"
_VALUE = rf"(?!\*{{8}})(?:{_QUOTED}|[^\s;,>&\"']+)"
_PLACE = r"[._-]?(?:file|path|dir|url|uri|type|name|alias|header)"

# Every repetition is bounded: a hostile file must not make the search quadratic.
_RULES = [
    # name=value, name: value, "name": "value"; attributes of XML, options of Java, environments, TOML, YAML, JSON
    (rf"({_WORD}(?!{_PLACE})[\w.-]{{0,40}}[\"']?[ \t]{{0,20}}(?:=|:(?!/))[ \t]{{0,20}}){_VALUE}", rf"\1{MASK}"),
    # Directives: AuthLDAPBindPassword x, secure_link_secret x, user joe insecure-password x; proxy_pass is none.
    (rf"((?:password|passwd|passphrase|secret|bindpw)[ \t]{{1,20}}){_VALUE}", rf"\1{MASK}"),
    # Options of commands: -storepass x, --token x
    (rf"((?<![\w-])--?[\w-]{{0,40}}?(?:storepass|keypass|{_WORD})[ \t]{{1,20}})(?!-){_VALUE}", rf"\1{MASK}"),
    # stats auth user:password (HAProxy)
    (r"(stats[ \t]{1,20}auth[ \t]{1,20})(?!\*{8})\S+", rf"\1{MASK}"),
    # Authorization "Basic …": headers that a proxy sets, RFC 9110 section 11.6.2
    (
        r"(authorization\b[^\n]{0,40}?\b(?:basic|bearer|digest|token|negotiate)[ \t\\]{1,20})(?!\*{8})[^\s\"';]+",
        rf"\1{MASK}",
    ),
    # scheme://user:password@host
    (r"(://[^/\s:@\"']{0,200}:)(?!\*{8}@)[^@/\s\"']{1,200}@", rf"\1{MASK}@"),
    (r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)(?s:.)*?(?=-----END|\Z)", rf"\1 {MASK} "),
]
_COMPILED = [(re.compile(rule, re.IGNORECASE), by) for rule, by in _RULES]


def mask_text(text: str) -> str:
    """The text with a mask for each secret; everything else to the letter."""
    for rule, by in _COMPILED:
        text = rule.sub(by, text)
    return text
