"""The schema of SOAP 1.1's encoding (section 5), which WSDLs of the style rpc/encoded import by its web address.

Its types are plain simple ones here, without the attributes `id` and `href`: references are followed before an answer
is read (adapter.py), and a ``soapenc:string`` is so read and written as an ``xs:string``.
"""

LOCATION = "http://schemas.xmlsoap.org/soap/encoding/"
_TYPES = (
    "string", "normalizedString", "token", "language", "Name", "NMTOKEN", "NMTOKENS", "NCName", "ID", "IDREF", "IDREFS",
    "ENTITY", "ENTITIES", "boolean", "decimal", "integer", "nonPositiveInteger", "negativeInteger", "long", "int",
    "short", "byte", "nonNegativeInteger", "unsignedLong", "unsignedInt", "unsignedShort", "unsignedByte",
    "positiveInteger", "float", "double", "duration", "dateTime", "time", "date", "gYearMonth", "gYear", "gMonthDay",
    "gDay", "gMonth", "hexBinary", "base64Binary", "anyURI", "QName",
)  # fmt: skip
_ANY = (
    '<xs:sequence><xs:any namespace="##any" processContents="lax" minOccurs="0" maxOccurs="unbounded"/></xs:sequence>'
)


def _simple(name: str, base: str) -> str:
    return f'<xs:simpleType name="{name}"><xs:restriction base="xs:{base}"/></xs:simpleType>'


SCHEMA = "".join(
    (
        f'<xs:schema targetNamespace="{LOCATION}" xmlns:t="{LOCATION}" xmlns:xs="http://www.w3.org/2001/XMLSchema">',
        *(_simple(name, name) for name in _TYPES),
        _simple("base64", "base64Binary"),
        *(f'<xs:attribute name="{name}" type="xs:string"/>' for name in ("arrayType", "offset", "position", "root")),
        f'<xs:complexType name="Array">{_ANY}<xs:attribute ref="t:arrayType"/><xs:attribute ref="t:offset"/>',
        f'</xs:complexType><xs:complexType name="Struct">{_ANY}</xs:complexType></xs:schema>',
    )
).encode()
