"""Whether a port is in use, and whether a TLS server answers on it."""

import socket
import ssl


def port_taken(host: str, port: int) -> bool:
    """Whether the port is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def speaks_tls(host: str, port: int) -> bool:
    """Only whether a TLS server answers: nothing is sent, so its certificate need not be verified. A broker that
    requires a client certificate ends the handshake with an alert, which counts as an answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - the wildcard, to be replaced
    try:
        with socket.create_connection((address, port), 1.0) as plain, context.wrap_socket(plain):
            return True
    except ssl.SSLError as error:
        return "ALERT" in str(error).upper()
    except OSError:
        return False
