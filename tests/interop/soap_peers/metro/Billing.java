import jakarta.jws.WebMethod;
import jakarta.jws.WebParam;
import jakarta.jws.WebService;
import jakarta.xml.bind.annotation.XmlAccessType;
import jakarta.xml.bind.annotation.XmlAccessorType;
import jakarta.xml.bind.annotation.XmlElement;
import jakarta.xml.soap.SOAPElement;
import jakarta.xml.soap.SOAPFactory;
import jakarta.xml.soap.SOAPFault;
import jakarta.xml.ws.BindingType;
import jakarta.xml.ws.Endpoint;
import jakarta.xml.ws.WebFault;
import jakarta.xml.ws.handler.MessageContext;
import jakarta.xml.ws.handler.soap.SOAPHandler;
import jakarta.xml.ws.handler.soap.SOAPMessageContext;
import jakarta.xml.ws.soap.SOAPFaultException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.GregorianCalendar;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TimeZone;
import java.util.concurrent.ConcurrentHashMap;
import javax.xml.datatype.DatatypeFactory;
import javax.xml.datatype.XMLGregorianCalendar;
import javax.xml.namespace.QName;

/**
 * A billing service as JAX-WS makes one of classes: WSDL and schema are the framework's, and so are the faults. One
 * endpoint for SOAP 1.1, one for 1.2; both want a UsernameToken. Ends with its standard input.
 */
public final class Billing {
    static final String SPACE = "http://billing.example/";
    static final String SECURITY =
            "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
    static final Map<String, Receipt> RECEIPTS = new ConcurrentHashMap<>();

    @XmlAccessorType(XmlAccessType.FIELD)
    public static class Bill {
        @XmlElement(required = true)
        public String month;

        @XmlElement(required = true)
        public BigDecimal amount;

        public BigDecimal penalty;
    }

    @XmlAccessorType(XmlAccessType.FIELD)
    public static class Arrears {
        @XmlElement(required = true)
        public String account;

        @XmlElement(required = true)
        public BigDecimal total;

        public List<Bill> bill = new ArrayList<>();
    }

    @XmlAccessorType(XmlAccessType.FIELD)
    public static class Receipt {
        public String requestId;
        public long number;
        public XMLGregorianCalendar receivedAt;
    }

    @WebFault(name = "NoSuchAccount", targetNamespace = SPACE)
    public static class NoSuchAccount extends Exception {
        public NoSuchAccount(String message) {
            super(message);
        }
    }

    @WebFault(name = "UnknownRequest", targetNamespace = SPACE)
    public static class UnknownRequest extends Exception {
        public UnknownRequest(String message) {
            super(message);
        }
    }

    @WebService(name = "Billing", serviceName = "BillingService", portName = "Billing11", targetNamespace = SPACE)
    public static class Service {
        @WebMethod
        public Arrears owed(@WebParam(name = "account") String account) throws NoSuchAccount {
            if (account.startsWith("999")) {
                throw new NoSuchAccount("户号不存在");
            }
            if (account.startsWith("888")) {
                throw new IllegalStateException("no connection to the database");
            }
            Bill bill = new Bill();
            bill.month = "202606";
            bill.amount = new BigDecimal("12.30");
            bill.penalty = account.startsWith("777") ? null : new BigDecimal("0.05");
            Arrears arrears = new Arrears();
            arrears.account = account.startsWith("666") ? "3210000000009" : account;
            arrears.total = new BigDecimal("12.35");
            arrears.bill.add(bill);
            return arrears;
        }

        @WebMethod
        public Receipt receive(@WebParam(name = "requestId") String requestId, @WebParam(name = "content") String content)
                throws Exception {
            GregorianCalendar now = new GregorianCalendar(TimeZone.getTimeZone("UTC"));
            now.setTimeInMillis(1784077200000L); // 2026-07-15 09:00 in China
            Receipt receipt = new Receipt();
            receipt.requestId = requestId;
            receipt.number = 41;
            receipt.receivedAt = DatatypeFactory.newInstance().newXMLGregorianCalendar(now);
            RECEIPTS.put(requestId, receipt);
            if (content.equals("break")) {
                throw new IllegalStateException("the mail server is away");
            }
            return receipt;
        }

        @WebMethod
        public Receipt status(@WebParam(name = "requestId") String requestId) throws UnknownRequest {
            Receipt receipt = RECEIPTS.get(requestId);
            if (receipt == null) {
                throw new UnknownRequest("unknown");
            }
            return receipt;
        }
    }

    // SOAP 1.2 as Metro calls it where it also makes the WSDL
    @BindingType("http://java.sun.com/xml/ns/jaxws/2003/05/soap/bindings/HTTP/")
    @WebService(name = "Billing", serviceName = "BillingService", portName = "Billing12", targetNamespace = SPACE)
    public static class Service12 extends Service {}

    /** Lets in a digest of the password. */
    static final class Security implements SOAPHandler<SOAPMessageContext> {
        private final String password;
        private final String protocol;

        Security(String password, String protocol) {
            this.password = password;
            this.protocol = protocol;
        }

        @Override
        public Set<QName> getHeaders() {
            return Set.of(new QName(SECURITY, "Security"));
        }

        @Override
        public boolean handleMessage(SOAPMessageContext context) {
            if ((Boolean) context.get(MessageContext.MESSAGE_OUTBOUND_PROPERTY) || letsIn(context)) {
                return true;
            }
            try {
                SOAPFactory factory = SOAPFactory.newInstance(protocol);
                QName code = new QName(SECURITY, "FailedAuthentication", "wsse");
                SOAPFault fault;
                if (protocol.equals("SOAP 1.2 Protocol")) {
                    QName sender = new QName("http://www.w3.org/2003/05/soap-envelope", "Sender", "env");
                    fault = factory.createFault("no admission", sender);
                    fault.appendFaultSubcode(code);
                } else {
                    fault = factory.createFault("no admission", code);
                }
                throw new SOAPFaultException(fault);
            } catch (jakarta.xml.soap.SOAPException error) {
                throw new IllegalStateException(error);
            }
        }

        private boolean letsIn(SOAPMessageContext context) {
            try {
                SOAPElement header = context.getMessage().getSOAPHeader();
                if (header == null) {
                    return false;
                }
                String nonce = text(header, "Nonce");
                String created = text(header, "Created");
                MessageDigest digest = MessageDigest.getInstance("SHA-1");
                digest.update(Base64.getDecoder().decode(nonce));
                digest.update(created.getBytes(StandardCharsets.UTF_8));
                digest.update(password.getBytes(StandardCharsets.UTF_8));
                return Base64.getEncoder().encodeToString(digest.digest()).equals(text(header, "Password"));
            } catch (Exception error) {
                return false;
            }
        }

        private static String text(SOAPElement header, String name) {
            return header.getElementsByTagNameNS("*", name).item(0).getTextContent();
        }

        @Override
        public boolean handleFault(SOAPMessageContext context) {
            return true;
        }

        @Override
        public void close(MessageContext context) {}
    }

    private static void publish(Service service, String address, String password, String protocol) {
        Endpoint endpoint = Endpoint.create(service);
        endpoint.getBinding().setHandlerChain(new ArrayList<>(List.of(new Security(password, protocol))));
        endpoint.publish(address);
    }

    public static void main(String[] arguments) throws Exception {
        String base = "http://127.0.0.1:" + arguments[0];
        String password = System.getenv("PEER_PASSWORD");
        publish(new Service(), base + "/billing11", password, "SOAP 1.1 Protocol");
        publish(new Service12(), base + "/billing12", password, "SOAP 1.2 Protocol");
        System.out.println("ready");
        while (System.in.read() >= 0) {}
        System.exit(0);
    }
}
