# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about load balancers of providers and proxies set by hand: entries of the catalogue, from RTC480."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType

ENTRIES: tuple[FindingType, ...] = (
    FindingType(
        id="RTC480",
        severity="error",
        title="AWS cannot be asked",
        meaning="What the load balancer has is unknown, so nothing is changed for its sites.",
        detected=(
            "rtc_aws_load_balancer is set, and boto3, a region, credentials or a permission is missing, or AWS was not"
            " reached."
        ),
        remedy="Install boto3 on the controller; give region, credentials and the permissions of docs/aws.md.",
        role="aws_listener",
        vendor_requirements=("S28",),
    ),
    FindingType(
        id="RTC481",
        severity="error",
        title="The load balancer cannot be used",
        meaning="RTC needs an Application Load Balancer: it knows paths, query strings and WebSockets.",
        detected="There is none of that name or ARN, it is a network or gateway load balancer, or it has failed.",
        remedy="Correct rtc_aws_load_balancer or rtc_aws_region.",
        role="aws_listener",
        vendor_requirements=("S28",),
    ),
    FindingType(
        id="RTC482",
        severity="error",
        title="A host cannot be a target of the load balancer",
        meaning="The load balancer would send no requests there.",
        detected=(
            "An instance does not exist or is in another VPC, an address is outside of the VPC, instances and addresses"
            " are mixed, or a node of the site is not in this run."
        ),
        remedy="Set rtc_aws_target of each host to its EC2 instance, or to its address in the load balancer's VPC.",
        role="aws_listener",
    ),
    FindingType(
        id="RTC483",
        severity="error",
        title="No certificate, or no TLS policy, for the listener",
        meaning="Browsers refuse a certificate that is not for the server name; AWS refuses one that is not issued.",
        detected=(
            "Neither rtc_aws_certificate nor a certificate of the application's listener exists, is issued, has not"
            " expired, and is for the server name. Or AWS does not know rtc_aws_tls_policy."
        ),
        remedy="Set rtc_aws_certificate to the ARN of an issued certificate for the server name.",
        role="aws_listener",
    ),
    FindingType(
        id="RTC484",
        severity="error",
        title="The RTC port of the load balancer is taken",
        meaning="A port of a load balancer has one listener, and what others made is left alone.",
        detected=(
            "Two sites have one load balancer and one RTC port, or the listener, or target group, there has not the"
            " site's tags."
        ),
        remedy="Give one of the sites another rtc_port or load balancer, or remove the listener that is there.",
        role="aws_listener",
    ),
    FindingType(
        id="RTC485",
        severity="warning",
        title="The load balancer's security groups let nobody reach the RTC port",
        meaning="A run opens the RTC port for whoever may reach the application; nobody was found who may.",
        detected="No rule of the load balancer's security groups lets anybody come to the application's port.",
        remedy="Open the RTC port of the security group for your users.",
    ),
    FindingType(
        id="RTC486",
        severity="warning",
        title="Nothing takes over behind the AWS load balancer",
        meaning=(
            "Without a shared store one node serves RTC, and a load balancer of AWS has no standby targets. When"
            " the node fails, RTC is down until a run names another one."
        ),
        detected="Several nodes behind rtc_aws_load_balancer, and no rtc_store_url.",
        remedy="Set rtc_store_url: then all nodes serve. See docs/scaling.md.",
        vendor_requirements=("S31",),
    ),
    FindingType(
        id="RTC487",
        severity="info",
        title="A proxy to be configured by hand",
        meaning="It has to forward the RTC port; this collection cannot configure it, and says what to set there.",
        detected="rtc_proxy_kind is f5, azure_gateway, kubernetes or traefik.",
        remedy="Set there what the finding lists, then run verify.",
        vendor_requirements=("S12", "S01"),
    ),
    FindingType(
        id="RTC488",
        severity="warning",
        title="A load balancer that cannot send a session to its node",
        meaning=(
            "Polling needs all requests of a session at one node. Where the load balancer cannot choose by the query"
            " string, only one node may serve."
        ),
        detected="rtc_proxy_kind is azure_gateway, and several nodes share a store.",
        remedy="Let it send requests to one node only, or put a proxy in front of the nodes that can.",
        vendor_requirements=("S31",),
    ),
)
