# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text of configuration files without the secrets in it, for every diff that is shown.

The files are those of proxies, of Tomcat, of units and of shells, and mostly belong to others, so what they call a
secret decides: it is better to mask a value too many. Values that say *where* a secret is (``…_file``) stay, and so do
those that are none: an address, a variable, ``off``.
"""

from __future__ import annotations

import re

from ansible_collections.collab.rtc.plugins.module_utils._mask import MASK

_KEYS = (
    "api|access|license|private|secret|signing|signature|encryption|session|hmac|jwt|auth|crypto|cookie|master|shared"
)
_KINDS = (
    r"(?<!by)(?<!com)(?<!tres)pass(?:wor[dt]|wd|phrase|code|(?![._-]?thr(?:ough|u)))"
    r"|pwd|secret|token|(?<!load)(?<!set)credential|hmac|jwt"
    r"|(?-i:(?<![A-Za-z])pw|(?<=-D)pw|(?<![A-Z])Pw|(?<![A-Za-z])PW)"
    rf"|(?:{_KEYS})[._-]?key"
)
_PLACE = r"(?:file|path|dir|url|uri|type|name|alias|header|provider|required|endpoint)"
# No passenger, and no name that ends in a place.
_WORD = rf"(?=[acehjlmps-u])(?:{_KINDS})(?-i:s?(?![a-z]))(?![\w.-]{{0,40}}[._-]{_PLACE}\b)(?![._-]?{_PLACE})"
_NAME = rf"{_WORD}[\w.-]{{0,40}}"

# What is masked already, and what is no secret by itself.
_NONE = (
    r"(?![=~?+-]{0,2}[ \t]{0,20}\*{8})(?![\"']\*{8}(?: \(new\))?[\"'])(?!\{[\s}]|\{$|(?:\"\"|'')(?![\w\"'$]))"
    r"(?![\"']?(?:true|false|yes|no|on|off|none|null|include|omit|same-origin)[\"']?(?![\w.]))"
)
_ENDED = r"(?=[\"']?(?:[\s;,)}/>\]]|$))"
_VARIABLE = rf"(?![\"']?(?:\$\w+|\$\{{\w+\}}|%\[[^\]\n]*\]|%\{{[^}}\n]*\}}\w*|\$env\{{\w+\}}){_ENDED})"
# A quoted text, across lines too, as XML and shells have it; what stands right behind one belongs to it in a shell.
_QUOTED = (
    r"\\\"(?:[^\"\\\n]|\\[^\"\n])*\\\"|\$?\"(?:[^\"\\]|\\.){0,2000}\"|\$?'(?:[^'\\]|\\.){0,2000}'|\"[^\"\n]*|'[^'\n]*"
)
_BARE = r"(?:\\.|[^\s;,>&\"'\\]|[;,>&](?![\s\"'<]|$|(?:amp;)?[\w.-]{1,40}=|[\"'{]))"
# What a shell would run for it: what it prints may stand there.
_RUN = r"\$\([^()\n]{0,400}\)|`[^`\n]{0,400}`"
_VALUE = (
    rf"(?:(?:{_RUN})|(?:{_QUOTED})(?:[\w$.%@!#+\\-]{_BARE}*|(?:{_QUOTED}))*|{_BARE}+(?:[\"'](?=[\w$])[^\"'\n]*[\"'])?)"
)
_BY_NAME = rf"{_NONE}{_VALUE}"

# Who gives a value to a name that follows: nginx, Apache, HAProxy.
_SETTERS = (
    r"set|env|default|(?:proxy|grpc)_set_header|(?:fastcgi|uwsgi|scgi)_param|more_set_(?:input_)?headers|auth_http_header"
    r"|add_header|SetEnv(?:If\w*)?|PassEnv|Define|(?:Request)?Header|setenv|presetenv"
    r"|http-(?:request|response|after-response|check)[ \t]{1,8}[\w-]{1,20}|http-send-name-header"
)

# Every repetition is bounded: a hostile file must not make the search quadratic.
_RULES = [
    (r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)(?s:.)*?(?=-----END|\Z)", rf"\1 {MASK} "),
    # "NAME=value with blanks", as units and shells quote it
    (rf"((?<!\w)([\"'])(?!-)[\w.-]{{0,60}}?{_NAME}=)(?!\*{{8}})(?:(?!\2)[^\n\\]|\\.){{1,2000}}(?=\2)", rf"\1{MASK}"),
    # name=value, name: value, "name": "value"; attributes of XML, options of Java, environments, TOML, YAML, JSON. Only
    # what is quoted may stand on the next line, as in XML.
    (
        rf"({_NAME}[\"']?(?:[ \t]{{0,20}}(?:[!+]?=[=~]?|!?~\*?(?!\*)|:[=+?-]|:(?!/))[ \t]{{0,20}}"
        rf"|\s{{0,40}}=\s{{0,40}}(?=[\"']))){_BY_NAME}",
        rf"\1{MASK}",
    ),
    # <Parameter name="db.password" value="x"/>, in either order; <password>x</password>
    (rf"(\bname\s?=\s?[\"'][^\"'\n]{{0,80}}{_NAME}[\"'][^<>]{{0,200}}?\bvalue\s?=\s?){_BY_NAME}", rf"\1{MASK}"),
    (
        rf"(\bvalue\s?=\s?)(?!.?\*{{8}})(?:\"[^\"<>]{{0,500}}\"|'[^'<>]{{0,500}}')"
        rf"(?=[^<>]{{0,200}}\bname\s?=\s?[\"'][^\"'\n]{{0,80}}{_NAME}[\"'])",
        rf"\1{MASK}",
    ),
    (
        rf"(<[\w.:-]{{0,40}}{_NAME}>|<[^<>]{{1,100}}\bname\s?=\s?[\"'][^\"'\n]{{0,80}}{_NAME}[\"'][^<>]{{0,100}}>)"
        rf"(?!\s{{0,40}}\*{{8}})\s{{0,40}}(?:<!\[CDATA\[(?s:.){{1,500}}?\]\]>\s{{0,40}}|[^<\s][^<]{{0,500}})(?=<)",
        rf"\1{MASK}",
    ),
    # Names that a directive gives a value to: SetEnv DB_PASS x, proxy_set_header X-Api-Key x, set $token x
    (
        rf"(^[ \t#]{{0,40}}(?:{_SETTERS})[ \t]{{1,20}}(?:[a-z]{{1,12}}[ \t]{{1,20}})?[\"']?\$?[\w.-]{{0,60}}?{_NAME}"
        rf"[\"']?[ \t]{{1,20}})(?!\{{|unless\b|if\b){_VARIABLE}{_BY_NAME}",
        rf"\1{MASK}",
    ),
    # What a request is compared with, or a variable gets: hdr(x-api-key) x, set-var(txn.token) str(x)
    (
        rf"(\([\w.,-]{{0,60}}?{_NAME}(?:,[\w.,-]{{0,40}})?\)[ \t]{{1,20}}"
        rf"(?:-[a-z][ \t]{{1,8}}(?:[a-z]{{1,8}}[ \t]{{1,8}})?){{0,3}})"
        rf"(?!-[a-z]\s|[a-z]{{1,8}}[ \t]{{1,8}}\*{{8}}|[}}{{]|found\b|unless\b|if\b"
        rf"|(?!str|bin)[\w.]{{1,30}}\(){_VARIABLE}{_BY_NAME}",
        rf"\1{MASK}",
    ),
    # Directives: AuthLDAPBindPassword x, secure_link_secret x, user joe insecure-password x; proxy_pass is none.
    (
        rf"((?<![/.\w\"'-])(?<!the )(?<!a )[\w-]{{0,40}}?(?:password|passwd|passphrase|secret|bindpw|dynamic-cookie-key"
        rf"|secure_link_md5)[ \t]{{1,20}})(?![{{}}]){_VARIABLE}{_BY_NAME}",
        rf"\1{MASK}",
    ),
    # Options of commands: -storepass x, --token x; -u name:x; sshpass -p x
    (rf"((?<![\w-])--?[\w-]{{0,40}}?(?:storepass|keypass|{_WORD})[ \t]{{1,20}})(?!-){_BY_NAME}", rf"\1{MASK}"),
    (
        r"((?<![\w-])(?:-u|-U|(?:--user|--proxy-user)(?=[ =]))[ =]{0,4}[\"']?[^\s:\"'/]{1,80}:)"
        r"(?!\*{8}|\d{1,6}\b)[^\s\"']{1,200}",
        rf"\1{MASK}",
    ),
    # mysql -px
    (
        r"(\b(?:mysql|mariadb)\w{0,10}[ \t](?:[^\n|;&]{0,200}?[ \t])?-p)(?!\*{8})"
        r"(?:\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|[^\s\"']{1,200})",
        rf"\1{MASK}",
    ),
    (r"(\bsshpass[ \t]{1,20}-p[ \t]{0,20})(?!\*{8})\S{1,200}", rf"\1{MASK}"),
    # stats auth user:password (HAProxy), SetCredential=name:value (systemd)
    (r"(stats[ \t]{1,20}auth[ \t]{1,20})(?!\*{8})\S+", rf"\1{MASK}"),
    (r"(SetCredential(?:Encrypted)?=[\w.-]{1,80}:)(?!\*{8})[^\n]+", rf"\1{MASK}"),
    # Authorization "Basic …": headers that a proxy sets, RFC 9110 section 11.6.2
    (
        r"(authorization\b[^\n]{0,40}?\b(?:basic|bearer|digest|token|negotiate)[ \t\\]{1,20})(?!\*{8})[^\s\"';]+",
        rf"\1{MASK}",
    ),
    # scheme://user:password@host; jdbc:oracle:thin:user/password@host
    (r"(://[^/\s:@\"']{0,200}:)(?!\*{8}@|\d{1,5}/)[^@\s\"']{1,200}@", rf"\1{MASK}@"),
    (r"(jdbc:oracle:\w{1,10}:[^/\s\"'@]{1,80}/)(?!\*{8}@)[^@\s\"']{1,200}@", rf"\1{MASK}@"),
]
_OF_SECRET = re.compile(_NAME, re.IGNORECASE)
_COMPILED = [(re.compile(rule, re.IGNORECASE | re.MULTILINE), by) for rule, by in _RULES]
# map $http_x_api_key $known { "secret" 1; }: the values that a request is compared with
_MAP = re.compile(
    rf"(\bmap[ \t]{{1,20}}[\"']?\$[\w-]{{0,60}}?{_NAME}[\"']?\s{{1,20}}\$\w{{1,80}}\s{{0,20}}\{{)([^}}]{{0,20000}})",
    re.I,
)
_KEY = re.compile(
    r"(^|[;{\n])(\s*)(?!default\b|hostnames\b|volatile\b|include\b|#|\*{8}|(?:\"\"|'')\s|$)(\"[^\"\n]*\"|'[^'\n]*'|[^\s;]+)(?=\s)"
)
# keystorePass="&pass;" in XML: the value stands in the DOCTYPE, <!ENTITY pass "x">
_OF_ENTITY = re.compile(rf"{_NAME}\s{{0,40}}=\s{{0,40}}[\"']([^\"'<>&]{{0,200}}&[^\"'<>]{{1,400}})[\"']", re.IGNORECASE)
_ENTITY = re.compile(r"(<!ENTITY\s{1,20}([\w.:-]{1,80})\s{1,20})(\"[^\"]{1,2000}\"|'[^']{1,2000}')")
_REFERENCE = re.compile(r"&([\w.:-]{1,80});")


def is_secret(name: str) -> bool:
    """Whether what has this name, a property or a variable, is a secret."""
    return bool(_OF_SECRET.search(name))


def mask_entities(text: str) -> str:
    """What entities stand for that a secret is made of, one by another too."""
    values = {found[2]: found[3] for found in _ENTITY.finditer(text)}
    secret = {name for name in values if is_secret(name)}
    todo = [name for value in map(values.get, secret) for name in _REFERENCE.findall(value or "")]
    todo += [name for found in _OF_ENTITY.finditer(text) for name in _REFERENCE.findall(found[1])]
    while todo:
        name = todo.pop()
        if name in values and name not in secret:
            secret.add(name)
            todo += _REFERENCE.findall(values[name])
    return _ENTITY.sub(
        lambda found: f'{found[1]}"{MASK}"' if found[2] in secret and MASK not in found[3] else found[0], text
    )


def mask_text(text: str) -> str:
    """The text with a mask for each secret; everything else to the letter."""
    text = mask_entities(text) if "<!ENTITY" in text else text
    for rule, by in _COMPILED:
        text = rule.sub(by, text)
    return _MAP.sub(lambda found: found[1] + _KEY.sub(rf"\1\2{MASK}", found[2]), text)
