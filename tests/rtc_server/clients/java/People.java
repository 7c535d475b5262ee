// Copyright (c) 2026, the collab.rtc authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Socket;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.json.JSONArray;
import org.json.JSONObject;

/**
 * {@code People URL TOKEN COUNT TOTAL VERSION}: Java clients over WebSocket, polling and the upgrade, as in people.cjs.
 * VERSION is 1 (token in the query) or 2 (token in the CONNECT payload).
 */
public final class People {
    private static final String TEXT = "\u00e9\ud83d\ude00\u2028\u0001";

    private final String me;
    private final int count;
    private final int total;
    private final List<String> seen = new ArrayList<>();
    private final Set<String> open = Collections.synchronizedSet(new HashSet<>());
    private final JSONObject told = new JSONObject();
    private final CountDownLatch done = new CountDownLatch(1);
    private String failure;
    private Socket socket;

    private People(String me, int count, int total) {
        this.me = me;
        this.count = count;
        this.total = total;
    }

    public static void main(String[] args) throws Exception {
        String[][] ways = {{"websocket"}, {"polling"}, {"polling", "websocket"}};
        List<People> people = new ArrayList<>();
        for (String[] way : ways) {
            String name = way.length > 1 ? "upgrade" : way[0];
            People person = new People("java" + args[4] + "-" + name, Integer.parseInt(args[2]),
                    Integer.parseInt(args[3]));
            person.start(args[0], args[1], way, args[4]);
            people.add(person);
        }
        for (People person : people) {
            person.done.await();
            if (person.failure != null) {
                System.err.println(person.me + ": " + person.failure);
                System.exit(1);
            }
            JSONObject line = new JSONObject();
            line.put("me", person.me).put("seen", new JSONArray(person.seen)).put("told", person.told);
            System.out.println(line);
        }
        System.exit(0);
    }

    private void start(String url, String token, String[] transports, String version) throws Exception {
        IO.Options options = new IO.Options();
        options.forceNew = true;
        options.transports = transports;
        if (version.equals("1")) {
            options.query = "token=" + token;
        } else {
            options.getClass().getField("auth").set(options, Collections.singletonMap("token", token));
        }
        socket = IO.socket(url, options);
        socket.on(Socket.EVENT_CONNECT, args -> join());
        socket.on("changes", args -> page((JSONObject) args[0]));
        socket.on("change", args -> take((JSONObject) args[0]));
        socket.on("connect_error", args -> fail("connect_error " + args[0]));
        socket.connect();
    }

    private void join() {
        try {
            JSONObject body = new JSONObject().put("project", "p").put("since", seen.size());
            socket.emit("join", body, (Ack) args -> joined((JSONObject) args[0]));
        } catch (Exception e) {
            fail(e.toString());
        }
    }

    private void joined(JSONObject answer) {
        try {
            if (!answer.getBoolean("ok")) {
                fail(answer.toString());
                return;
            }
            page(answer);
            for (int i = 0; i < count; i++) {
                String id = me + "-" + i;
                open.add(id);
                JSONObject data = new JSONObject().put("id", id).put("text", TEXT)
                        .put("bytes", new JSONArray("[1,255]"));
                JSONObject body = new JSONObject().put("project", "p").put("id", id).put("data", data);
                socket.emit("change", body, (Ack) args -> answered(id, (JSONObject) args[0]));
            }
        } catch (Exception e) {
            fail(e.toString());
        }
    }

    private void page(JSONObject page) {
        try {
            JSONArray changes = page.getJSONArray("changes");
            for (int i = 0; i < changes.length(); i++) {
                take(changes.getJSONObject(i));
            }
        } catch (Exception e) {
            fail(e.toString());
        }
    }

    private void answered(String id, JSONObject answer) {
        try {
            if (!answer.getBoolean("ok")) {
                fail(answer.toString());
                return;
            }
            told.put(id, answer.getInt("revision"));
            open.remove(id);
            finish();
        } catch (Exception e) {
            fail(e.toString());
        }
    }

    private void take(JSONObject change) {
        try {
            if (change.getInt("revision") != seen.size() + 1) {
                fail("revision " + change.getInt("revision") + " after " + seen.size());
            }
            if (!change.getJSONObject("data").getString("text").equals(TEXT)) {
                fail("data was changed on its way");
            }
            seen.add(change.getString("id"));
            finish();
        } catch (Exception e) {
            fail(e.toString());
        }
    }

    private void finish() {
        if (seen.size() >= total && open.isEmpty() && told.length() == count) {
            socket.disconnect();
            done.countDown();
        }
    }

    private void fail(String why) {
        if (failure == null) {
            failure = why;
        }
        done.countDown();
    }
}
