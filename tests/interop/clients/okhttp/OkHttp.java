import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;

/** OkHttp, with the media type of its own documentation: `application/json; charset=utf-8`. */
final class OkHttp {
    private static final MediaType JSON = MediaType.get("application/json; charset=utf-8");

    public static void main(String[] args) throws Exception {
        var builder = new OkHttpClient.Builder();
        if (Calls.tls()) {
            builder.sslSocketFactory(Calls.context().getSocketFactory(), Calls.trust());
        }
        OkHttpClient client = builder.build();
        Calls.run(call -> {
            var body = call.method().equals("GET") ? null : RequestBody.create(call.body(), JSON);
            var request = new Request.Builder().url(call.uri().toString()).method(call.method(), body);
            if (call.authorised()) {
                request.header("Authorization", call.authorization());
            }
            if (!call.key().isEmpty()) {
                request.header("Idempotency-Key", call.key()).header("Prefer", "wait=10");
            }
            try (var answer = client.newCall(request.build()).execute()) {
                return new Calls.Answer(answer.code(), answer.body().string(), answer.header("Request-Id", ""));
            }
        });
        System.exit(0); // its threads would keep the program for a minute
    }
}
