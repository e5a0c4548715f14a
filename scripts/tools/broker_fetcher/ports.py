"""Whether a port is taken, and whether TLS is spoken on it."""

import socket
import ssl


def port_taken(host: str, port: int) -> bool:
    """Whether the port cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def speaks_tls(host: str, port: int) -> bool:
    """Only whether a TLS server answers: nothing is sent, so nobody has to be believed. A broker that wants a
    certificate ends the handshake by refusing ours."""
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
