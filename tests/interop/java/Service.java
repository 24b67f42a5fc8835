// The official Java SDK for backends, unmodified, on one node, with clients of the JDK on the other.
// Arguments: the URL of each node, and the access key.

import com.azure.core.exception.HttpResponseException;
import com.azure.core.http.policy.FixedDelayOptions;
import com.azure.core.http.policy.RetryOptions;
import com.azure.core.http.rest.RequestOptions;
import com.azure.core.util.BinaryData;
import com.azure.messaging.webpubsub.WebPubSubServiceClient;
import com.azure.messaging.webpubsub.WebPubSubServiceClientBuilder;
import com.azure.messaging.webpubsub.models.GetClientAccessTokenOptions;
import com.azure.messaging.webpubsub.models.WebPubSubContentType;
import com.azure.messaging.webpubsub.models.WebPubSubPermission;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

public final class Service {
    private static final long DEADLINE = 15;
    private static final WebPubSubContentType TEXT = WebPubSubContentType.TEXT_PLAIN;
    private static final String GROUP = "g/ 1%+:@";

    private static String here;
    private static String there;
    private static String key;

    public static void main(String[] arguments) throws Exception {
        here = arguments[0];
        there = arguments[1];
        key = arguments[2];
        run("sends", Service::sends);
        run("groups", Service::groups);
        run("finds", Service::finds);
        run("permissions", Service::permissions);
        run("closes", Service::closes);
        run("errors", Service::errors);
        // The SDK's threads would keep the process alive.
        System.exit(0);
    }

    private interface Test {
        void run(WebPubSubServiceClient service) throws Exception;
    }

    /** Runs a test in a hub of its own. */
    private static void run(String hub, Test test) throws Exception {
        try {
            test.run(backend(hub, key));
        } catch (Throwable failure) {
            System.out.println("not ok " + hub);
            failure.printStackTrace(System.out);
            System.exit(1);
        }
        System.out.println("ok " + hub);
    }

    private static WebPubSubServiceClient backend(String hub, String key) {
        String connection = "Endpoint=" + here + ";AccessKey=" + key + ";Version=1.0;";
        return new WebPubSubServiceClientBuilder()
            .connectionString(connection)
            .hub(hub)
            .retryOptions(new RetryOptions(new FixedDelayOptions(0, Duration.ofMillis(1))))
            .buildClient();
    }

    private static void sends(WebPubSubServiceClient service) throws Exception {
        Client ada = new Client(service, "ada");
        Client ben = new Client(service, "ben");
        service.sendToAll("to \u017e", TEXT);
        service.sendToAll("{\"a\":[1]}", WebPubSubContentType.APPLICATION_JSON);
        BinaryData bytes = BinaryData.fromBytes(new byte[] {0, 1, -1});
        RequestOptions but = query("excluded", ada.id);
        service.sendToAllWithResponse(bytes, WebPubSubContentType.APPLICATION_OCTET_STREAM, 3, but);
        service.sendToUser("ada", "user", TEXT);
        service.sendToConnection(ben.id, "connection", TEXT);
        BinaryData end = BinaryData.fromString("end");
        RequestOptions all = query("filter", "startswith(userId, 'a') or userId eq 'ben'");
        service.sendToAllWithResponse(end, TEXT, end.getLength(), all);
        for (Client client : List.of(ada, ben)) {
            client.expect("\"dataType\":\"text\",\"data\":\"to \u017e\"");
            client.expect("\"dataType\":\"json\",\"data\":{\"a\":[1]}");
        }
        ada.expect("\"data\":\"user\"");
        ben.expect("\"dataType\":\"binary\",\"data\":\"AAH/\"");
        ben.expect("\"data\":\"connection\"");
        ada.expect("\"data\":\"end\"");
        ben.expect("\"data\":\"end\"");
    }

    private static void groups(WebPubSubServiceClient service) throws Exception {
        Client ada = new Client(service, "ada");
        Client ben = new Client(service, "ben+@:");
        service.addConnectionToGroupWithResponse(GROUP, ada.id, null);
        service.addUserToGroupWithResponse(GROUP, "ben+@:", null);
        service.sendToGroup(GROUP, "both", TEXT);
        service.removeConnectionFromGroupWithResponse(GROUP, ada.id, null);
        service.sendToGroup(GROUP, "ben", TEXT);
        service.removeUserFromGroupWithResponse(GROUP, "ben+@:", null);
        service.sendToGroup(GROUP, "nobody", TEXT);
        service.addConnectionsToGroups(List.of("one", "two"), "userId eq 'ada'");
        service.sendToGroup("two", "ada", TEXT);
        service.removeConnectionFromAllGroupsWithResponse(ada.id, null);
        service.addUserToGroupWithResponse("two", "ben+@:", null);
        service.removeUserFromAllGroupsWithResponse("ben+@:", null);
        service.sendToGroup("two", "nobody", TEXT);
        service.sendToAll("end", TEXT);
        for (String data : List.of("both", "ada", "end")) {
            ada.expect("\"data\":\"" + data + "\"");
        }
        for (String data : List.of("both", "ben", "end")) {
            ben.expect("\"data\":\"" + data + "\"");
        }
    }

    private static void finds(WebPubSubServiceClient service) throws Exception {
        Client ada = new Client(service, "ada/1");
        service.addConnectionToGroupWithResponse(GROUP, ada.id, null);
        check(service.connectionExistsWithResponse(ada.id, null).getValue(), "the connection exists");
        check(service.userExistsWithResponse("ada/1", null).getValue(), "the user exists");
        check(service.groupExistsWithResponse(GROUP, null).getValue(), "the group exists");
        // In the first lease of a new registry, a missing entry proves nothing.
        eventually("no such connection", () -> !service.connectionExistsWithResponse("another", null).getValue());
        check(!service.userExistsWithResponse("another", null).getValue(), "no such user");
        check(!service.groupExistsWithResponse("another", null).getValue(), "no such group");
    }

    private static void permissions(WebPubSubServiceClient service) throws Exception {
        Client ada = new Client(service, "ada");
        RequestOptions target = query("targetName", "g");
        for (WebPubSubPermission permission : WebPubSubPermission.values()) {
            check(!service.checkPermissionWithResponse(permission, ada.id, target).getValue(), "not permitted");
            service.grantPermissionWithResponse(permission, ada.id, target);
            check(service.checkPermissionWithResponse(permission, ada.id, target).getValue(), "permitted");
        }
        ada.socket.sendText("{\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":1}", true).join();
        ada.expect("\"ackId\":1,\"success\":true");
        service.revokePermissionWithResponse(WebPubSubPermission.SEND_TO_GROUP, ada.id, target);
        String send = "{\"type\":\"sendToGroup\",\"group\":\"g\",\"data\":1,\"ackId\":2}";
        ada.socket.sendText(send, true).join();
        ada.expect("\"name\":\"Forbidden\"");
    }

    private static void closes(WebPubSubServiceClient service) throws Exception {
        Client ada = new Client(service, "ada");
        Client ben = new Client(service, "ben");
        Client cleo = new Client(service, "cleo");
        Client dan = new Client(service, "dan");
        service.closeConnectionWithResponse(ada.id, query("reason", "one"));
        ada.expect("one");
        service.closeUserConnectionsWithResponse("ben", query("reason", "two"));
        ben.expect("two");
        service.addConnectionToGroupWithResponse(GROUP, cleo.id, null);
        service.closeGroupConnectionsWithResponse(GROUP, query("reason", "three"));
        cleo.expect("three");
        service.closeAllConnectionsWithResponse(query("reason", "four"));
        dan.expect("four");
    }

    private static void errors(WebPubSubServiceClient service) throws Exception {
        eventually("no such connection", () -> status(service, "nobody") == 404);
        int status = status(backend("errors", key.toUpperCase()), "nobody");
        check(status == 401, "another key is refused, with 401: " + status);
    }

    /** The status of adding a connection to a group. */
    private static int status(WebPubSubServiceClient service, String id) {
        try {
            return service.addConnectionToGroupWithResponse("g", id, null).getStatusCode();
        } catch (HttpResponseException error) {
            return error.getResponse().getStatusCode();
        }
    }

    private static RequestOptions query(String name, String value) {
        return new RequestOptions().addQueryParam(name, value);
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("not so: " + what);
        }
    }

    private static void eventually(String what, Callable<Boolean> condition) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(DEADLINE);
        while (true) {
            try {
                if (condition.call()) {
                    return;
                }
            } catch (HttpResponseException error) {
                // Not known yet.
            }
            check(System.nanoTime() < end, what);
            Thread.sleep(20);
        }
    }

    /** A client of the JSON subprotocol on the other node, which queues its messages. */
    private static final class Client implements WebSocket.Listener {
        private final BlockingQueue<String> messages = new LinkedBlockingQueue<>();
        private final StringBuilder partial = new StringBuilder();
        private final WebSocket socket;
        private final String id;

        Client(WebPubSubServiceClient service, String user) throws Exception {
            GetClientAccessTokenOptions options = new GetClientAccessTokenOptions().setUserId(user);
            URI url = URI.create(service.getClientAccessToken(options).getUrl());
            URI node = URI.create(there.replaceFirst("http", "ws") + url.getRawPath() + "?" + url.getRawQuery());
            socket = HttpClient.newHttpClient()
                .newWebSocketBuilder()
                .subprotocols("json.webpubsub.azure.v1")
                .connectTimeout(Duration.ofSeconds(DEADLINE))
                .buildAsync(node, this)
                .get(DEADLINE, TimeUnit.SECONDS);
            String connected = expect("\"event\":\"connected\"");
            id = connected.replaceFirst(".*\"connectionId\":\"([^\"]*)\".*", "$1");
        }

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence text, boolean last) {
            partial.append(text);
            if (last) {
                messages.add(partial.toString());
                partial.setLength(0);
            }
            socket.request(1);
            return null;
        }

        /** The next message, which must contain this. */
        String expect(String part) throws InterruptedException {
            String message = messages.poll(DEADLINE, TimeUnit.SECONDS);
            check(message != null && message.contains(part), part + " in " + message);
            return message;
        }
    }
}
