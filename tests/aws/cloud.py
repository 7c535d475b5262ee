# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""moto's server, and an account there: a load balancer with much that is not ours. The scenario ``cluster`` has one, too."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ansible_collections.collab.rtc.plugins.plugin_utils._aws import applying, arrangement, observing
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import Target, WantedListener
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.session import Access, Aws
from ansible_collections.collab.rtc.tests.unit.servers import Authority

HERE = Path(__file__).parent
REGION = "eu-central-1"
NAME, INVENTORY = "wiki.example.com", "production/hosts.yml"
POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
DEADLINE = 60  # seconds


@contextlib.contextmanager
def serve_moto():
    """The address of a moto server that runs meanwhile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {**os.environ, "MOTO_ACM_VALIDATION_WAIT": "86400", "PYTHONPATH": ""}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "moto_server.py"), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=settings,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + DEADLINE
        while True:
            assert process.poll() is None, "moto's server ended"
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=5):
                break
            assert time.monotonic() < end, "moto's server does not answer"
            time.sleep(0.05)  # between two attempts
        yield url
    finally:
        process.kill()  # it keeps nothing, and takes its time otherwise
        process.wait(DEADLINE)


class Cloud:
    """An account: two VPCs with instances, a load balancer with the application's listener and somebody else's."""

    def __init__(self, url):
        self.url = url
        self.access = {
            "region": REGION,
            "access_key": "testing",
            "secret_key": "a-very-secret-key",
            "endpoint_url": url,
        }
        request = urllib.request.Request(f"{url}/moto-api/reset", method="POST")
        urllib.request.urlopen(request, timeout=DEADLINE).close()
        self.elb, self.ec2, self.acm, self.iam = (self.client(name) for name in ("elbv2", "ec2", "acm", "iam"))
        self.vpc, self.subnets = self.make_vpc("10.9.0.0/16", "10.9.{}.0/24")
        self.group = self.ec2.create_security_group(GroupName="alb", Description="alb", VpcId=self.vpc)["GroupId"]
        for port, source in ((443, "10.0.0.0/8"), (443, "192.0.2.0/24"), (80, "10.0.0.0/8"), (8443, "203.0.113.0/24")):
            self.open(port, source)
        self.authority = Authority("Example CA")
        self.certificate = self.make_certificate("confluence.example.com", NAME)
        self.balancer = self.make_balancer("confluence")
        self.application = self.make_group("application", 8090)
        self.listen(443, certificate=self.certificate)
        self.listen(8443, certificate=self.certificate)
        self.instances = self.make_instances(self.subnets[0], 3)

    def client(self, name):
        """A client of its own: what it sees is not what our code says."""
        return boto3.client(
            name,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            endpoint_url=self.url,
            config=Config(retries={"max_attempts": 0}),
        )

    def make_vpc(self, block, pattern):
        vpc = self.ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"]
        subnets = [
            self.ec2.create_subnet(VpcId=vpc, CidrBlock=pattern.format(number), AvailabilityZone=f"{REGION}{zone}")[
                "Subnet"
            ]["SubnetId"]
            for number, zone in ((1, "a"), (2, "b"))
        ]
        return vpc, subnets

    def open(self, port, source):
        permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": source}]}
        self.ec2.authorize_security_group_ingress(GroupId=self.group, IpPermissions=[permission])

    def make_certificate(self, *names, **days):
        certificate, key = self.authority.leaf(*names, **days)
        pem, key_pem = _pem(certificate), _pem_key(key)
        return self.acm.import_certificate(Certificate=pem, PrivateKey=key_pem)["CertificateArn"]

    def make_balancer(self, name, kind="application", subnets=None):
        groups = {"SecurityGroups": [self.group]} if kind == "application" and subnets is None else {}
        answer = self.elb.create_load_balancer(
            Name=name, Subnets=subnets or self.subnets, Scheme="internal", Type=kind, **groups
        )
        return answer["LoadBalancers"][0]["LoadBalancerArn"]

    def make_group(self, name, port):
        answer = self.elb.create_target_group(
            Name=name, Protocol="HTTP", Port=port, VpcId=self.vpc, TargetType="instance"
        )
        return answer["TargetGroups"][0]["TargetGroupArn"]

    def listen(self, port, certificate="", balancer="", **more):
        tls = {"Certificates": [{"CertificateArn": certificate}], "SslPolicy": POLICY} if certificate else {}
        group = self.make_group(f"application-{port}", 8090) if balancer else self.application  # it is at one only
        answer = self.elb.create_listener(
            LoadBalancerArn=balancer or self.balancer,
            Port=port,
            Protocol="HTTPS" if certificate else "HTTP",
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
            **tls,
            **more,
        )
        return answer["Listeners"][0]["ListenerArn"]

    def make_instances(self, subnet, count):
        answer = self.ec2.run_instances(ImageId="ami-12c6146b", MinCount=count, MaxCount=count, SubnetId=subnet)
        return [item["InstanceId"] for item in answer["Instances"]]

    def set_idle(self, seconds):
        attributes = [{"Key": "idle_timeout.timeout_seconds", "Value": str(seconds)}]
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=self.balancer, Attributes=attributes)

    @property
    def idle(self):
        answer = self.elb.describe_load_balancer_attributes(LoadBalancerArn=self.balancer)
        return {item["Key"]: item["Value"] for item in answer["Attributes"]}["idle_timeout.timeout_seconds"]

    def want(self, **changes):
        """What a site of one node asks for, unless told otherwise."""
        settings = {
            "site": f"{NAME}:9083",
            "application": "confluence",
            "inventory": INVENTORY,
            "nodes": ["wiki1"],
            "load_balancer": "confluence",
            "server_name": NAME,
            "port": 9083,
            "protocol": "HTTPS",
            "targets": [Target("wiki1", self.instances[0])],
            **changes,
        }
        return WantedListener(**settings)

    def want_nodes(self, *numbers, **changes):
        """What a site of several nodes asks for."""
        targets = [Target(f"wiki{number}", self.instances[number - 1], f"label{number}") for number in numbers]
        return self.want(nodes=[item.node for item in targets], targets=targets, **changes)

    def aws(self):
        return Aws(Access(**self.access))

    def converge(self, wanted):
        """The texts of all that was done."""
        aws = self.aws()
        seen, steps = applying.examine(aws, wanted)
        applying.carry_out(aws, wanted, seen, steps)
        return [step.text for step in steps]

    def see(self):
        """All of the account that matters, as AWS describes it: what a run may not touch is the same afterwards."""
        elb, ec2 = self.elb, self.ec2
        balancers = elb.describe_load_balancers()["LoadBalancers"]
        groups = elb.describe_target_groups()["TargetGroups"]
        listeners = [
            item
            for one in balancers
            for item in elb.describe_listeners(LoadBalancerArn=one["LoadBalancerArn"])["Listeners"]
        ]
        rules = [rule for item in listeners for rule in elb.describe_rules(ListenerArn=item["ListenerArn"])["Rules"]]
        arns = [item["LoadBalancerArn"] for item in balancers] + [item["TargetGroupArn"] for item in groups]
        arns += [item["ListenerArn"] for item in listeners] + [item["RuleArn"] for item in rules]
        tags = [
            elb.describe_tags(ResourceArns=arns[start : start + 20])["TagDescriptions"]
            for start in range(0, len(arns), 20)
        ]
        return {
            "balancers": balancers,
            "attributes": [
                elb.describe_load_balancer_attributes(LoadBalancerArn=one["LoadBalancerArn"])["Attributes"]
                for one in balancers
            ],
            "listeners": listeners,
            "rules": rules,
            "groups": groups,
            "group attributes": [
                elb.describe_target_group_attributes(TargetGroupArn=one["TargetGroupArn"])["Attributes"]
                for one in groups
            ],
            "targets": [
                elb.describe_target_health(TargetGroupArn=one["TargetGroupArn"])["TargetHealthDescriptions"]
                for one in groups
            ],
            "tags": tags,
            "security": sorted(
                ec2.describe_security_group_rules()["SecurityGroupRules"], key=lambda item: item["SecurityGroupRuleId"]
            ),
            # Without what says who uses them: moto never forgets that.
            "certificates": [
                {key: value for key, value in item.items() if key not in ("InUse", "InUseBy")}
                for item in self.acm.list_certificates()["CertificateSummaryList"]
            ],
        }

    def arrange(self, wanted):
        """What the site has, in the form that ARNs and order do not matter in."""
        return arrangement.render(arrangement.arrange_seen(wanted, observing.observe(self.aws(), wanted)))


def _pem(certificate):
    return certificate.public_bytes(Encoding.PEM)


def _pem_key(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
