# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to set at load balancers and proxies that this collection does not configure, with the site's own values. Pure.

Each text is complete: ports, protocols, health check, timeouts, and how a session finds its node again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import HEALTH, IDLE
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredSite
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.labels import label_nodes

# Seconds that a tunnel may be silent, as in our own virtual hosts: it outlives short naps of a notebook.
TUNNEL = 3600
POLL = 120  # seconds; one long poll lasts a ping interval and its timeout at most
INTERVAL, TIMEOUT = 10, 5  # seconds, of health checks
BY_ONE_NODE = ("azure_gateway",)  # kinds that cannot choose a node by the query string
STANDING_BY = ("f5", "traefik")  # that bring another node in by themselves
TOP_PRIORITY = 100  # of F5's priority groups, the highest of which that has a member up is used
FAILURES = 2  # of health checks in a row, until a node gets no more requests


@dataclass(frozen=True)
class Backend:
    """A node as a proxy reaches it."""

    node: str  # inventory name
    address: str
    label: str = ""  # that the ids of its sessions end in, after a dot


@dataclass(frozen=True)
class Values:
    """All that an instruction needs of a site."""

    name: str  # "rtc-confluence-9083-6e4b5a"
    server_name: str
    port: int
    tls: bool  # users speak TLS
    tls_behind: bool  # so does the RTC service
    serving: list[Backend]
    standing_by: list[Backend]
    health_path: str
    health_codes: str
    idle: int  # seconds, at least
    certificate: str = "a certificate for the server name"
    application_port: int = 443  # of the application's own address

    @property
    def scheme(self) -> str:
        """Of the service."""
        return "https" if self.tls_behind else "http"

    @property
    def routes_sessions(self) -> bool:
        """Whether a session has to come back to its node."""
        return len(self.serving) > 1


def collect_values(wanted: DesiredSite) -> Values:
    """The values of a site, as the plan has decided them."""
    site, first = wanted.site, wanted.nodes[0]
    deployed = all(node.service.kind == "deployed" for node in wanted.nodes)
    shared = deployed and bool(first.service.store_url)
    labels = label_nodes(site.nodes) if shared else {}
    nodes = [Backend(node.host, node.upstream_host, labels.get(node.host, "")) for node in wanted.nodes]
    path, codes = HEALTH[first.service.kind]
    return Values(
        name=_make_name(site.application, site.server_name, site.rtc_port),
        server_name=site.server_name,
        port=site.rtc_port,
        tls=wanted.tls,
        tls_behind=site.protocol == "HTTPS",
        serving=nodes if shared else nodes[:1],
        standing_by=[] if shared else nodes[1:],
        health_path=path,
        health_codes=codes,
        idle=max(IDLE[node.service.kind] for node in wanted.nodes),
        application_port=wanted.application_port,
    )


def _make_name(application: str, server_name: str, port: int) -> str:
    """A name for what is made, for this site alone: a cluster or a device may serve several. Short, as lines are."""
    return f"rtc-{application}-{port}-{hashlib.sha256(server_name.encode()).hexdigest()[:6]}"


def render(kind: str, values: Values) -> str:
    """The text for a kind of proxy.

    :raises KeyError: there is none for that kind.
    """
    if kind in BY_ONE_NODE:
        others = [*values.serving[1:], *values.standing_by]
        values = dataclasses.replace(values, serving=values.serving[:1], standing_by=others)
    return "\n".join([*_list_values(values, kind in STANDING_BY), "", *RENDERERS[kind](values)])


def _list_values(values: Values, brings_in: bool) -> Iterator[str]:
    """What every proxy needs, whatever it is called there.

    :param brings_in: whether it can have nodes that stand by.
    """
    users = f"HTTPS, with {values.certificate}" if values.tls else "HTTP"
    yield f"Listen: port {values.port} of {values.server_name}, {users}; all paths, the service is at /."
    nodes = ", ".join(f"{values.scheme}://{_bracket(item.address)}:{values.port}" for item in values.serving)
    yield f"Send to: {nodes}; HTTP/1.1, with Upgrade and Connection passed on (WebSocket), unchanged Host and path."
    yield (
        f"Health: GET {values.health_path} on port {values.port} gives {values.health_codes}, every {INTERVAL} s,"
        f" timeout {TIMEOUT} s, out after {FAILURES} failures."
    )
    yield f"Timeouts: a silent WebSocket {TUNNEL} s (at least {values.idle} s), an answer to a long poll {POLL} s."
    if values.routes_sessions:
        ends = ", ".join(f".{item.label} to {item.node}" for item in values.serving)
        yield f"Sessions: the parameter sid of the query decides; it ends in {ends}. Without sid: any node, in turn."
    elif values.standing_by:
        names = ", ".join(item.node for item in values.standing_by)
        first = values.serving[0].node
        when = "its health check fails" if brings_in else f"somebody puts one in the place of {first}"
        yield f"Sessions: {first} alone gets requests; {names} only when {when}."
    else:
        yield "Sessions: one node, nothing to be set."


def _bracket(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _render_f5(values: Values) -> Iterator[str]:
    name = values.name.replace("-", "_")
    yours = "ADDRESS, CERTIFICATE, KEY and CHAIN" + (", and the nodes' AUTHORITY" if values.tls_behind else "")
    monitor = "https" if values.tls_behind else "http"
    yield f"For F5 BIG-IP, for tmsh ({yours} are yours):"
    yield f"create ltm monitor {monitor} {name} interval {INTERVAL} timeout {INTERVAL * FAILURES + 1} \\"
    codes = "HTTP/1.[01] 200" if values.health_codes == "200" else "HTTP/1.[01] [234]"
    lines = (f"GET {values.health_path} HTTP/1.1", f"Host: {values.server_name}", "Connection: close", "", "")
    request = "\\r\\n".join(lines)
    yield f'  send "{request}" \\'
    yield f'  recv "{codes}"'
    yield f"create ltm pool {name} monitor {name} \\"
    yield f"  load-balancing-mode round-robin {'min-active-members 1 ' if values.standing_by else ''}members add {{ \\"
    first = [(item, TOP_PRIORITY) for item in values.serving]
    # One after the other: each has a journal of its own.
    others = [(item, TOP_PRIORITY - number) for number, item in enumerate(values.standing_by, 1)]
    for item, priority in [*first, *others]:
        dot = "." if ":" in item.address else ":"
        yield f"  {item.address}{dot}{values.port} {{ priority-group {priority} }} \\"
    yield "  }"
    rules = values.routes_sessions
    if rules:
        yield from _render_f5_rule(name, values)
    yield f"create ltm profile http {name}_http defaults-from http \\"
    yield "  insert-xforwarded-for enabled"
    yield f"create ltm profile tcp {name} defaults-from tcp idle-timeout {TUNNEL}"
    yield f"create ltm profile websocket {name}_ws defaults-from websocket"
    profiles = [name, f"{name}_http", f"{name}_ws"]
    if rules:
        profiles.append("oneconnect")  # without it the first request of a connection chooses the node for all others
    if values.tls:
        profiles.append(f"{name}_tls")
        yield f"create ltm profile client-ssl {name}_tls defaults-from clientssl \\"
        yield "  cert-key-chain add { site { cert CERTIFICATE key KEY chain CHAIN } }"
    if values.tls_behind:
        profiles.append(f"{name}_node")
        yield f"create ltm profile server-ssl {name}_node \\"
        yield "  defaults-from serverssl ca-file AUTHORITY peer-cert-mode require \\"
        yield f"  server-name {values.server_name} authenticate-name {values.server_name}"
    yield f"create ltm virtual {name} \\"
    yield f"  destination ADDRESS:{values.port} ip-protocol tcp profiles add {{ \\"
    yield from (f"  {profile} \\" for profile in profiles)
    yield "  } \\"
    yield f"  pool {name} source-address-translation {{ type automap }}" + (" \\" if rules else "")
    if rules:
        yield f"  rules {{ {name}_sid }}"
    yield "save sys config"


def _render_f5_rule(name: str, values: Values) -> Iterator[str]:
    """By this command, as ``create ltm rule`` opens an editor."""
    yield "load sys config from-terminal merge"
    yield f"ltm rule {name}_sid {{"
    yield "  when HTTP_REQUEST {"
    yield "    set sid [URI::query [HTTP::uri] sid]"
    for item in values.serving:
        yield f'    if {{ $sid ends_with ".{item.label}" }} {{'
        yield f"      pool {name} member {item.address} {values.port}"
        yield "    }"
    yield "  }"
    yield "}"
    yield "Press Ctrl-D there: it ends what is loaded. Then go on:"


def _render_azure(values: Values) -> Iterator[str]:
    protocol = "Https" if values.tls_behind else "Http"
    certificate = " --ssl-cert CERTIFICATE" if values.tls else ""
    authority = " --root-certs $name" if values.tls_behind else ""
    yield "For Azure Application Gateway v2, with the Azure CLI (GROUP, GATEWAY, FRONTEND, CERTIFICATE are yours):"
    if values.tls_behind:
        yield "So is AUTHORITY, the file of the authority of the nodes' certificates, where that is no public one."
    yield 'gateway="az network application-gateway"'
    yield f"name={values.name}"
    yield 'options="-g GROUP --gateway-name GATEWAY -n $name"'
    yield f"$gateway frontend-port create $options --port {values.port}"
    yield f"$gateway probe create $options --protocol {protocol} \\"
    yield f"  --host {values.server_name} --path {values.health_path} \\"
    yield f"  --interval {INTERVAL} --timeout {TIMEOUT} --threshold {FAILURES} \\"
    yield f"  --match-status-codes {values.health_codes}"
    if values.tls_behind:
        yield "$gateway root-cert create $options --cert-file AUTHORITY"
    yield f"$gateway address-pool create $options --servers {values.serving[0].address}"
    yield f"$gateway http-settings create $options --port {values.port} --protocol {protocol} \\"
    yield f"  --host-name {values.server_name} --timeout {POLL} --probe $name \\"
    yield "  --cookie-based-affinity Disabled --connection-draining-timeout 30" + authority
    yield "$gateway http-listener create $options --frontend-ip FRONTEND --frontend-port $name \\"
    yield f"  --host-name {values.server_name}{certificate}"
    yield "$gateway rule create $options --rule-type Basic --priority 190 \\"
    yield "  --http-listener $name --address-pool $name --http-settings $name"
    yield "WebSocket needs no setting there. Open the port in the network security group of the gateway's subnet."
    if values.standing_by:
        names = ", ".join(f"{item.node} ({item.address})" for item in values.standing_by)
        yield "It cannot choose by the query string, and browsers send no cookie to another port: so one node serves."
        yield f"When it fails, put another one into the pool by hand: {names}."


def _render_kubernetes(values: Values) -> Iterator[str]:
    yield "For Kubernetes, by the Gateway API: an Ingress has ports 80 and 443 only. CLASS and SECRET are yours."
    if values.tls_behind:
        yield "So is AUTHORITY, a ConfigMap with the authority of the nodes' certificates in its key ca.crt."
    if values.standing_by:
        names = ", ".join(item.node for item in values.standing_by)
        yield f"A Service has no endpoints that stand by: when the node fails, put another one in: {names}."
    yield from render_manifest(values).splitlines()


def render_manifest(values: Values) -> str:
    """The objects of the Gateway API, as YAML."""
    services = [(values.name, values.serving)]
    if values.routes_sessions:
        services += [(f"{values.name}-{item.label}", [item]) for item in values.serving]
    documents = [_render_service(name, nodes, values) for name, nodes in services]
    if values.tls_behind:
        documents += [_render_backend_tls(name, values) for name, _nodes in services]
    return "---\n" + "---\n".join([*documents, _render_gateway(values), _render_route(values)])


def _render_service(name: str, nodes: list[Backend], values: Values) -> str:
    protocol = "kubernetes.io/wss" if values.tls_behind else "kubernetes.io/ws"
    families = sorted({_name_family(item) for item in nodes})
    # A Service without it has the cluster's first family only, and slices of the other one are passed over.
    dual = ["  ipFamilyPolicy: PreferDualStack"] if "IPv6" in families else []
    lines = [
        *("apiVersion: v1", "kind: Service", "metadata:", f"  name: {name}", "spec:", *dual, "  ports:"),
        *("  - name: rtc", f"    port: {values.port}", f"    targetPort: {values.port}"),
        f"    appProtocol: {protocol}",
    ]
    for family in families:  # a slice has addresses of one
        own = f"{name}-{family.lower()}" if len(families) > 1 else name
        lines += ["---", "apiVersion: discovery.k8s.io/v1", "kind: EndpointSlice", "metadata:", f"  name: {own}"]
        lines += ["  labels:", f"    kubernetes.io/service-name: {name}", f"addressType: {family}"]
        lines += ["ports:", "- name: rtc", f"  port: {values.port}", f"  appProtocol: {protocol}", "endpoints:"]
        lines += [f'- addresses: ["{item.address}"]' for item in nodes if _name_family(item) == family]
    return "\n".join(lines) + "\n"


def _name_family(node: Backend) -> str:
    try:
        return f"IPv{ipaddress.ip_address(node.address).version}"
    except ValueError:
        return "FQDN"


def _render_backend_tls(name: str, values: Values) -> str:
    """Without it, a gateway speaks HTTP to the nodes."""
    lines = [
        *("apiVersion: gateway.networking.k8s.io/v1", "kind: BackendTLSPolicy", "metadata:", f"  name: {name}"),
        *("spec:", "  targetRefs:", '  - group: ""', "    kind: Service", f"    name: {name}", "  validation:"),
        *(f"    hostname: {values.server_name}", "    caCertificateRefs:"),
        *('    - group: ""', "      kind: ConfigMap", "      name: AUTHORITY"),
    ]
    return "\n".join(lines) + "\n"


def _render_gateway(values: Values) -> str:
    tls = ["    tls:", "      certificateRefs:", "      - name: SECRET"] if values.tls else []
    lines = [
        *("apiVersion: gateway.networking.k8s.io/v1", "kind: Gateway", "metadata:", f"  name: {values.name}"),
        *("spec:", "  gatewayClassName: CLASS", "  listeners:", "  - name: rtc"),
        *(f"    hostname: {values.server_name}", f"    port: {values.port}"),
        *(f"    protocol: {'HTTPS' if values.tls else 'HTTP'}", *tls),
    ]
    return "\n".join(lines) + "\n"


def _render_route(values: Values) -> str:
    lines = [
        *("apiVersion: gateway.networking.k8s.io/v1", "kind: HTTPRoute", "metadata:", f"  name: {values.name}"),
        *(
            "spec:",
            "  parentRefs:",
            f"  - name: {values.name}",
            "  hostnames:",
            f"  - {values.server_name}",
            "  rules:",
        ),
    ]
    for item in values.serving if values.routes_sessions else []:
        lines += ["  - matches:", "    - queryParams:", "      - name: sid", "        type: RegularExpression"]
        lines += [f"        value: '.*[.]{item.label}'", *_render_backend(f"{values.name}-{item.label}", values)]
    lines += ["  - matches:", "    - path:", "        type: PathPrefix", "        value: /"]
    lines += _render_backend(values.name, values)
    return "\n".join(lines) + "\n"


def _render_backend(name: str, values: Values) -> list[str]:
    # 0s: none. A timeout of the whole request would end WebSockets.
    return [
        *("    timeouts:", "      request: 0s", "      backendRequest: 0s"),
        *("    backendRefs:", f"    - name: {name}", f"      port: {values.port}"),
    ]


def _render_traefik(values: Values) -> Iterator[str]:
    yield "For Traefik 3; in its static configuration:"
    yield from render_traefik_static(values).splitlines()
    yield "and as a file of its dynamic configuration:"
    if values.standing_by:
        names = ", ".join(item.node for item in values.standing_by)
        yield f"# {names}: only when the health check of {values.serving[0].node} fails (service failover)"
    yield from render_traefik_dynamic(values).splitlines()


def render_traefik_static(values: Values) -> str:
    """The entry point, as YAML."""
    lines = [
        *("entryPoints:", f"  {values.name}:", f'    address: ":{values.port}"', "    transport:"),
        *("      respondingTimeouts:", "        readTimeout: 0s", "        writeTimeout: 0s"),
        f"        idleTimeout: {TUNNEL}s",
    ]
    return "\n".join(lines) + "\n"


def render_traefik_dynamic(values: Values) -> str:
    """Routers and services, as YAML."""
    host = f"Host(`{values.server_name}`)"
    rules = {values.name: host}
    services = {values.name: values.serving}
    if values.routes_sessions:
        for item in values.serving:
            name = f"{values.name}-{item.label}"
            rules[name] = f"{host} && QueryRegexp(`sid`, `[.]{item.label}$`)"
            services[name] = [item]
    top = values.name
    lines = ["http:", "  routers:"]
    for name, rule in rules.items():
        lines += [f"    {name}:", f'      entryPoints: ["{top}"]', f'      rule: "{rule}"']
        lines += [f"      service: {name}", *(["      tls: {}"] if values.tls else [])]
    lines.append("  services:")
    if values.standing_by:
        nodes = [*values.serving, *values.standing_by]
        services = {f"{top}-node{number}": [item] for number, item in enumerate(nodes, 1)}
        for number in range(1, len(nodes)):  # one after the other, each of which has a journal of its own
            name = top if number == 1 else f"{top}-from{number}"
            after = f"{top}-from{number + 1}" if number + 1 < len(nodes) else f"{top}-node{number + 1}"
            lines += [f"    {name}:", "      failover:", f"        service: {top}-node{number}"]
            lines.append(f"        fallback: {after}")
    for name, nodes in services.items():
        lines += [f"    {name}:", "      loadBalancer:", "        passHostHeader: true"]
        # A session stays with its node while that one drains, or its store is away, and takes no new ones.
        if not values.routes_sessions or name == top:
            lines += ["        healthCheck:", f"          path: {values.health_path}"]
            lines += [f"          interval: {INTERVAL}s", f"          timeout: {TIMEOUT}s"]
        if values.tls_behind:
            lines.append(f"        serversTransport: {top}")
        lines += ["        servers:"]
        lines += [f'        - url: "{values.scheme}://{_bracket(item.address)}:{values.port}"' for item in nodes]
    if values.tls_behind:
        # The certificate is for the server name, and the nodes are asked by address.
        lines += ["  serversTransports:", f"    {top}:", f"      serverName: {values.server_name}"]
        lines += ['      rootCAs: ["/path/to/upstream-ca.pem"]']
    return "\n".join(lines) + "\n"


def _render_aws(values: Values) -> Iterator[str]:
    protocol, behind = ("HTTPS" if values.tls else "HTTP"), ("HTTPS" if values.tls_behind else "HTTP")
    yield "For an Application Load Balancer of AWS; or set rtc_aws_load_balancer, and a run does all of it:"
    yield f"- target group: {behind}, port {values.port}, protocol version HTTP1, deregistration delay 30 s;"
    yield f"  the health check and the targets as above, on port {values.port}"
    if values.routes_sessions:
        yield "- one more target group for each node, with that node alone"
    certificate = (
        f", certificate and policy as those of the listener on {values.application_port}" if values.tls else ""
    )
    yield f"- listener: {protocol} on port {values.port}{certificate}; forward to the target group of all"
    for item in values.serving if values.routes_sessions else []:
        yield f"- rule: query string, key sid, value *.{item.label}: forward to the target group of {item.node}"
    yield f"- load balancer: idle timeout at least {values.idle} s"
    yield f"- security group of the load balancer: TCP {values.port} from where {values.application_port} is open"
    yield f"- security group of the nodes: TCP {values.port} from the load balancer"


RENDERERS: dict[str, Callable[[Values], Iterator[str]]] = {
    "aws_alb": _render_aws,
    "f5": _render_f5,
    "azure_gateway": _render_azure,
    "kubernetes": _render_kubernetes,
    "traefik": _render_traefik,
}
