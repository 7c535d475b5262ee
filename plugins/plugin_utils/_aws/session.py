# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking AWS, with boto3: a session as the collection amazon.aws has it, and errors that say what is missing.

boto3 is needed by sites behind an AWS load balancer only, so it is imported when one is there.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import AwsError, Problem

OPTIONS = ("region", "profile", "access_key", "secret_key", "session_token", "role_arn", "endpoint_url")
SERVICES = {"elbv2": "elasticloadbalancing"}  # as policies of IAM name them, where boto3 has another name
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
INVALID = (
    *("InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "SignatureDoesNotMatch"),
    *("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "RequestExpired"),
)
HOW_TO_LOG_IN = (
    "Set rtc_aws_profile, or rtc_aws_access_key and rtc_aws_secret_key, or what boto3 reads: AWS_PROFILE,"
    " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws, the role of the controller's instance."
)


@dataclass(frozen=True)
class Access:
    """How AWS is reached. "" for what boto3 finds by itself."""

    region: str = ""
    profile: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    role_arn: str = ""  # to be assumed
    endpoint_url: str = ""


class Aws:
    """The clients of one account and region, made when they are used; it counts its calls.

    Throttled requests are sent again by botocore, ten times at most, later each time.
    """

    def __init__(self, access: Access) -> None:
        """Open a session.

        :raises AwsError: no boto3, region or credentials.
        """
        self.access = access
        self.calls = 0
        try:
            self._boto3: Any = importlib.import_module("boto3")
            self._config: Any = importlib.import_module("botocore.config")
            self.exceptions: Any = importlib.import_module("botocore.exceptions")
        except ImportError:
            remedy = f"Install it for the Python that runs Ansible: {sys.executable} -m pip install boto3."
            raise _refuse("boto3 is not installed on the controller, and AWS is asked with it.", remedy) from None
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        try:
            self._session = self._open(access)
        except self.exceptions.BotoCoreError as error:
            raise self._explain(error, "sts", "") from None
        except self.exceptions.ClientError as error:
            raise self._explain(error, "sts", "AssumeRole") from None

    def _open(self, access: Access) -> Any:
        if bool(access.access_key) != bool(access.secret_key):
            raise _refuse(
                "One of rtc_aws_access_key and rtc_aws_secret_key is given, and both are needed.", HOW_TO_LOG_IN
            )
        session = self._boto3.Session(
            aws_access_key_id=access.access_key or None,
            aws_secret_access_key=access.secret_key or None,
            aws_session_token=access.session_token or None,
            profile_name=access.profile or None,
            region_name=access.region or os.environ.get("AWS_REGION") or None,
        )
        if not session.region_name:
            raise _refuse(
                "No AWS region is known.",
                "Set rtc_aws_region, such as eu-central-1, or AWS_REGION, or one in ~/.aws/config.",
            )
        if session.get_credentials() is None:
            raise _refuse("No credentials for AWS were found.", HOW_TO_LOG_IN)
        if not access.role_arn:
            return session
        answer = self._make_client(session, "sts").assume_role(RoleArn=access.role_arn, RoleSessionName="collab-rtc")
        given = answer["Credentials"]
        return self._boto3.Session(
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
            region_name=session.region_name,
        )

    def _make_client(self, session: Any, service: str) -> Any:
        config = self._config.Config(
            retries={"mode": "standard", "max_attempts": 10},
            connect_timeout=10,
            read_timeout=30,
            user_agent_extra="collab.rtc",
        )
        return session.client(service, endpoint_url=self.access.endpoint_url or None, config=config)

    @property
    def region(self) -> str:
        """Such as "eu-central-1"."""
        return str(self._session.region_name)

    def call(self, service: str, call: str, **request: Any) -> dict[str, Any]:
        """One call.

        :param call: as boto3 names it: "describe_listeners".
        :raises AwsError: AWS was not reached, or refuses.
        """
        self.calls += 1
        try:
            answer: dict[str, Any] = getattr(self._client(service), call)(**request)
        except (self.exceptions.BotoCoreError, self.exceptions.ClientError) as error:
            raise self._explain(error, service, _name_operation(call)) from None
        return answer

    def list_all(self, service: str, call: str, key: str, **request: Any) -> list[dict[str, Any]]:
        """The items of all pages of an answer; as :meth:`call` otherwise."""
        found: list[dict[str, Any]] = []
        try:
            client = self._client(service)
            pages = (
                client.get_paginator(call).paginate(**request)
                if client.can_paginate(call)
                else [getattr(client, call)(**request)]
            )
            for page in pages:
                self.calls += 1
                found += page[key]
        except (self.exceptions.BotoCoreError, self.exceptions.ClientError) as error:
            raise self._explain(error, service, _name_operation(call)) from None
        return found

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._make_client(self._session, service)
        return self._clients[service]

    def _explain(self, error: Exception, service: str, operation: str) -> AwsError:
        """What an error of boto3 means. Its text may name an access key's id, never a secret."""
        code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
        action = f"{SERVICES.get(service, service)}:{operation}"
        name = type(error).__name__
        text = " ".join(str(error).split())
        if code in DENIED:
            return _refuse(f"AWS does not allow {action}: {text}.", f"Give the role or user the action {action}.", code)
        if code in INVALID:
            return _refuse(f"AWS refuses the credentials at {action}: {text}.", HOW_TO_LOG_IN, code)
        if name in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "CredentialRetrievalError"):
            return _refuse(f"There are no credentials for AWS: {text}.", HOW_TO_LOG_IN)
        if not code:
            remedy = "See that the controller reaches AWS, and that rtc_aws_region and rtc_aws_endpoint_url are right."
            return _refuse(f"AWS was not reached for {action}: {text}.", remedy)
        return _refuse(f"{action} failed: {text}.", "Correct what AWS names, and run again.", code)


def _name_operation(call: str) -> str:
    return "".join(word.capitalize() for word in call.split("_"))


def _refuse(text: str, remedy: str, code: str = "") -> AwsError:
    return AwsError(Problem("access", text.replace("..", "."), remedy), code)
