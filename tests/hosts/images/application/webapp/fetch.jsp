<%@ page contentType="application/json; charset=UTF-8" session="false" trimDirectiveWhitespaces="true" %>
<%@ page import="java.net.HttpURLConnection, java.net.URL, java.security.cert.X509Certificate, javax.net.ssl.HttpsURLConnection" %>
<%!
    // Opens a URL with this JVM's own trust store and resolver. Only for the lab: it lets anyone make requests.
    private static String quote(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }

    private static String fetch(String url) {
        try {
            HttpURLConnection connection = (HttpURLConnection) new URL(url).openConnection();
            connection.setConnectTimeout(10000);
            connection.setReadTimeout(10000);
            connection.setInstanceFollowRedirects(false);
            int status = connection.getResponseCode();
            String peer = null;
            if (connection instanceof HttpsURLConnection) {
                X509Certificate leaf = (X509Certificate) ((HttpsURLConnection) connection).getServerCertificates()[0];
                peer = leaf.getSubjectX500Principal().getName();
            }
            connection.disconnect();
            return "{\"ok\": true, \"status\": " + status + ", \"error\": null, \"peer\": " + quote(peer) + "}";
        } catch (Exception e) {
            String error = e.getClass().getName() + ": " + e.getMessage();
            return "{\"ok\": false, \"status\": null, \"error\": " + quote(error) + ", \"peer\": null}";
        }
    }
%>
<%= fetch(request.getParameter("url")) %>
