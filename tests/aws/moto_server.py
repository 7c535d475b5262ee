# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""moto's server, with more of what AWS does: ``moto_server.py PORT``.

moto knows those attributes only that a client has set before. AWS gives every load balancer and target group all of
them from the start (ELB API reference, ``ModifyLoadBalancerAttributes`` and ``ModifyTargetGroupAttributes``). And AWS
lets a target group be at one load balancer only (``TargetGroupAssociationLimit``).
"""

from __future__ import annotations

import sys
from typing import Any

LOAD_BALANCER = {
    "client_keep_alive.seconds": "3600",
    "idle_timeout.timeout_seconds": "60",
    "routing.http2.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "waf.fail_open.enabled": "false",
}
TARGET_GROUP = {
    "deregistration_delay.timeout_seconds": "300",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "slow_start.duration_seconds": "0",
    "stickiness.app_cookie.cookie_name": "",
    "stickiness.app_cookie.duration_seconds": "86400",
    "stickiness.enabled": "false",
    "stickiness.lb_cookie.duration_seconds": "86400",
    "stickiness.type": "lb_cookie",
}


def give_attributes() -> None:
    """Make moto's objects begin with AWS's attributes."""
    from moto.elbv2 import models

    _extend(models.FakeLoadBalancer, "attrs", LOAD_BALANCER)
    _extend(models.FakeTargetGroup, "attributes", TARGET_GROUP)


def _extend(kind: type, name: str, attributes: dict[str, str]) -> None:
    begin = kind.__init__  # type: ignore[misc]

    def begin_with_attributes(self: object, *args: object, **options: object) -> None:
        begin(self, *args, **options)
        known = getattr(self, name)
        for key, value in attributes.items():
            known.setdefault(key, value)

    kind.__init__ = begin_with_attributes  # type: ignore[misc]


def limit_associations() -> None:
    """Refuse a listener whose target group is at another load balancer."""
    from moto.elbv2 import models
    from moto.elbv2.exceptions import ELBClientError

    begin = models.ELBv2Backend.create_listener

    def create_listener(self: models.ELBv2Backend, load_balancer_arn: str, *args: Any, **options: Any) -> Any:
        arns = {action.get("TargetGroupArn") for action in options["actions"]}
        for balancer in self.load_balancers.values():
            for listener in balancer.listeners.values():
                rules = listener.rules.values()
                used = {action.data.get("TargetGroupArn") for rule in rules for action in rule.actions}
                if balancer.arn != load_balancer_arn and arns & used:
                    text = "Target groups cannot be associated with more than one load balancer"
                    raise ELBClientError("TargetGroupAssociationLimit", text)
        return begin(self, load_balancer_arn, *args, **options)

    models.ELBv2Backend.create_listener = create_listener  # type: ignore[method-assign]


if __name__ == "__main__":
    give_attributes()
    limit_associations()
    from moto.server import main

    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
