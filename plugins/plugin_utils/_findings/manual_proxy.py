# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to configure by hand at a proxy that this collection does not manage. Pure."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import renderer as apache
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import renderer as haproxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import renderer as nginx
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

# Where the text belongs, by kind of proxy.
PLACES = {
    "nginx": "nginx, in its http block",
    "apache": "Apache httpd 2.4.47 or later, with the modules {modules}",
    "haproxy": "HAProxy, in haproxy.cfg",
}
APACHE_VERSION = "2.4.62"  # the text for a current one
APACHE_LOG = "/var/log/apache2/access.log"
HAPROXY_PEM = "/path/to/certificates-and-key.pem"  # HAProxy has certificate, chain and key in one file


def advise(vhost: VhostPlan) -> str:
    """The remedy for a proxy that is not managed: what to do, and the text that the role would write there.

    :param vhost: the RTC virtual host of the desired state.
    """
    place = PLACES[vhost.kind].format(modules=", ".join(apache.modules(vhost, APACHE_VERSION)))
    return (
        "Add the proxy's host to the group rtc_proxies and set rtc_proxy. Or configure it by hand; for"
        f" {place}:\n{render(vhost)}"
    )


def render(vhost: VhostPlan) -> str:
    """The configuration for the kind of the virtual host, without the lines that claim it for this collection."""
    try:
        if vhost.kind == "apache":
            text = apache.render(vhost, vhost.listen, vhost.listen, vhost.upstream_ca, APACHE_VERSION, [[APACHE_LOG]])
        elif vhost.kind == "haproxy":
            pems = {vhost.name: HAPROXY_PEM} if vhost.certificate else {}
            text = haproxy.render([vhost], pems, {vhost.name: vhost.upstream_ca}, logs=True)
        else:
            text = nginx.render(vhost, vhost.listen, vhost.upstream_ca, [[nginx.ACCESS_LOG]])
    except ProxyError as error:  # such as a name that Apache cannot check an upstream's certificate against
        return str(error)
    return "\n".join(line for line in text.splitlines() if not line.startswith("#")).strip()
