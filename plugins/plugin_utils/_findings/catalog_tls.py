# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about certificates and trust: RTC3xx."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType

ENTRIES = (
    FindingType(
        id="RTC301",
        severity="warning",
        title="The application's Java does not trust the authority",
        meaning="The application connects to its own address and to RTC; without trust, RTC is DOWN.",
        detected="The authority of the given certificate is not in the trust store that the application uses.",
        remedy="A run imports the authority.",
        role="truststore",
        vendor_requirements=("S17", "S18", "S19"),
    ),
    FindingType(
        id="RTC302",
        severity="error",
        title="The chain is incomplete",
        meaning="Browsers often know the missing certificate, Java never does.",
        detected="The given certificate file does not lead to the authority.",
        remedy=(
            "Append the intermediate certificates to the file, the leaf first. Where the one that is named is the root"
            " itself, set rtc_tls_ca to it."
        ),
        vendor_requirements=("S18",),
    ),
    FindingType(
        id="RTC303",
        severity="warning",
        title="Only the leaf is trusted",
        meaning="An imported leaf is trusted even after it expired, and its renewal breaks RTC.",
        detected="The trust store has the server's own certificate and not its authority.",
        remedy="A run imports the authority; the leaf may then be removed.",
        role="truststore",
        vendor_requirements=("S18", "S19"),
    ),
    FindingType(
        id="RTC304",
        severity="warning",
        title="javax.net.ssl.trustStore makes cacerts useless",
        meaning="With this property Java reads no other trust store: imports into cacerts have no effect.",
        detected="The application's Java has -Djavax.net.ssl.trustStore.",
        remedy="Imports go to the store that the property names. Nothing to do unless it is shared or read-only.",
        role="truststore",
        vendor_requirements=("S17",),
    ),
    FindingType(
        id="RTC305",
        severity="warning",
        title="Authority made for tests",
        meaning="Its key was made by this collection on the controller. Nobody else should trust it.",
        detected="The certificate's issuer is an authority that this collection made.",
        remedy="Give a certificate of your own authority with rtc_tls_certificate and rtc_tls_key before real use.",
        vendor_requirements=("S19",),
    ),
    FindingType(
        id="RTC306",
        severity="error",
        title="Certificate without the server name",
        meaning="Browsers and Java refuse the connection, for the page and for RTC alike.",
        detected="The certificate's alternative names do not have the server name.",
        remedy="Have a certificate issued with the server name among its subjectAltNames. It serves all ports.",
        vendor_requirements=("S26", "S10"),
    ),
    FindingType(
        id="RTC307",
        severity="error",
        title="Certificate has expired",
        meaning="Every client refuses it.",
        detected="The certificate's end is in the past.",
        remedy="Renew the certificate and run again.",
        vendor_requirements=("S17",),
    ),
    FindingType(
        id="RTC308",
        severity="warning",
        title="Certificate expires soon",
        meaning="RTC and the application stop working for users on that day.",
        detected="The certificate ends within 30 days.",
        remedy="Renew the certificate and run again.",
    ),
    FindingType(
        id="RTC309",
        severity="error",
        title="Not a certificate, or not a key",
        meaning="The proxy would not start with it.",
        detected="The file or text given is missing, damaged, encrypted or something else.",
        remedy="Give PEM files: rtc_tls_certificate with BEGIN CERTIFICATE, rtc_tls_key with BEGIN PRIVATE KEY.",
    ),
    FindingType(
        id="RTC310",
        severity="error",
        title="Key and certificate do not belong together",
        meaning="The proxy would refuse to start.",
        detected="The public key of rtc_tls_key is not the one in rtc_tls_certificate.",
        remedy="Give the key that the certificate was requested with.",
    ),
    FindingType(
        id="RTC311",
        severity="error",
        title="Certificate is not yet valid",
        meaning="Every client refuses it, or the controller's clock is wrong.",
        detected="The certificate's begin is in the future.",
        remedy="Check the clock, or wait.",
        vendor_requirements=("S17",),
    ),
    FindingType(
        id="RTC312",
        severity="error",
        title="The trust store cannot be read",
        meaning="Trust cannot be checked, nor anything imported.",
        detected="The trust store in use is missing, damaged, or has another password.",
        remedy="Correct -Djavax.net.ssl.trustStore, or the password in -Djavax.net.ssl.trustStorePassword.",
        vendor_requirements=("S17",),
    ),
    FindingType(
        id="RTC314",
        severity="warning",
        title="Whether Java trusts the certificate is not known yet",
        meaning="The authority of the certificate that users see was not given, so only the verification will show it.",
        detected="Users speak TLS, and neither rtc_tls_ca nor rtc_tls_certificate nor rtc_tls_fetch is set.",
        remedy=(
            "Set rtc_tls_ca to the authority of that certificate, or rtc_tls_fetch: true to take it from the running "
            "server."
        ),
        vendor_requirements=("S17", "S18"),
    ),
    FindingType(
        id="RTC317",
        severity="info",
        title="jssecacerts is in use",
        meaning="Java reads jssecacerts instead of cacerts where it exists.",
        detected="A file jssecacerts is beside cacerts.",
        remedy="Nothing to do: imports go to jssecacerts.",
        role="truststore",
        vendor_requirements=("S17",),
    ),
    FindingType(
        id="RTC318",
        severity="error",
        title="TLS without a certificate",
        meaning="The RTC virtual host has to speak TLS as the page does, and no certificate is known.",
        detected=(
            "Users speak TLS at a proxy that is managed here, but no certificate is given and none is in its "
            "configuration."
        ),
        remedy="Set rtc_tls_certificate and rtc_tls_key.",
        vendor_requirements=("S04", "S26"),
    ),
    FindingType(
        id="RTC319",
        severity="error",
        title="The key is too small",
        meaning="Current browsers and Java refuse it.",
        detected="The certificate's key is below what clients accept (RSA 2048, EC 224).",
        remedy="Have a certificate issued with a larger key.",
        vendor_requirements=("S17",),
    ),
    FindingType(
        id="RTC320",
        severity="warning",
        title="The authority of Tomcat's certificate was not given",
        meaning="A proxy that encrypts again checks Tomcat's certificate; an unknown authority makes it answer 502.",
        detected="Protocol HTTPS with a proxy that is managed here, and no rtc_upstream_ca.",
        remedy=(
            "Set rtc_upstream_ca, and rtc_upstream_name where that certificate is for another name than the server "
            "name."
        ),
        vendor_requirements=("S18",),
    ),
    FindingType(
        id="RTC321",
        severity="warning",
        title="The trust store of its own is not in use",
        meaning="Java reads it only when its property javax.net.ssl.trustStore names it.",
        detected=(
            "The run writes that property at the end of the application's bin/setenv.sh. That cannot be done, because"
            " the script is not there, ends early or sets the property itself; or it had no effect, because something"
            " else starts the JVM."
        ),
        remedy="Set the option where the JVM is started, or remove the other one, as the finding says.",
        vendor_requirements=("S17",),
    ),
    FindingType(
        id="RTC322",
        severity="warning",
        title="The trust store is generated by the system",
        meaning=(
            "What is written into it is lost when the system's authorities are updated. So the authority becomes one of"
            " the system's anchors, which every program of the host trusts, and the store is generated again. Undoing"
            " takes the anchor away."
        ),
        detected=(
            "cacerts leads to a file that update-ca-trust (the RHEL family) or update-ca-certificates (not Debian's)"
            " generates of the system's authorities, and does not have the authority from there."
        ),
        remedy="To have only the application trust it, set rtc_truststore_path to a trust store of its own.",
        vendor_requirements=("S17",),
    ),
    FindingType(
        id="RTC323",
        severity="error",
        title="Which trust store is used is unknown",
        meaning="An import would perhaps go to a store that the application does not read after its restart.",
        detected=(
            "The options of the JVM, or its JAVA_HOME, come from the output of a command, a condition or a file that"
            " cannot be known without running the start script; and no process shows what they lead to, or the script"
            " was changed since that was started."
        ),
        remedy=(
            "Write the value in plain text in the line that the finding names: -Djavax.net.ssl.trustStore=<path>, or"
            " JAVA_HOME=<path>. Or set rtc_truststore_path to a store of its own. Or restart the application before the"
            " run, so that its process shows the value."
        ),
        vendor_requirements=("S17",),
    ),
    FindingType(
        id="RTC324",
        severity="error",
        title="Certificates in a generated trust store would be lost",
        meaning=(
            "The store would be generated again, and drops what somebody imported into it. The application, or another"
            " one, would no longer trust what it needs. The next update of the system's authorities does the same."
        ),
        detected=(
            "cacerts is generated by the system and has certificates that the bundle which is generated with it lacks."
        ),
        remedy="Put those certificates into the system's anchors too, or set rtc_truststore_path.",
        vendor_requirements=("S17",),
    ),
    FindingType(
        id="RTC325",
        severity="error",
        title="The trust store has another password",
        meaning="Nothing can be imported into it, or taken out of it.",
        detected=(
            "The authority has to go into the trust store in use, or out of it, 'changeit' does not open that, and"
            " rtc_truststore_password is not set."
        ),
        remedy="Set rtc_truststore_password, best from a vault.",
        vendor_requirements=("S17",),
    ),
    FindingType(
        id="RTC326",
        severity="error",
        title="Clients refuse the certificate",
        meaning="Browsers, Java or the checks of this collection do not connect, though name and dates are right.",
        detected=(
            "A handshake in memory with the given certificate, its key and its authority ends with a refusal: not for"
            " servers (extendedKeyUsage), an authority that may not issue it (nameConstraints, pathlen, keyUsage). Or"
            " its keyUsage lacks digitalSignature, which Java does not take."
        ),
        remedy="Have a certificate issued for servers and signatures, by an authority that may issue it.",
        vendor_requirements=("S17",),
    ),
    FindingType(
        id="RTC327",
        severity="error",
        title="The given authority is not that of the certificate",
        meaning="The application's Java would trust the given authority, and not the certificate that the proxy gets.",
        detected=(
            "The chain of rtc_tls_certificate ends with a root that neither is, nor was issued by, what rtc_tls_ca has,"
            " and that the trust store does not have."
        ),
        remedy="Set rtc_tls_ca to the root of the certificate, or leave it out: the file has that root.",
        vendor_requirements=("S17", "S18"),
    ),
)
