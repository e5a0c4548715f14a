import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/** java.net.http.HttpClient as it comes: over HTTP it offers `Upgrade: h2c`, over TLS h2 by ALPN. */
final class Jdk {
    public static void main(String[] args) throws Exception {
        HttpClient client = client();
        Calls.run(call -> {
            var body = call.body().isEmpty() ? BodyPublishers.noBody() : BodyPublishers.ofString(call.body());
            var request = HttpRequest.newBuilder(call.uri()).method(call.method(), body);
            if (call.authorised()) {
                request.header("Authorization", call.authorization());
            }
            if (!call.body().isEmpty()) {
                request.header("Content-Type", "application/json");
            }
            if (!call.key().isEmpty()) {
                request.header("Idempotency-Key", call.key()).header("Prefer", "wait=10");
            }
            var answer = client.send(request.build(), BodyHandlers.ofString());
            return new Calls.Answer(
                    answer.statusCode(), answer.body(), answer.headers().firstValue("Request-Id").orElse(""));
        });
    }

    static HttpClient client() throws Exception {
        return Calls.tls() ? HttpClient.newBuilder().sslContext(Calls.context()).build() : HttpClient.newHttpClient();
    }
}
