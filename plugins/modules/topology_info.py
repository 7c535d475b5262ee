#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: topology_info
short_description: Tell how Confluence or Jira, its Tomcat, Java and reverse proxies are set up on a host
version_added: 0.1.0
description:
  - Finds the Confluence and Jira installations of a host, how their Tomcat is wired, the JRE and the trust store that
    the application really uses, the reverse proxies and what they forward, the sockets that listen, and how names
    resolve here. It is what the plan of this collection is made from.
  - Only reads files, C(/proc), and what C(systemctl show), C(semanage port -l) and the proxies print about their
    version; where an application runs in a container, also what C(docker inspect), C(podman inspect) or the rules of
    the firewall say. It starts no JVM. One call is all the gathering that the collection does.
  - Through each running proxy it asks for RTC (C(/socket.io/)), by the names and on the ports that are known, as a
    browser would from this host. Sessions that it opens are ended at once. This takes eight seconds at most.
  - Never fails because a part cannot be read. Such parts are in RV(topology.unreadable), each with its reason.
  - Works without root as far as permissions allow. The processes behind sockets and files of other users are then not
    seen.
  - Passwords are never returned. Values of properties and attributes that hold one are V(********).
author:
  - collab.rtc authors (@collab-rtc)
extends_documentation_fragment:
  - collab.rtc.attributes
attributes:
  check_mode:
    support: full
    details:
      - It changes nothing in any mode.
  diff_mode:
    support: none
    details:
      - There is nothing to compare.
  idempotent:
    support: full
options:
  names:
    description:
      - Host names to resolve on the host, and to ask proxies for, besides those in C(proxyName) attributes and those
        of virtual hosts and upstreams.
    type: list
    elements: str
    default: []
  install_dirs:
    description:
      - Directories to look for installations in, besides the usual ones. Each is an installation or holds some.
      - An installation that is named here counts, whoever may write the directories above it. Otherwise it counts if a
        unit or SysV script that only root may write starts it, or if only root may write the directories above it.
      - A process counts for an installation if its user is the one that the installation runs as, its owner, or root.
      - C(NAME:/DIRECTORY) is a directory in the container NAME; C(USER/NAME:/DIRECTORY) in one of a user's own. Such a
        container counts, whoever started it; otherwise it counts if root did.
    type: list
    elements: path
    default: []
  rtc_ports:
    description:
      - TCP ports on which to look for an RTC service.
    type: list
    elements: int
    default: [9083, 9093]
  services:
    description:
      - The unit or SysV script that starts an application, by application (V(confluence), V(jira)). It is taken in
        place of the one that would be found. An empty name counts as none.
    type: dict
    default: {}
  root:
    description:
      - The directory that stands for C(/). For tests, and for looking at the mounted disk of another machine. Then no
        command of the host is run.
    type: path
    default: /
  timeout:
    description:
      - How long names may take to resolve, in seconds, all together. They are resolved while the rest is read.
    type: float
    default: 5.0
seealso:
  - module: collab.rtc.tomcat_connector
  - module: collab.rtc.java_truststore
  - module: collab.rtc.proxy_vhost
"""

EXAMPLES = r"""
- name: See how the application is set up
  collab.rtc.topology_info:
  register: found

- name: Show the applications and their connectors
  ansible.builtin.debug:
    var: found.topology.applications

- name: Look in another directory too, and ask what a name resolves to there
  collab.rtc.topology_info:
    install_dirs: [/apps/wiki]
    names: [wiki.example.org]
  register: found
"""

RETURN = r"""
topology:
  description:
    - What was found. An empty string, an empty list or V(null) means that it is not there.
  returned: always
  type: dict
  contains:
    hostname:
      description: The host's own name.
      type: str
      returned: always
    machine_id:
      description: machine-id(5) of the host.
      type: str
      returned: always
    managed:
      description: >-
        The record of what this collection has made on the host, with the present state of each entry, and who changes
        the host at this moment.
      type: dict
      returned: always
    os_id:
      description: C(ID) of os-release.
      type: str
      returned: always
      sample: debian
    os_version:
      description: C(VERSION_ID) of os-release.
      type: str
      returned: always
      sample: "12"
    os_family:
      description: V(debian), V(redhat) or empty.
      type: str
      returned: always
    machine:
      description: Kind of processor.
      type: str
      returned: always
      sample: x86_64
    systemd:
      description: Version of systemd; 0 for unknown, or where there is none.
      type: int
      returned: always
      sample: 252
    python:
      description: Version of C(/usr/bin/python3).
      type: str
      returned: always
      sample: "3.11"
    pythons:
      description: Path and version of each interpreter that the RTC server could run on.
      type: dict
      returned: always
      sample: {"/usr/bin/python3": "3.11"}
    selinux:
      description: V(enforcing), V(permissive), or empty.
      type: str
      returned: always
    selinux_ports:
      description: TCP ports of the type C(http_port_t), when SELinux enforces and the module runs as root.
      type: list
      elements: int
      returned: always
    releases:
      description: Names of the releases of the RTC server that the host keeps.
      type: list
      elements: str
    selinux_types:
      description: The SELinux types that ports of O(rtc_ports) have instead of C(http_port_t).
      type: dict
      returned: always
      sample: {"9083": "other_port_t"}
    selinux_connect:
      description: The state of C(httpd_can_network_connect), V(null) when there is none. For nginx and Apache.
      type: bool
      returned: always
    selinux_haproxy_connect:
      description: The state of C(haproxy_connect_any), V(null) when there is none.
      type: bool
      returned: always
    firewall:
      description: V(firewalld), V(ufw), V(nftables), or empty.
      type: str
      returned: always
    firewall_state:
      description:
        - What the firewall lets in. Of firewalld the C(zones) with an interface or a source, the ports of the
          C(services) that they name, and whether it is C(masked); of ufw its C(rules) and what it does with C(incoming)
          connections that no rule is about.
        - C(state) is V(running) where firewalld runs. Where no firewall runs it is V(enabled) for a firewalld that
          begins with the next boot, V(masked), or empty.
      type: dict
      returned: always
    root:
      description: Whether the module ran as root.
      type: bool
      returned: always
    clock:
      description: The host's time, in seconds since the epoch.
      type: float
      returned: always
    addresses:
      description: The host's addresses, without loopback and link-local ones.
      type: list
      elements: str
      returned: always
    main_address:
      description: The address that the default route uses.
      type: str
      returned: always
    resolves:
      description: What names resolve to on this host. An empty list means that the name does not resolve.
      type: dict
      returned: always
      sample: {"wiki.example.org": ["192.0.2.10"]}
    applications:
      description:
        - The Confluence and Jira installations. Each has its C(kind), C(install_dir), C(version), C(home),
          C(shared_home), C(user), C(tomcat_version), C(properties) of the JVM, C(server_xml) with its C(connectors),
          the C(properties) that it names, and the places of its C(secrets), C(java) with its C(truststore), C(service),
          C(process), the C(evidence) for it, and in C(leftover) why it seems unused. C(java), C(properties) and the
          trust store are those of the next start; what the process has instead is in its C(differences). C(unknown)
          names the place that leaves them open. C(writers), of the application and of its C(java), says who besides
          root can change them.
        - For one in a container, C(container) has its C(name), C(id), C(engine), C(image), compose project, published
          C(ports), C(mounts), and of its C(environment) what concerns Tomcat and Java. Its paths begin with the name,
          C(wiki:/opt/atlassian/confluence). It is seen while it runs, and nothing in it is changed.
      type: list
      elements: dict
      returned: always
    proxies:
      description:
        - nginx, Apache httpd and HAProxy. Each has its C(kind), C(version), C(config), whether it is C(running), its
          virtual C(hosts) with what they listen on and forward, and in C(passages) what came of asking for RTC through
          it. C(capacity) is how many connections it passes on at the same time, and by which limits.
      type: list
      elements: dict
      returned: always
    listeners:
      description: The listening TCP sockets, each with C(address), C(port), C(pid), C(process) and C(user).
      type: list
      elements: dict
      returned: always
    rtc:
      description:
        - The RTC services. C(kind) is V(deployed) for the one of this collection, V(builtin) for the add-on's own one
          in the application's JVM, V(foreign) for another process on one of O(rtc_ports).
        - C(store) is the store that the configuration of a deployed one names, with what C(rtc-server check-config)
          says of it, or in C(unknown) why it says nothing.
      type: list
      elements: dict
      returned: always
    doubted:
      description:
        - What looks like an application and does not count, because others than root vouch for it. Each has in C(what)
          V(installation), V(process) or V(starter) (a unit or SysV script), the C(path), C(kind), C(pid) and C(user),
          the C(reason) and the C(evidence). Nothing that it names is used.
      type: list
      elements: dict
      returned: always
    unwritable:
      description:
        - What a run may have to write and not even root can, each with C(path), C(why), and in C(remedy) the command
          that mends it. Looked for as root only.
      type: list
      elements: dict
      returned: always
    unreadable:
      description: What could not be seen, C(what) and C(reason).
      type: list
      elements: dict
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._detect.gather import gather


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "default": []},
            "install_dirs": {"type": "list", "elements": "path", "default": []},
            "rtc_ports": {"type": "list", "elements": "int", "default": [9083, 9093]},
            "services": {"type": "dict", "default": {}},
            "root": {"type": "path", "default": "/"},
            "timeout": {"type": "float", "default": 5.0},
        },
        supports_check_mode=True,
    )
    options = module.params
    facts = gather(
        root=options["root"],
        names=options["names"],
        install_dirs=options["install_dirs"],
        rtc_ports=options["rtc_ports"],
        timeout=options["timeout"],
        services=options["services"],
    )
    module.exit_json(changed=False, topology=_facts.to_dict(facts))


if __name__ == "__main__":
    main()
