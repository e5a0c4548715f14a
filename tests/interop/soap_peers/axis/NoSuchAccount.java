/** Apart from Billing: Axis makes an element of its name, which may have no $ in it. */
public class NoSuchAccount extends Exception {
    private String reason;

    public String getReason() {
        return reason;
    }

    public void setReason(String value) {
        reason = value;
    }
}
