import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/** What every Java client shares: the calls of suite.py, the answers as lines of JSON, trust in one authority. */
final class Calls {
    record Call(String name, String method, String path, boolean authorised, String key, String body) {
        URI uri() {
            return URI.create(System.getenv("INTEROP_URL") + path);
        }

        String authorization() {
            return "Bearer " + System.getenv("INTEROP_KEY");
        }
    }

    record Answer(int status, String body, String requestId) {}

    interface Sender {
        Answer send(Call call) throws Exception;
    }

    static void run(Sender sender) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        String command = "";
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] part = line.split("\t", -1);
            String path = part[2].replace("{id}", command);
            Answer answer;
            try {
                answer = sender.send(new Call(part[0], part[1], path, part[3].equals("1"), part[4], part[5]));
            } catch (Exception error) {
                answer = new Answer(0, error.toString(), "");
            }
            if (part[0].equals("command")) {
                command = answer.requestId();
            }
            out.println("{\"call\":" + quoted(part[0]) + ",\"status\":" + answer.status() + ",\"body\":"
                    + quoted(answer.body()) + "}");
        }
    }

    static String quoted(String text) {
        var out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < 0x20) {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }

    static boolean tls() {
        return System.getenv("INTEROP_URL").startsWith("https:");
    }

    static X509TrustManager trust() throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream file = new FileInputStream(System.getenv("INTEROP_CA"))) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        var factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        return (X509TrustManager) factory.getTrustManagers()[0];
    }

    static SSLContext context() throws Exception {
        var context = SSLContext.getInstance("TLS");
        context.init(null, new X509TrustManager[] {trust()}, null);
        return context;
    }
}
