# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may ask AWS: credentials, region, permissions, and an AWS that is busy. A server in front of moto refuses calls."""

from __future__ import annotations

import http.client
import http.server
import importlib
import re
import socket
import threading
import urllib.parse

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._aws import applying, session
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import AwsError
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.session import Access, Aws

ERROR = "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error></ErrorResponse>"
EC2_ERROR = "<Response><Errors><Error><Code>{code}</Code><Message>{text}</Message></Error></Errors></Response>"


class Front:
    """A server that passes requests on to moto, and refuses those of some actions."""

    def __init__(self, url):
        self.moto = urllib.parse.urlsplit(url).netloc
        self.refused = {}  # action -> [code, how often; None: always]
        self.asked = []
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, answer = front.answer(self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path, headers, body):
        action = urllib.parse.parse_qs(body.decode()).get("Action", [""])[0]
        action = action or headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.asked.append(action)
        rule = self.refused.get(action)
        if rule and (rule[1] is None or rule[1] > 0):
            rule[1] = None if rule[1] is None else rule[1] - 1
            text = f"User: arn:aws:iam::123456789012:user/rtc is not authorized to perform: {action}"
            if "X-Amz-Target" in headers:
                kind = [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", rule[0])]
                return 400, kind, f'{{"__type": "{rule[0]}", "message": "{text}"}}'.encode()
            pattern = EC2_ERROR if "SecurityGroup" in action or "Instances" in action else ERROR
            return (
                403 if "Denied" in rule[0] else 400,
                [("Content-Type", "text/xml")],
                pattern.format(code=rule[0], text=text).encode(),
            )
        connection = http.client.HTTPConnection(self.moto, timeout=20)
        connection.request("POST", path, body, {key: value for key, value in headers.items() if key != "Host"})
        answer = connection.getresponse()
        content = answer.read()
        kept = [item for item in answer.getheaders() if item[0].lower() in ("content-type", "x-amzn-requestid")]
        connection.close()
        return answer.status, kept, content


@pytest.fixture
def front(cloud):
    made = Front(cloud.url)
    cloud.access["endpoint_url"] = made.url
    yield made
    made.server.shutdown()
    made.server.server_close()


def fails(cloud, wanted=None):
    with pytest.raises(AwsError) as caught:
        applying.examine(cloud.aws(), wanted or cloud.want())
    text = str(caught.value)
    assert "a-very-secret-key" not in text
    assert caught.value.problem.kind == "access"
    return text


@pytest.mark.parametrize(
    ("action", "code", "permission"),
    [
        ("DescribeLoadBalancers", "AccessDenied", "elasticloadbalancing:DescribeLoadBalancers"),
        ("DescribeTags", "AccessDenied", "elasticloadbalancing:DescribeTags"),
        ("DescribeTargetGroups", "AccessDenied", "elasticloadbalancing:DescribeTargetGroups"),
        ("DescribeListenerCertificates", "AccessDenied", "elasticloadbalancing:DescribeListenerCertificates"),
        ("DescribeSecurityGroupRules", "UnauthorizedOperation", "ec2:DescribeSecurityGroupRules"),
        ("DescribeInstances", "UnauthorizedOperation", "ec2:DescribeInstances"),
        ("DescribeCertificate", "AccessDeniedException", "acm:DescribeCertificate"),
    ],
)
def test_a_permission_that_is_missing_is_named(cloud, front, action, code, permission):
    front.refused[action] = [code, None]
    before = cloud.see()
    text = fails(cloud)
    assert f"AWS does not allow {permission}" in text
    assert f"the action {permission}." in text
    assert cloud.see() == before
    assert front.asked.count(action) == 1  # refusals are not tried again


def test_a_change_that_is_not_allowed_says_what_was_done_and_the_next_run_completes(cloud, front):
    front.refused["CreateListener"] = ["AccessDenied", None]
    with pytest.raises(
        AwsError, match=r"of \d+ steps at AWS were done.*does not allow elasticloadbalancing:CreateListener"
    ):
        cloud.converge(cloud.want())
    del front.refused["CreateListener"]
    assert cloud.converge(cloud.want())
    assert cloud.converge(cloud.want()) == []


@pytest.mark.parametrize("action", ["DescribeListeners", "DescribeTags", "CreateRule", "RegisterTargets"])
def test_a_busy_aws_is_asked_again(cloud, front, action):
    front.refused[action] = ["Throttling", 2]
    cloud.converge(cloud.want_nodes(1, 2))
    assert front.refused[action] == ["Throttling", 0]
    assert cloud.converge(cloud.want_nodes(1, 2)) == []


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "ExpiredToken", "SignatureDoesNotMatch"])
def test_credentials_that_are_refused(cloud, front, code):
    front.refused["DescribeTargetGroups"] = [code, None]
    assert "refuses the credentials" in fails(cloud)


def test_no_credentials(cloud):
    cloud.access.update(access_key="", secret_key="")
    assert "No credentials for AWS were found. Set rtc_aws_profile" in fails(cloud)


@pytest.mark.parametrize("missing", ["access_key", "secret_key"])
def test_half_a_key(cloud, missing):
    cloud.access[missing] = ""
    assert "both are needed" in fails(cloud)


def test_no_region(cloud):
    cloud.access["region"] = ""
    assert "No AWS region is known. Set rtc_aws_region" in fails(cloud)


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_of_the_environment(cloud, monkeypatch, name):
    cloud.access["region"] = ""
    monkeypatch.setenv(name, "eu-central-1")
    assert cloud.aws().region == "eu-central-1"
    assert cloud.converge(cloud.want())


def test_the_credentials_of_the_environment_and_of_a_profile(cloud, monkeypatch, tmp_path):
    cloud.access.update(access_key="", secret_key="")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    assert cloud.converge(cloud.want())
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "credentials").write_text("[rtc]\naws_access_key_id = testing\naws_secret_access_key = testing\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    cloud.access["profile"] = "rtc"
    assert cloud.converge(cloud.want()) == []


def test_no_such_profile(cloud):
    cloud.access["profile"] = "nobody"
    assert "nobody" in fails(cloud)


def test_a_role_is_assumed(cloud, front):
    cloud.access["role_arn"] = "arn:aws:iam::123456789012:role/rtc"
    cloud.converge(cloud.want())
    assert front.asked[0] == "AssumeRole"


def test_a_role_that_may_not_be_assumed(cloud, front):
    cloud.access["role_arn"] = "arn:aws:iam::123456789012:role/rtc"
    front.refused["AssumeRole"] = ["AccessDenied", None]
    assert "AWS does not allow sts:AssumeRole" in fails(cloud)


def test_an_aws_that_is_not_reached(cloud, monkeypatch):
    with socket.socket() as probe:  # bound, and not listening: nobody else gets the port
        probe.bind(("127.0.0.1", 0))
        cloud.access["endpoint_url"] = f"http://127.0.0.1:{probe.getsockname()[1]}"
        monkeypatch.setattr("time.sleep", lambda _seconds: None)
        text = fails(cloud)
    assert "AWS was not reached for elasticloadbalancing:DescribeTargetGroups" in text


def test_no_boto3(cloud, monkeypatch):
    begin = importlib.import_module

    def refuse(name, *args):
        if name.startswith("boto"):
            raise ImportError(name)
        return begin(name, *args)

    monkeypatch.setattr(session.importlib, "import_module", refuse)
    assert re.search(r"boto3 is not installed on the controller.*pip install boto3", fails(cloud))


def test_secrets_are_shown_nowhere():
    access = Access(region="eu-central-1", access_key="an-id", secret_key="a-very-secret-key", session_token="a-token")
    assert not re.search("an-id|a-very-secret-key|a-token", repr(access))
    assert not re.search("a-very-secret-key|a-token", repr(vars(Aws(access))["access"]))


def test_more_target_groups_than_a_page_has(cloud):
    for number in range(25):
        cloud.make_group(f"rtc-others-{number}", 8000 + number)
    cloud.converge(cloud.want())
    assert cloud.converge(cloud.want()) == []
