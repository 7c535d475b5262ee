#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: proxy_vhost
short_description: Virtual hosts of nginx, Apache httpd and HAProxy for RTC and its application
version_added: 0.1.0
description:
  - Writes the virtual hosts that forward the collaboration service (RTC), and optionally the application itself,
    through nginx, Apache httpd or HAProxy, each in files of its own. In HAProxy's single configuration file it is a
    block of its own.
  - It reads the server's whole configuration first, and refuses to change a configuration that is already broken, or
    to put a virtual host where another one serves the same name, address and port.
  - Certificates are checked before anything is written. They must be certificates, for the server name, in their time,
    and the key must be theirs.
  - After writing, the server itself checks the whole configuration. If it refuses, every file is put back and its
    words are the error.
  - Several sites (O(vhosts[].site)) are written together. When that fails, only the part of those in the way is
    taken back, with certificates that the run of O(undo_dir) has installed for nobody else; the others are written and
    loaded. Where that cannot be seen, each is tried alone, so what sites share fails for all of them. The module fails
    then, and RV(sites) says what came of each.
  - After the reload RTC is asked for through each new virtual host, at each of its addresses, as a browser asks. Where
    the service runs and something stands in its way (a rule for all virtual hosts, another virtual host that answers),
    every file is put back, and the error says what came and what it may be. RV(passed) names those that RTC was seen to
    pass, RV(unseen) the others, with the reason. Of those the service does not run yet, as a rule.
  - The server is reloaded, never restarted, when a file changed, and also when a file or certificate is newer than
    what the running server has loaded. A service that was never started is started. One that was stopped is left
    stopped.
  - Layouts are those of Debian, and of the RHEL family. The latter has not been tried on a real host yet.
requirements:
  - Python 3.8 or later on the managed host; nothing else.
extends_documentation_fragment:
  - collab.rtc.attributes
  - collab.rtc.writing
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  vhosts:
    description:
      - The virtual hosts. All are written together, with one validation and one reload of each server.
    type: list
    elements: dict
    required: true
    suboptions:
      kind:
        description:
          - The proxy server.
        type: str
        choices: [nginx, apache, haproxy]
        required: true
      name:
        description:
          - The name of the files, and of what is in them. Letters, digits, dots, hyphens and underscores.
        type: str
        required: true
      site:
        description:
          - The site it belongs to. The virtual hosts of a site are all written, or none of them.
          - Those without a site belong together.
        type: str
        default: ''
      state:
        description:
          - Whether the virtual host shall be there. With V(absent), O(vhosts[].kind) and O(vhosts[].name) are enough.
        type: str
        choices: [present, absent]
        default: present
      role:
        description:
          - V(rtc) forwards everything to the service. V(application) forwards the application's context path.
        type: str
        choices: [rtc, application]
        default: rtc
      server_name:
        description:
          - The name that users type.
        type: str
        default: ''
      listen:
        description:
          - Addresses to listen on; V(*) is all of IPv4 and V(::) all of IPv6.
          - Where another virtual host listens on all addresses of the same port, this one does too. Otherwise it would
            draw away the other's requests, because nginx and Apache look at the address before the name.
        type: list
        elements: str
        default: ['*']
      port:
        description:
          - The port that users reach it on. Required when it shall be there.
        type: int
      upstreams:
        description:
          - Where requests go.
          - Several of them share the clients, and each client stays with one. For RTC by what its session id ends in,
            where each has an O(vhosts[].upstreams[].label). Without, by its address in nginx, and in HAProxy for RTC;
            by a cookie in Apache, and in HAProxy for the application.
        type: list
        elements: dict
        default: []
        suboptions:
          scheme:
            description:
              - V(https) encrypts again, and checks the upstream's certificate.
            type: str
            choices: [http, https]
            default: http
          host:
            description:
              - Address or name.
            type: str
            required: true
          port:
            description:
              - Port.
            type: int
            required: true
          backup:
            description:
              - Used only while no other answers.
            type: bool
            default: false
          label:
            description:
              - What the session ids of this RTC server end in (C(server.label) of its configuration). Requests with
                such a C(sid) go there, new sessions to each in turn.
              - Each of several has another one, or none has any. Small letters and digits.
            type: str
            default: ''
      context_path:
        description:
          - The application's context path, such as V(/confluence). Requests for V(/) are then redirected to it.
          - RTC is always at V(/).
        type: str
        default: ''
      certificate:
        description:
          - Path on the managed host of the certificate with its chain, leaf first, PEM. Empty for plain HTTP.
        type: str
        default: ''
      key:
        description:
          - Path on the managed host of its private key, PEM, without a pass phrase.
        type: str
        default: ''
      synchrony:
        description:
          - Host and port of Confluence's Synchrony, such as V(127.0.0.1:8091). C(/synchrony) goes there.
        type: str
        default: ''
      upstream_ca:
        description:
          - Path on the managed host of the authorities that https upstreams are checked against, PEM.
          - Those of the system when it is empty.
        type: str
        default: ''
      upstream_name:
        description:
          - The name that an https upstream's certificate must have. The server name when it is empty.
          - Apache can only check the server name.
        type: str
        default: ''
      reuse:
        description:
          - Whether connections to the upstreams are used again for other requests.
          - Not with an add-on's own service of netty-socketio. It announces that it keeps a connection, and closes it
            after each answer, so that a request that is sent meanwhile would be answered with 502.
        type: bool
        default: true
      panel_port:
        description:
          - Port of loopback on which the RTC server has its panel for administrators. C(/panel/) goes there, with TLS
            only.
        type: int
        default: 0
      panel_from:
        description:
          - Networks whose clients may use C(/panel/), such as V(10.1.2.0/24). Others are answered 403.
        type: list
        elements: str
        default: []
      health:
        description:
          - Path at which an upstream answers 200 while it can serve, such as V(/readyz). HAProxy and Apache ask there
            where there are several upstreams.
          - Apache only where C(mod_proxy_hcheck) is there and the upstreams speak HTTP, as it checks a certificate
            against the upstream's address. It then, and nginx always, notices by requests that fail.
        type: str
        default: ''
  validate:
    description:
      - Let the server check its whole configuration, before and after.
    type: bool
    default: true
  reload:
    description:
      - Reload or start the server when that is needed.
    type: bool
    default: true
  selinux:
    description:
      - Where SELinux is enforcing, give the ports the type C(http_port_t), and switch on the boolean that lets the
        server connect to its upstreams.
    type: bool
    default: true
  firewalld:
    description:
      - Where firewalld runs, open the ports in the zones of the interfaces that have the addresses.
    type: bool
    default: true
  config_root:
    description:
      - Directory that stands for C(/). For tests.
    type: path
    default: /
author:
  - collab.rtc authors (@collab-rtc)
"""

EXAMPLES = r"""
- name: Forward RTC on the external address, while the service has the same port on loopback
  collab.rtc.proxy_vhost:
    vhosts:
      - kind: nginx
        name: rtc-confluence-9083
        role: rtc
        server_name: wiki.example.com
        listen: [192.0.2.10]
        port: 9083
        upstreams:
          - host: 127.0.0.1
            port: 9083
        certificate: /etc/ssl/wiki.example.com.pem
        key: /etc/ssl/private/wiki.example.com.key

- name: Take it away again
  collab.rtc.proxy_vhost:
    vhosts:
      - kind: nginx
        name: rtc-confluence-9083
        state: absent
"""

RETURN = r"""
files:
  description: Our files, and the links that switch them on, changed or not.
  returned: success
  type: list
  elements: str
  sample: [/etc/nginx/sites-available/rtc-confluence-9083.conf]
reloaded:
  description: Whether a server was reloaded or started, or would be in check mode.
  returned: success
  type: bool
version:
  description: Version of the server; of the first kind, when there are several.
  returned: success
  type: str
  sample: 1.22.1
passed:
  description: The virtual hosts, of those that were written, that RTC was seen to pass.
  returned: success
  type: list
  elements: str
  sample: [rtc-confluence-9083]
unseen:
  description: Of those that were written, the virtual hosts that RTC was not seen to pass, each with the reason.
  returned: success
  type: dict
  sample:
    rtc-confluence-9083: "the RTC service does not answer yet (192.0.2.10:9083: 502 Bad Gateway)"
sites:
  description: What came of each site; in check mode what would, as far as that is known.
  returned: success, or when a site was blocked
  type: list
  elements: dict
  contains:
    site:
      description: Its name.
      type: str
    state:
      description:
        - V(applied) when the running server has loaded it, and RTC was seen to pass what was written.
        - V(written) when nobody could look yet, because the service or the server does not run.
        - V(blocked) when its part was taken back.
      type: str
    reason:
      description: Why it was blocked.
      type: str
settings:
  description: Settings of SELinux and firewalld that were made.
  returned: success
  type: list
  elements: str
enabled_modules:
  description: Modules of Apache that were switched on.
  returned: success
  type: list
  elements: str
backup_files:
  description: Copies of the files as they were.
  returned: O(backup) is true and a file was replaced
  type: list
  elements: str
"""

import functools
import os
from typing import Any, Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _argspec, _facts
from ansible_collections.collab.rtc.plugins.module_utils._detect import passage
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._managed import opened, record
from ansible_collections.collab.rtc.plugins.module_utils._proxy import certificates, isolation, vhost_options
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apply import (
    ChangeOptions,
    ChangeResult,
    ProxyChange,
    summarize,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.kinds import BACKENDS, make_backend
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.plugins.module_utils._undo import prune


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "vhosts": {"type": "list", "elements": "dict", "required": True, "options": _vhost_spec()},
            "validate": {"type": "bool", "default": True},
            "reload": {"type": "bool", "default": True},
            "selinux": {"type": "bool", "default": True},
            "firewalld": {"type": "bool", "default": True},
            "config_root": {"type": "path", "default": "/"},
            **_argspec.WRITING,
        },
        supports_check_mode=True,
    )
    try:
        done = _run(module)
    except RtcError as exc:
        module.fail_json(msg=str(exc))
    results = done.results
    for text in (text for item in results for text in item.warnings):
        module.warn(text)
    values = summarize(results)
    backups = [path for item in results for path in item.backups]
    if backups:
        values["backup_files"] = backups
    if module._diff:
        values["diff"] = [part for item in results for part in item.diff]
    values["sites"] = [{"site": site, "state": state, "reason": ""} for site, state in done.states.items()]
    values["sites"] += [
        {"site": site, "state": isolation.BLOCKED, "reason": str(exc)} for site, exc in done.blocked.items()
    ]
    prune.prune_after(module)
    if done.blocked:
        module.fail_json(msg=isolation.explain(done.blocked, done.states), **values)
    module.exit_json(**values)


def _vhost_spec() -> dict[str, Any]:
    upstream = {
        "scheme": {"type": "str", "choices": ["http", "https"], "default": "http"},
        "host": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "backup": {"type": "bool", "default": False},
        "label": {"type": "str", "default": ""},
    }
    texts = (
        "site", "server_name", "context_path", "certificate", "key",
        "synchrony", "upstream_ca", "upstream_name", "health",
    )  # fmt: skip
    return {
        "kind": {"type": "str", "choices": list(BACKENDS), "required": True},
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "role": {"type": "str", "choices": ["rtc", "application"], "default": "rtc"},
        "listen": {"type": "list", "elements": "str", "default": ["*"]},
        "port": {"type": "int"},
        "reuse": {"type": "bool", "default": True},
        "panel_port": {"type": "int", "default": 0},
        "panel_from": {"type": "list", "elements": "str", "default": []},
        "upstreams": {"type": "list", "elements": "dict", "default": [], "options": upstream},
        **{name: {"type": "str", "default": "", "no_log": False} for name in texts},
    }


def _run(module: AnsibleModule) -> isolation.Isolated:
    params = module.params
    vhost_options.check(params["vhosts"])
    done = isolation.Isolated()
    for kind in BACKENDS:
        items = [item for item in params["vhosts"] if item["kind"] == kind and item["site"] not in done.blocked]
        if items:
            found = _run_kind(module, kind, items)
            done.results += found.results
            done.states = {site: state for site, state in done.states.items() if site not in found.blocked}
            done.states.update(found.states)
            done.blocked.update(found.blocked)
    return done


def _run_kind(module: AnsibleModule, kind: str, items: list[dict[str, Any]]) -> isolation.Isolated:
    """Change one server, as far as that can be done."""
    params = module.params
    every = [_facts.from_dict(VhostPlan, item) for item in items if item["state"] == "present"]
    written = certificates.Certificates(None if module.check_mode else params["undo_dir"], every)

    def change(sites: Sequence[str]) -> ChangeResult:
        vhosts = [vhost for vhost in every if vhost.site in sites]
        absent = [item["name"] for item in items if item["state"] == "absent" and item["site"] in sites]
        options = ChangeOptions(
            check=module.check_mode,
            validate=params["validate"],
            reload=params["reload"],
            selinux=params["selinux"],
            firewalld=params["firewalld"],
            backup=params["backup"],
            undo_dir=params["undo_dir"],
            see=_see,
            take_back=lambda exc: written.take_back(isolation.find_blamed(exc, sites)),
        )
        if params["undo_dir"]:
            root, run = os.path.split(params["undo_dir"].rstrip("/"))
            path = os.path.join(os.path.dirname(root), os.path.basename(record.PATH))
            options.note = functools.partial(opened.note, path, params["undo_dir"], run, vhosts)
        written.bring(sites)
        try:
            return ProxyChange(make_backend(kind, params["config_root"]), vhosts, absent, options).run()
        except RtcError as exc:
            written.take_back(isolation.find_blamed(exc, sites))
            raise

    return isolation.change_sites(list(dict.fromkeys(item["site"] for item in items)), every, change)


def _see(vhost: VhostPlan, address: str, pages: str) -> _facts.Passage:
    """What comes of asking for RTC through a virtual host. Of a service that is none of RTC's nothing is known."""
    upstreams = [_facts.Upstream(str(item["scheme"]), str(item["host"]), int(item["port"])) for item in vhost.upstreams]
    question = passage.Question(vhost.server_name, address, vhost.port, bool(vhost.certificate), pages=pages)
    direct = passage.ask_directly(upstreams, question)
    if direct == passage.STOPPED:
        return _facts.Passage(vhost.server_name, vhost.port, address, words="what the service answers is not RTC's")
    if direct == passage.DOWN:
        question.kind = vhost.kind  # httpd is not to meet a service that does not run
    return passage.ask(question, upstreams)


if __name__ == "__main__":
    main()
