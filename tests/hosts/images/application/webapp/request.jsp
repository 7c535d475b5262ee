<%@ page contentType="application/json; charset=UTF-8" session="false" trimDirectiveWhitespaces="true" %>
<%!
    // What the browser's request looks like to the application, after connector and valves.
    private static String quote(String text) {
        return text == null ? "null" : "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }
%>
{"scheme": <%= quote(request.getScheme()) %>, "serverName": <%= quote(request.getServerName()) %>, "serverPort": <%= request.getServerPort() %>, "secure": <%= request.isSecure() %>, "remoteAddr": <%= quote(request.getRemoteAddr()) %>, "contextPath": <%= quote(request.getContextPath()) %>}
