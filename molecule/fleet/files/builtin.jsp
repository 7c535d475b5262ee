<%@ page contentType="text/plain" session="false" trimDirectiveWhitespaces="true" %>
<%@ page import="com.corundumstudio.socketio.Configuration, com.corundumstudio.socketio.SocketIOServer" %>
<%@ page import="java.lang.management.ManagementFactory, javax.management.ObjectName" %>
<%!
    // The lab's add-on: a Socket.IO service inside the application's own JVM, on a port of its own, as the real one is.
    private SocketIOServer server;

    @Override
    public void jspInit() {
        if (new java.io.File(getServletContext().getRealPath("/rtc-lab/off")).exists()) {
            return; // an administrator switched it off in the add-on's page
        }
        Configuration options = new Configuration();
        options.setHostname(addressOfConnector());
        options.setPort(Integer.parseInt(getServletConfig().getInitParameter("port")));
        options.getSocketConfig().setReuseAddress(true);
        server = new SocketIOServer(options);
        server.addEventListener("echo", String.class, (client, data, acknowledgement) -> acknowledgement.sendAckData(data));
        server.start();
    }

    @Override
    public void jspDestroy() {
        if (server != null) {
            server.stop();
        }
    }

    /** Where Tomcat listens; null for all addresses. */
    private static String addressOfConnector() {
        try {
            for (ObjectName name : ManagementFactory.getPlatformMBeanServer().queryNames(new ObjectName("*:type=Connector,*"), null)) {
                String address = name.getKeyProperty("address");
                if (address != null) {
                    return ObjectName.unquote(address).replaceAll("^.*/", "");
                }
            }
            return null;
        } catch (javax.management.JMException e) {
            throw new IllegalStateException(e);
        }
    }
%>
running
