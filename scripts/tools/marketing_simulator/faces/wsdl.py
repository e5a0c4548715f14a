"""The WSDL of the SOAP face, made from the shapes: document/literal wrapped, as JAX-WS writes it.

`/api/bill/query` is the operation `billQuery`. Its answer is in an element `return`; a list is its element several
times; null is an element that does not come. Every operation may fail with a `MarketingFault`.
"""

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import quoteattr

from scripts.tools.marketing_simulator.shapes import (
    INTEGER,
    NUMBER,
    TEXT,
    Field,
    InterfaceShape,
    Many,
    Record,
    Simple,
)

NAMESPACE = "http://ws.marketing.utility.example/"
SERVICE, PORT_11, PORT_12 = "MarketingService", "MarketingServiceSoap11", "MarketingServiceSoap12"
FAULT, RETURN = "MarketingFault", "return"
_TYPES = {TEXT: "xs:string", INTEGER: "xs:long", NUMBER: "xs:double"}
_HEAD = f"""<?xml version="1.0" encoding="UTF-8"?>
<wsdl:definitions name="{SERVICE}" targetNamespace="{NAMESPACE}" xmlns:tns="{NAMESPACE}"
    xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"
    xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/">
"""
_FAULT_ELEMENT = f"""      <xs:element name="{FAULT}">
        <xs:complexType>
          <xs:sequence>
            <xs:element name="rtnCode" type="xs:string"/>
            <xs:element name="rtnMsg" type="xs:string" minOccurs="0"/>
          </xs:sequence>
        </xs:complexType>
      </xs:element>"""


def operation_name(path: str) -> str:
    """`/api/wo/createOnce` as `woCreateOnce`."""
    first, *rest = path.removeprefix("/api/").split("/")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def wsdl(shapes: Iterable[tuple[str, InterfaceShape]], address: str) -> str:
    """The document; `shapes` by the operation's name."""
    operations = list(shapes)
    names = [name for name, _ in operations]
    return _HEAD + "\n".join(
        [
            "  <wsdl:types>",
            f'    <xs:schema targetNamespace="{NAMESPACE}" elementFormDefault="unqualified">',
            *(line for operation in operations for line in _elements(*operation)),
            _FAULT_ELEMENT,
            "    </xs:schema>",
            "  </wsdl:types>",
            *(line for name in names for line in _messages(name)),
            f'  <wsdl:message name="{FAULT}"><wsdl:part name="fault" element="tns:{FAULT}"/></wsdl:message>',
            f'  <wsdl:portType name="{SERVICE}">',
            *(line for name in names for line in _abstract(name)),
            "  </wsdl:portType>",
            *_binding("soap", PORT_11, names),
            *_binding("soap12", PORT_12, names),
            f'  <wsdl:service name="{SERVICE}">',
            *_port("soap", PORT_11, address),
            *_port("soap12", PORT_12, address),
            "  </wsdl:service>",
            "</wsdl:definitions>",
            "",
        ]
    )


def _elements(name: str, shape: InterfaceShape) -> Iterator[str]:
    request = Record({field: Field(told.shape, optional=True) for field, told in shape.request.fields.items()})
    yield from _element(name, Field(request), 6, top=True)
    yield from _element(f"{name}Response", Field(Record({RETURN: Field(shape.answer, optional=True)})), 6, top=True)


def _element(name: str, field: Field, indent: int, *, top: bool = False) -> Iterator[str]:
    shape, occurs = field.shape, ' minOccurs="0"' if field.optional and not top else ""
    if isinstance(shape, Many):
        shape, occurs = shape.item, ' minOccurs="0" maxOccurs="unbounded"'
    space = " " * indent
    if isinstance(shape, Simple):
        yield f'{space}<xs:element name="{name}" type="{_TYPES[shape.kind]}"{occurs}/>'
        return
    yield f'{space}<xs:element name="{name}"{occurs}>'
    yield f"{space}  <xs:complexType>"
    yield f"{space}    <xs:sequence>"
    for within, told in shape.fields.items():
        yield from _element(within, told, indent + 6)
    yield f"{space}    </xs:sequence>"
    yield f"{space}  </xs:complexType>"
    yield f"{space}</xs:element>"


def _messages(name: str) -> Iterator[str]:
    for message in (name, f"{name}Response"):
        part = f'<wsdl:part name="parameters" element="tns:{message}"/>'
        yield f'  <wsdl:message name="{message}">{part}</wsdl:message>'


def _abstract(name: str) -> Iterator[str]:
    yield f'    <wsdl:operation name="{name}">'
    yield f'      <wsdl:input message="tns:{name}"/>'
    yield f'      <wsdl:output message="tns:{name}Response"/>'
    yield f'      <wsdl:fault name="{FAULT}" message="tns:{FAULT}"/>'
    yield "    </wsdl:operation>"


def _binding(prefix: str, port: str, names: Iterable[str]) -> Iterator[str]:
    body = f'<{prefix}:body use="literal"/>'
    yield f'  <wsdl:binding name="{port}" type="tns:{SERVICE}">'
    yield f'    <{prefix}:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>'
    for name in names:
        yield f'    <wsdl:operation name="{name}">'
        yield f'      <{prefix}:operation soapAction=""/>'
        yield f"      <wsdl:input>{body}</wsdl:input>"
        yield f"      <wsdl:output>{body}</wsdl:output>"
        yield f'      <wsdl:fault name="{FAULT}"><{prefix}:fault name="{FAULT}" use="literal"/></wsdl:fault>'
        yield "    </wsdl:operation>"
    yield "  </wsdl:binding>"


def _port(prefix: str, port: str, address: str) -> Iterator[str]:
    yield f'    <wsdl:port name="{port}" binding="tns:{port}">'
    yield f"      <{prefix}:address location={quoteattr(address)}/>"
    yield "    </wsdl:port>"
