# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the application and its server.xml: RTC2xx."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType

ENTRIES = (
    FindingType(
        id="RTC201",
        severity="error",
        title="server.xml is missing or ill-formed",
        meaning="Tomcat would not start with it, and it cannot be edited safely.",
        detected="server.xml could not be read, or does not parse as XML.",
        remedy="Fix the line that the message names, or restore the file from a backup.",
        vendor_requirements=("S32",),
    ),
    FindingType(
        id="RTC202",
        severity="error",
        title="No connector for users' requests",
        meaning="The connector that users arrive at has to be known before anything is changed.",
        detected=(
            "No proxy that was seen forwards to exactly one of the live connectors of server.xml, their attributes do"
            " not tell either, or rtc_connector_port names none."
        ),
        remedy="Set rtc_connector_port to the port of the connector that the proxy, or the users, talk to.",
    ),
    FindingType(
        id="RTC203",
        severity="warning",
        title="proxyName is empty",
        meaning="Tomcat then answers with an empty server name; redirects and links break.",
        detected='The connector has proxyName="". Programs that write server.xml leave it when no name was set.',
        remedy="A run sets the name, or removes the attribute where there is no proxy.",
        role="connector",
        vendor_requirements=("S25",),
    ),
    FindingType(
        id="RTC204",
        severity="warning",
        title="proxyName is not the server name",
        meaning=(
            "The application makes links with proxyName, RTC is reached by the server name; users may know only one."
        ),
        detected="proxyName of the connector differs from rtc_server_name.",
        remedy="Check which name is in the base URL. A run sets proxyName to the server name.",
        role="connector",
        vendor_requirements=("S10", "S11", "S25", "S34"),
    ),
    FindingType(
        id="RTC205",
        severity="warning",
        title="Behind a proxy without proxyName",
        meaning="The application takes the proxy's request for one to its own port, and makes wrong links.",
        detected="A proxy forwards to the connector, or is to do so, and the connector has no proxyName.",
        remedy="A run sets proxyName, proxyPort and scheme.",
        role="connector",
        vendor_requirements=("S25",),
    ),
    FindingType(
        id="RTC206",
        severity="warning",
        title="Tomcat listens on all addresses beside a proxy on the same host",
        meaning="Users can pass the proxy by, and the proxy cannot have the same port on the external address.",
        detected="The proxy is on the same host and the connector has no loopback address.",
        remedy='A run sets address="127.0.0.1".',
        role="connector",
        vendor_requirements=("S15",),
    ),
    FindingType(
        id="RTC207",
        severity="error",
        title="The TLS connector names no key",
        meaning="RTC takes certificate and key from server.xml where Tomcat ends TLS.",
        detected=(
            "SSLEnabled is true, neither the connector nor an SSLHostConfig names a key store or PEM files, and"
            " Tomcat's default, .keystore in the home directory of its user, is not there or not known."
        ),
        remedy="Name the key store (keystoreFile on Tomcat 9 and earlier, SSLHostConfig/Certificate on all from 8.5).",
        vendor_requirements=("S20",),
    ),
    FindingType(
        id="RTC208",
        severity="warning",
        title="scheme without secure",
        meaning=(
            "The application sees https in its address but an insecure request: login and session cookies misbehave."
        ),
        detected='The connector has scheme="https" and not secure="true", and does not end TLS itself.',
        remedy='A run sets secure="true".',
        role="connector",
        vendor_requirements=("S25",),
    ),
    FindingType(
        id="RTC209",
        severity="warning",
        title="proxyPort or scheme are not what the proxy serves",
        meaning="Links of the application lead to another port or protocol than the one that users came by.",
        detected="proxyPort and scheme of the connector differ from the proxy's listener.",
        remedy="A run sets both to what the proxy serves.",
        role="connector",
        vendor_requirements=("S25", "S05"),
    ),
    FindingType(
        id="RTC210",
        severity="warning",
        title="X-Forwarded-Proto overrides the connector",
        meaning="With a RemoteIpValve, the header that the proxy sends beats scheme and secure of the connector.",
        detected=(
            "The application's Context has a RemoteIpValve and the proxy sends another protocol in its header than "
            "users speak."
        ),
        remedy="Let the proxy send the protocol that users really speak, or no such header.",
        role="reverse_proxy",
        vendor_requirements=("S25",),
    ),
    FindingType(
        id="RTC211",
        severity="warning",
        title="server.xml is written anew at each start",
        meaning="What is changed in the file is lost when the container or service starts again.",
        detected="A program that generates server.xml was found (container entry point, configuration management).",
        remedy=(
            "Set the values where the file is generated from, such as ATL_PROXY_NAME, ATL_PROXY_PORT, "
            "ATL_TOMCAT_SCHEME and ATL_TOMCAT_SECURE of the official images; then this collection has nothing to "
            "change."
        ),
    ),
    FindingType(
        id="RTC212",
        severity="info",
        title="Large wireframes cannot be saved",
        meaning=(
            "Tomcat refuses forms of more than 2 MB unless maxPostSize says otherwise; saving a large wireframe then "
            "fails."
        ),
        detected="maxPostSize of the connector is absent or not above 2097152.",
        remedy='Set maxPostSize="16777216", as newer releases do themselves.',
        vendor_requirements=("S29",),
    ),
    FindingType(
        id="RTC213",
        severity="warning",
        title="A property in the connector is unknown",
        meaning="The real value of an attribute is only known to the start script.",
        detected="An attribute has ${...} with a property that neither setenv.sh, nor unit, nor process sets.",
        remedy="Start the application, or set the property in setenv.sh.",
    ),
    FindingType(
        id="RTC214",
        severity="warning",
        title="A restart is due",
        meaning="The running application still has its previous settings.",
        detected=(
            "server.xml or the trust store is newer than the application's process; or its next start has another Java,"
            " trust store or -D option, by what setenv.sh and the unit say now. The plan is made for the next start."
        ),
        remedy="The run restarts it, unless rtc_restart_application is never: then restart it when it suits.",
        role="restart",
    ),
    FindingType(
        id="RTC215",
        severity="warning",
        title="secure on a plain connector",
        meaning="The application takes plain requests for secure ones: XSRF checks fail and cookies are not sent.",
        detected='secure="true", but users speak HTTP.',
        remedy="A run removes secure, or TLS has to be set up.",
        role="connector",
        vendor_requirements=("S25",),
    ),
    FindingType(
        id="RTC216",
        severity="error",
        title="Key store attributes that this Tomcat does not know",
        meaning=(
            "From Tomcat 10 on, keystoreFile and its siblings on the connector do nothing; the connector has no key."
        ),
        detected="An SSL connector has keystore attributes and the Tomcat is 10 or later.",
        remedy="Use SSLHostConfig with a Certificate inside the connector.",
        vendor_requirements=("S20",),
    ),
    FindingType(
        id="RTC217",
        severity="warning",
        title="The add-on may not find the key",
        meaning=(
            "The add-on's own RTC service is documented to read keystoreFile, keystorePass and keystoreType of the "
            "connector only."
        ),
        detected="The RTC service is the add-on's own, Tomcat ends TLS, and the key is in an SSLHostConfig.",
        remedy="Use rtc_service: deployed, or end TLS at a proxy.",
        vendor_requirements=("S20",),
    ),
    FindingType(
        id="RTC218",
        severity="info",
        title="Further connectors are left alone",
        meaning="Unproxied connectors for application links must not get a proxyName.",
        detected="server.xml has more than one live connector.",
        remedy="Nothing to do. Name another one with rtc_connector_port if the choice is wrong.",
    ),
    FindingType(
        id="RTC219",
        severity="warning",
        title="Two applications share their cookies",
        meaning="Cookies ignore the port: two applications under one name and path log each other's users out.",
        detected="Two sites have the same server name and the same context path.",
        remedy="Give each application a name, or a context path, of its own.",
    ),
    FindingType(
        id="RTC220",
        severity="warning",
        title="Only on loopback, and no proxy is known",
        meaning="Nobody outside the host reaches the application this way, so there is a proxy that was not found.",
        detected="The connector has a loopback address and no proxy forwards to it.",
        remedy="Name the proxy with rtc_proxy and rtc_proxy_kind.",
        vendor_requirements=("S15",),
    ),
    FindingType(
        id="RTC221",
        severity="warning",
        title="The remote proxy cannot reach a loopback connector",
        meaning="A proxy on another host needs an address that is reachable from there.",
        detected="The proxy is on another host and the connector has a loopback address.",
        remedy="A run removes the address, if rtc_proxy is right.",
        role="connector",
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC222",
        severity="error",
        title="Java not found",
        meaning="Without the Java that the application runs on, its trust store is unknown.",
        detected="No JRE was found for the application.",
        remedy="Set JAVA_HOME in setenv.sh or in the unit, or start the application.",
        vendor_requirements=("S17",),
    ),
    FindingType(
        id="RTC223",
        severity="warning",
        title="Others can change the application or its Java",
        meaning=(
            "Whoever may write a directory on the way can put another application in its place, which then runs as the"
            " application's user. Root runs nothing there."
        ),
        detected=(
            "The installation, its Java or a directory above them can be written by somebody who is neither root nor"
            " the user that the application runs as."
        ),
        remedy="Take the right to write from those that the evidence names, at the path in parentheses: chmod go-w.",
    ),
    FindingType(
        id="RTC224",
        severity="error",
        title="A value of the host cannot be used",
        meaning="The plan would hand the value on to proxy, connector and RTC server, and nobody could connect.",
        detected=(
            "Server name, ports, address, protocol and context path in server.xml, and names of the proxy's virtual"
            " hosts, are checked as variables are: a name has no scheme, port or path, and no property or example is"
            " left in place of a value. A connector that the proxy reaches by AJP cannot be used either."
        ),
        remedy="Correct the value in the file and line that the message names.",
        vendor_requirements=("S10", "S25"),
    ),
    FindingType(
        id="RTC225",
        severity="error",
        title="The password of the key is encrypted by Atlassian's tool",
        meaning="The application alone can decrypt it, so the RTC server cannot get at the connector's key.",
        detected=(
            "Tomcat ends TLS, the RTC service is the server of this collection, and the connector has"
            " productEncryptionKey."
        ),
        remedy=(
            "Name PEM files without a pass phrase in server.xml (certificateFile, certificateKeyFile), or a key store"
            " whose password stands in a file of its own (certificateKeystorePasswordFile) with Tomcat's own protocol"
            " class; or end TLS at a proxy, or use rtc_service: builtin."
        ),
        vendor_requirements=("S20",),
    ),
    FindingType(
        id="RTC226",
        severity="error",
        title="What opens the connector's key cannot be read",
        meaning=(
            "RTC takes the key from server.xml's key store. Its password is a ${...}. Passwords do not leave the"
            " host, so a run reads it there, from the one line that sets it."
        ),
        detected=(
            "The key store, its password or a file of the key is a ${...} that is unknown, or whose secret value no"
            " line gives as a whole: it is put together from parts, or a program prints it."
        ),
        remedy=(
            "Write the property as name=value into conf/catalina.properties, or as -Dname=value into one line of"
            " bin/setenv.sh or of the unit."
        ),
        vendor_requirements=("S20",),
    ),
    FindingType(
        id="RTC227",
        severity="error",
        title="The service of the application is not there",
        meaning="What the inventory names cannot restart the application.",
        detected="rtc_application_service names neither a unit nor a SysV script of the host.",
        remedy="Correct rtc_application_service: systemctl list-unit-files --type=service lists the units.",
    ),
    FindingType(
        id="RTC228",
        severity="warning",
        title="The application runs outside of its service",
        meaning=(
            "It was started by hand. To restart the service would start a second process beside it, so the restart is"
            " left to you."
        ),
        detected="The application runs, and the unit or SysV script that starts it is not active.",
        remedy="Stop it the way it was started, then start its service.",
    ),
    FindingType(
        id="RTC229",
        severity="warning",
        title="Nothing is known that restarts the application",
        meaning=(
            "A run never restarts what only happens to contain the application's process, such as a supervisor. It"
            " changes the settings and leaves the restart to you."
        ),
        detected=(
            "No unit's ExecStart and no SysV script leads to the installation, and the application's process is not the"
            " main process of a unit."
        ),
        remedy=(
            "Name the unit or SysV script that starts it with rtc_application_service, or a command that restarts it"
            " with rtc_application_restart. If there is neither, restart it by hand after the run, and set"
            " rtc_restart_application: never."
        ),
    ),
    FindingType(
        id="RTC230",
        severity="error",
        title="server.xml is mounted as a single file",
        meaning="No other file can take its place, so that it cannot be edited safely.",
        detected="The file itself is in the host's list of mounts (/proc/self/mountinfo), and has to change.",
        remedy=(
            "Make the change in the file that is mounted there, as the evidence says (findmnt shows which), or mount"
            " its directory instead."
        ),
    ),
    FindingType(
        id="RTC231",
        severity="info",
        title="The application runs in a container",
        meaning=(
            "Proxy, RTC server and checks are managed on its host as usual. Nothing in the container is changed, since"
            " its next start would throw that away; what it has to have is printed as settings for it."
        ),
        detected="The process of the application has another root directory than the host (/proc/PID/root).",
        remedy="Nothing; what is left to do for the container, RTC232 to RTC238 say.",
    ),
    FindingType(
        id="RTC232",
        severity="warning",
        title="Variables of the container do not say what users come by",
        meaning=(
            "The images of Confluence and Jira write server.xml anew at each start, from variables. Without the right"
            " ones the application makes wrong links, and refuses requests that came by the proxy."
        ),
        detected=(
            "The connector in the container's server.xml differs from what the site needs; or it is right, and the"
            " variables (ATL_PROXY_NAME, ATL_PROXY_PORT, ATL_TOMCAT_SCHEME, ATL_TOMCAT_SECURE, ATL_TOMCAT_CONTEXTPATH)"
            " are not, so that the next start loses it."
        ),
        remedy="Take over the settings that the plan prints, and make the container anew.",
        vendor_requirements=("S25",),
    ),
    FindingType(
        id="RTC233",
        severity="warning",
        title="The container does not read the trust store of its host",
        meaning=(
            "The run keeps a trust store on the host, with the JRE's authorities and the site's. The application's Java"
            " trusts the site only when it is mounted into the container and named to the JVM."
        ),
        detected=(
            "The trust store that the JVM in the container uses lacks the authority, and is not the one of the host"
            " (/proc/PID/mountinfo, -Djavax.net.ssl.trustStore)."
        ),
        remedy="Take over the settings that the plan prints, and make the container anew after the run.",
    ),
    FindingType(
        id="RTC234",
        severity="warning",
        title="The container's port is published for the wrong ones",
        meaning=(
            "Behind a proxy on the same host the application's port belongs on the loopback address, or users reach it"
            " without the proxy and its TLS. A proxy on another host reaches nothing that is published there."
        ),
        detected="The published ports, beside where the proxy is.",
        remedy="Publish the port as the plan prints it, and make the container anew.",
    ),
    FindingType(
        id="RTC235",
        severity="warning",
        title="It is unknown which ports of the container are published",
        meaning="The plan takes the container's own port for the one of the host.",
        detected=(
            "Neither the container's manager nor its files nor rules that translate addresses could be read, and no"
            " docker-proxy leads to the container."
        ),
        remedy=(
            "Let docker or podman be in /usr/bin and root's alone, so that detection can ask it; or name the address"
            " that users come by with rtc_application_port."
        ),
    ),
    FindingType(
        id="RTC236",
        severity="warning",
        title="Variables of the container have no effect",
        meaning="The image does not write server.xml from them, or the file is mounted and cannot be written.",
        detected=(
            "A variable has the right value and the connector in server.xml has another; or nothing was found in the"
            " container that writes server.xml (entry point, template)."
        ),
        remedy=(
            "Look at the container's log for why server.xml was not written. With an image that is not Atlassian's, set"
            " the attributes of the connector in the way of that image."
        ),
    ),
    FindingType(
        id="RTC237",
        severity="error",
        title="The application in the container ends TLS itself",
        meaning=(
            "The RTC server on the host needs the same certificate and key, and does not take keys out of a container."
        ),
        detected="The connector in the container has SSLEnabled, and the RTC server of this collection is to be used.",
        remedy=(
            "End TLS at a proxy on the host (rtc_proxy, rtc_tls_certificate, rtc_tls_key) and let the container speak"
            " HTTP; or set rtc_service: builtin, and publish the add-on's port."
        ),
    ),
    FindingType(
        id="RTC238",
        severity="warning",
        title="In the container the server name leads nowhere",
        meaning=(
            "Browsers reach RTC by the proxy, and the application itself asks for it by the server name, too. A name"
            " that means the host's loopback address on the host means the container's own in the container."
        ),
        detected="The server name resolves to loopback addresses only on the host; the container has its own network.",
        remedy="Give the container the host's address for the name, as the plan prints it (extra_hosts, --add-host).",
    ),
    FindingType(
        id="RTC239",
        severity="warning",
        title="A RemoteIpValve replaces proxyPort",
        meaning="Links and redirects of the application lead to port 443 or 80 instead of the one that users came by.",
        detected=(
            "The application's port is not the protocol's own, the proxy sends X-Forwarded-Proto, and the RemoteIpValve"
            " that reads it has neither that port (httpsServerPort, httpServerPort) nor portHeader."
        ),
        remedy="Give the valve the port, or let the proxy send no X-Forwarded-Proto: the connector says the protocol.",
        vendor_requirements=("S25",),
    ),
)
