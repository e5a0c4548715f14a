import org.apache.hc.client5.http.classic.methods.HttpUriRequestBase;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManagerBuilder;
import org.apache.hc.client5.http.ssl.DefaultClientTlsStrategy;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.http.io.entity.EntityUtils;
import org.apache.hc.core5.http.io.entity.StringEntity;

/** Apache HttpClient 5, classic, as it comes. */
final class Apache {
    public static void main(String[] args) throws Exception {
        var connections = PoolingHttpClientConnectionManagerBuilder.create();
        if (Calls.tls()) {
            connections.setTlsSocketStrategy(new DefaultClientTlsStrategy(Calls.context()));
        }
        try (var client = HttpClients.custom().setConnectionManager(connections.build()).build()) {
            Calls.run(call -> {
                var request = new HttpUriRequestBase(call.method(), call.uri());
                if (call.authorised()) {
                    request.setHeader("Authorization", call.authorization());
                }
                if (!call.body().isEmpty()) {
                    request.setEntity(new StringEntity(call.body(), ContentType.APPLICATION_JSON));
                }
                if (!call.key().isEmpty()) {
                    request.setHeader("Idempotency-Key", call.key());
                    request.setHeader("Prefer", "wait=10");
                }
                return client.execute(request, answer -> new Calls.Answer(
                        answer.getCode(),
                        EntityUtils.toString(answer.getEntity()),
                        answer.getFirstHeader("Request-Id").getValue()));
            });
        }
    }
}
