// Copyright (c) 2026, the collab.rtc authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
import com.corundumstudio.socketio.Configuration;
import com.corundumstudio.socketio.SocketIOServer;
import com.fasterxml.jackson.databind.JsonNode;

/** A relay on netty-socketio: java Relay PORT. */
public class Relay {
    public static void main(String[] arguments) throws Exception {
        Configuration options = new Configuration();
        options.setHostname("127.0.0.1");
        options.setPort(Integer.parseInt(arguments[0]));
        options.getSocketConfig().setReuseAddress(true);
        options.getSocketConfig().setAcceptBackLog(1024);
        options.getSocketConfig().setTcpNoDelay(true);
        SocketIOServer server = new SocketIOServer(options);
        server.addEventListener("join", String.class, (client, room, ack) -> {
            client.joinRoom(room);
            client.set("room", room);
            ack.sendAckData("ok");
        });
        server.addEventListener("msg", JsonNode.class, (client, data, ack) ->
            server.getRoomOperations(client.<String>get("room")).sendEvent("msg", client, data));
        server.start();
        Thread.currentThread().join();
    }
}
