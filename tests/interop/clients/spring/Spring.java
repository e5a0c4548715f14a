import java.nio.charset.StandardCharsets;
import org.springframework.http.HttpMethod;
import org.springframework.http.MediaType;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.web.client.RestClient;

/** Spring's RestClient on the JDK's HttpClient, which is what it takes where no other client is at hand. */
final class Spring {
    public static void main(String[] args) throws Exception {
        RestClient client = RestClient.builder().requestFactory(new JdkClientHttpRequestFactory(Jdk.client())).build();
        Calls.run(call -> {
            var request = client.method(HttpMethod.valueOf(call.method())).uri(call.uri());
            if (call.authorised()) {
                request.header("Authorization", call.authorization());
            }
            if (!call.body().isEmpty()) {
                request.contentType(MediaType.APPLICATION_JSON).body(call.body());
            }
            if (!call.key().isEmpty()) {
                request.header("Idempotency-Key", call.key()).header("Prefer", "wait=10");
            }
            return request.exchange((sent, answer) -> new Calls.Answer(
                    answer.getStatusCode().value(),
                    new String(answer.getBody().readAllBytes(), StandardCharsets.UTF_8),
                    String.valueOf(answer.getHeaders().getFirst("Request-Id"))));
        });
    }
}
