// The client and the server library of Pusher Channels for Java, on different nodes.
// Arguments: the port of each node; the id, the key and the secret of the app; the key of encrypted channels.

import com.pusher.client.ChannelAuthorizer;
import com.pusher.client.Pusher;
import com.pusher.client.PusherOptions;
import com.pusher.client.channel.PresenceChannelEventListener;
import com.pusher.client.channel.PrivateChannel;
import com.pusher.client.channel.PrivateEncryptedChannelEventListener;
import com.pusher.client.channel.PusherEvent;
import com.pusher.client.channel.User;
import com.pusher.client.connection.ConnectionEventListener;
import com.pusher.client.connection.ConnectionState;
import com.pusher.client.connection.ConnectionStateChange;
import com.pusher.rest.data.Event;
import com.pusher.rest.data.PresenceUser;
import com.pusher.rest.data.Result;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public final class Channels {
    private static final long DEADLINE = 15;

    private static com.pusher.rest.Pusher service;
    private static int port;
    private static String key;
    private static String secret;

    public static void main(String[] arguments) throws Exception {
        port = Integer.parseInt(arguments[1]);
        key = arguments[3];
        secret = arguments[4];
        service = new com.pusher.rest.Pusher(arguments[2], key, secret, arguments[5]);
        service.setHost("127.0.0.1:" + arguments[0]);
        service.setEncrypted(false);
        run("publishes", Channels::publishes);
        run("members", Channels::members);
        run("encrypted", Channels::encrypted);
        run("users", Channels::users);
        run("errors", Channels::errors);
        // The threads of the libraries would keep the process alive.
        System.exit(0);
    }

    private interface Test {
        void run() throws Exception;
    }

    private static void run(String name, Test test) {
        try {
            test.run();
        } catch (Throwable failure) {
            System.out.println("not ok " + name);
            failure.printStackTrace(System.out);
            System.exit(1);
        }
        System.out.println("ok " + name);
    }

    private static void publishes() throws Exception {
        Client ada = new Client("ada");
        Client ben = new Client("ben");
        for (Client client : List.of(ada, ben)) {
            client.pusher.subscribe("news", client, "event", "end");
            client.expect("subscribed news");
        }
        PrivateChannel room = ada.pusher.subscribePrivate("private-room", ada, "client-typing", "event");
        ada.expect("subscribed private-room");
        ben.pusher.subscribePrivate("private-room", ben, "client-typing", "event");
        ben.expect("subscribed private-room");
        ok(service.trigger(List.of("news", "private-room"), "event", Map.of("text", "<\u017e>"), ben.id()));
        ada.expect("event news {\"text\":\"<\u017e>\"}");
        ada.expect("event private-room {\"text\":\"<\u017e>\"}");
        room.trigger("client-typing", "{\"by\":\"ada\"}");
        ben.expect("client-typing private-room {\"by\":\"ada\"}");
        ok(service.trigger(List.of(new Event("news", "event", "text"), new Event("news", "end", 1))));
        for (Client client : List.of(ada, ben)) {
            // This library sends all data as JSON.
            client.expect("event news \"text\"");
            client.expect("end news 1");
        }
        ada.pusher.disconnect();
        ben.pusher.disconnect();
    }

    private static void members() throws Exception {
        Client ada = new Client("ada");
        ada.pusher.subscribePresence("presence-room", ada, "client-typing");
        ada.expect("members [ada]");
        ada.expect("subscribed presence-room");
        Client ben = new Client("ben");
        var room = ben.pusher.subscribePresence("presence-room", ben);
        ben.expect("members [ada, ben]");
        ben.expect("subscribed presence-room");
        ada.expect("joined ben {\"name\":\"ben\"}");
        room.trigger("client-typing", "{}");
        ada.expect("client-typing presence-room {} of ben");
        String answer = ok(service.get("/channels/presence-room", Map.of("info", "user_count,subscription_count")));
        check(answer.contains("\"user_count\":2"), answer);
        answer = ok(service.get("/channels", Map.of("filter_by_prefix", "presence-", "info", "user_count")));
        check(answer.equals("{\"channels\":{\"presence-room\":{\"user_count\":2}}}"), answer);
        answer = ok(service.get("/channels/presence-room/users"));
        check(answer.contains("{\"id\":\"ada\"}") && answer.contains("{\"id\":\"ben\"}"), answer);
        ben.pusher.disconnect();
        ada.expect("left ben");
        ada.pusher.disconnect();
    }

    private static void encrypted() throws Exception {
        Client ada = new Client("ada");
        ada.pusher.subscribePrivateEncrypted("private-encrypted-room", ada, "secret");
        ada.expect("subscribed private-encrypted-room");
        ok(service.trigger("private-encrypted-room", "secret", Map.of("text", "\u017e")));
        ada.expect("secret private-encrypted-room {\"text\":\"\u017e\"}");
        ada.pusher.disconnect();
    }

    private static void users() throws Exception {
        Client ada = new Client("ada");
        ada.pusher.user().bind("letter", ada);
        ada.pusher.signin();
        await("ada is signed in", () -> "ada".equals(ada.pusher.user().userId()));
        // The client subscribes to the channel of the user by itself, and tells nobody when that is done. The
        // server library refuses the name of the channel, but posts what it is given.
        String letter = "{\"name\":\"letter\",\"channel\":\"#server-to-user-ada\",\"data\":\"1\"}";
        await("ada gets a letter", () -> {
            ok(service.post("/events", letter));
            return ada.heard.poll(20, TimeUnit.MILLISECONDS) != null;
        });
        ada.pusher.disconnect();
    }

    private static void errors() throws Exception {
        Client ada = new Client("ada");
        ada.pusher.subscribePrivate("private-forged", ada);
        ada.expectError();
        check(service.trigger("news", "event", "x".repeat(10_240)).getHttpStatus() == 413, "too long with its quotes");
        var stranger = new com.pusher.rest.Pusher("1", key, "another");
        stranger.setHost("127.0.0.1:" + port);
        stranger.setEncrypted(false);
        Result refused = stranger.trigger("news", "event", "");
        check(refused.getStatus() == Result.Status.AUTHENTICATION_ERROR, refused.toString());
        ada.pusher.disconnect();
    }

    private static String ok(Result result) {
        check(result.getStatus() == Result.Status.SUCCESS, result.getHttpStatus() + " " + result.getMessage());
        return result.getMessage();
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("not so: " + what);
        }
    }

    private interface Condition {
        boolean holds() throws Exception;
    }

    private static void await(String what, Condition condition) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(DEADLINE);
        while (!condition.holds()) {
            check(System.nanoTime() < end, what);
            Thread.sleep(20);
        }
    }

    /** What the endpoint of an application answers. */
    private static String authorize(String user, String channel, String socket) {
        if (channel.endsWith("-forged")) {
            return "{\"auth\":\"" + key + ":" + "0".repeat(64) + "\"}";
        }
        if (channel.startsWith("presence-")) {
            return service.authenticate(socket, channel, new PresenceUser(user, Map.of("name", user)));
        }
        return service.authenticate(socket, channel);
    }

    /** The server library has no method for it. */
    private static String authenticate(String user, String socket) {
        try {
            String data = "{\"id\":\"" + user + "\"}";
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
            StringBuilder hex = new StringBuilder();
            for (byte each : mac.doFinal((socket + "::user::" + data).getBytes(StandardCharsets.UTF_8))) {
                hex.append(String.format("%02x", each));
            }
            return "{\"auth\":\"" + key + ":" + hex + "\",\"user_data\":\"" + data.replace("\"", "\\\"") + "\"}";
        } catch (java.security.GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    /** A client, which queues what it hears. */
    private static final class Client
        implements PresenceChannelEventListener, PrivateEncryptedChannelEventListener, ConnectionEventListener {
        private final BlockingQueue<String> heard = new LinkedBlockingQueue<>();
        private final Pusher pusher;

        Client(String user) throws Exception {
            ChannelAuthorizer authorizer = (channel, socket) -> authorize(user, channel, socket);
            PusherOptions options = new PusherOptions()
                .setHost("127.0.0.1")
                .setWsPort(port)
                .setUseTLS(false)
                .setChannelAuthorizer(authorizer)
                .setUserAuthenticator(socket -> authenticate(user, socket));
            pusher = new Pusher(key, options);
            pusher.connect(this, ConnectionState.CONNECTED);
            expect("connected");
        }

        String id() {
            return pusher.getConnection().getSocketId();
        }

        /** The next that it hears, which must be this. */
        void expect(String what) throws InterruptedException {
            String next = heard.poll(DEADLINE, TimeUnit.SECONDS);
            check(what.equals(next), what + " but " + next);
        }

        void expectError() throws InterruptedException {
            String next = heard.poll(DEADLINE, TimeUnit.SECONDS);
            check(next != null && next.startsWith("error"), "an error, but " + next);
        }

        @Override
        public void onConnectionStateChange(ConnectionStateChange change) {
            heard.add("connected");
        }

        @Override
        public void onError(String message, String code, Exception error) {
            // The library may subscribe a second time what is subscribed while it connects.
            if (!message.startsWith("Existing subscription")) {
                heard.add("error " + code + " " + message);
            }
        }

        @Override
        public void onEvent(PusherEvent event) {
            String sender = event.getUserId() == null ? "" : " of " + event.getUserId();
            heard.add(event.getEventName() + " " + event.getChannelName() + " " + event.getData() + sender);
        }

        @Override
        public void onSubscriptionSucceeded(String channel) {
            heard.add("subscribed " + channel);
        }

        @Override
        public void onAuthenticationFailure(String message, Exception error) {
            heard.add("refused " + message);
        }

        @Override
        public void onDecryptionFailure(String event, String reason) {
            heard.add("unreadable " + event + " " + reason);
        }

        @Override
        public void onUsersInformationReceived(String channel, Set<User> users) {
            heard.add("members " + users.stream().map(User::getId).sorted().toList());
        }

        @Override
        public void userSubscribed(String channel, User user) {
            heard.add("joined " + user.getId() + " " + user.getInfo());
        }

        @Override
        public void userUnsubscribed(String channel, User user) {
            heard.add("left " + user.getId());
        }
    }
}
