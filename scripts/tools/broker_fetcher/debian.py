"""ActiveMQ from Debian's packages of its libraries."""

from __future__ import annotations

from pathlib import Path

from scripts.tools.broker_fetcher.apt import install
from scripts.tools.broker_fetcher.console import BrokerError
from scripts.tools.broker_fetcher.home import Home, version_in

DEBIAN_PACKAGES = (
    "libactivemq-java", "libxstream-java", "libjettison-java", "libxpp3-java", "libslf4j-java",
    "libspring-context-java",
)  # fmt: skip
# What activemq.xml needs out of Debian's directory of all Java libraries. The package `activemq` would add a
# system service; the libraries alone do not.
DEBIAN_LIBRARIES = Path("/usr/share/java")
DEBIAN_JARS = (
    "activemq-broker", "activemq-client", "activemq-console", "activemq-jaas", "activemq-kahadb-store",
    "activemq-openwire-legacy", "activemq-protobuf", "activemq-spring", "activemq-stomp",
    "geronimo-jms_1.1_spec|geronimo-jms-1.1-spec", "geronimo-jta-1.2-spec",
    "geronimo-j2ee-management-1.1-spec", "geronimo-annotation-1.3-spec-api|geronimo-annotation-1.3-spec",
    "hawtbuf", "jackson-annotations", "jackson-core", "jackson-databind", "jasypt",
    "commons-logging|jcl-over-slf4j", "commons-pool2",
    "spring3-aop|spring-aop", "spring3-beans|spring-beans", "spring3-context|spring-context",
    "spring3-core|spring-core", "spring3-expression|spring-expression", "xbean-spring",
    "xstream", "xpp3", "jettison", "slf4j-api", "slf4j-simple",
)  # fmt: skip


def home_from_debian() -> Home:
    """Debian's libraries, installed if they are missing."""
    jars = debian_jars()
    if jars is None:
        install(*DEBIAN_PACKAGES)
        jars = debian_jars()
    if jars is None:
        raise BrokerError(f"Debian's libraries for ActiveMQ are not complete in {DEBIAN_LIBRARIES}")
    version = version_in(sorted(DEBIAN_LIBRARIES.glob("activemq-broker-*.jar")))
    return Home("debian", version, [str(jar) for jar in jars])


def debian_jars() -> list[Path] | None:
    """The jars that activemq.xml needs; None if one is missing."""
    jars = []
    for names in DEBIAN_JARS:
        found = [jar for name in names.split("|") if (jar := DEBIAN_LIBRARIES / f"{name}.jar").exists()]
        if not found:
            return None
        jars.append(found[0])
    return jars
