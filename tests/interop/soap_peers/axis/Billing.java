import java.math.BigDecimal;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.axis.transport.http.SimpleAxisServer;

/**
 * A billing service as Axis 1.4 makes one of classes, rpc/encoded (server-config.wsdd): untyped parameter names, arrays,
 * and references between the parts of an answer. Ends with its standard input.
 */
public class Billing {
    static final Map<String, Receipt> RECEIPTS = new ConcurrentHashMap<>();

    public static class Bill {
        private String month;
        private BigDecimal amount;

        public String getMonth() {
            return month;
        }

        public void setMonth(String value) {
            month = value;
        }

        public BigDecimal getAmount() {
            return amount;
        }

        public void setAmount(BigDecimal value) {
            amount = value;
        }
    }

    public static class Arrears {
        private String account;
        private BigDecimal total;
        private Bill[] bills;

        public String getAccount() {
            return account;
        }

        public void setAccount(String value) {
            account = value;
        }

        public BigDecimal getTotal() {
            return total;
        }

        public void setTotal(BigDecimal value) {
            total = value;
        }

        public Bill[] getBills() {
            return bills;
        }

        public void setBills(Bill[] value) {
            bills = value;
        }
    }

    public static class Receipt {
        private String requestId;
        private long number;

        public String getRequestId() {
            return requestId;
        }

        public void setRequestId(String value) {
            requestId = value;
        }

        public long getNumber() {
            return number;
        }

        public void setNumber(long value) {
            number = value;
        }
    }

    public Arrears owed(String account) throws NoSuchAccount {
        if (account.startsWith("999")) {
            throw new NoSuchAccount();
        }
        if (account.startsWith("888")) {
            throw new IllegalStateException("no connection to the database");
        }
        Bill bill = new Bill();
        bill.setMonth("202606");
        bill.setAmount(new BigDecimal("12.30"));
        Arrears arrears = new Arrears();
        arrears.setAccount(account);
        arrears.setTotal(new BigDecimal("24.60"));
        arrears.setBills(new Bill[] {bill, bill}); // the second is a reference to the first's place
        return arrears;
    }

    public Receipt receive(String requestId, String content) {
        Receipt receipt = new Receipt();
        receipt.setRequestId(requestId);
        receipt.setNumber(content.codePointCount(0, content.length()));
        RECEIPTS.put(requestId, receipt);
        if (content.equals("break")) {
            throw new IllegalStateException("the mail server is away");
        }
        return receipt;
    }

    /** Null if it is not known. */
    public Receipt status(String requestId) {
        return RECEIPTS.get(requestId);
    }

    public static void main(String[] arguments) throws Exception {
        SimpleAxisServer server = new SimpleAxisServer();
        server.setServerSocket(new ServerSocket(Integer.parseInt(arguments[0]), 50, InetAddress.getLoopbackAddress()));
        server.start(true);
        System.out.println("ready");
        while (System.in.read() >= 0) {}
        System.exit(0);
    }
}
