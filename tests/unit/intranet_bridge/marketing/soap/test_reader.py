"""From XML to the value that expressions see, by a schema."""

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from intranet_bridge.marketing.http.answer import AnswerError
from intranet_bridge.marketing.soap.description import Documents, read_wsdl
from intranet_bridge.marketing.soap.reader import Reader

SCHEMA = """
<xs:simpleType name="Flag"><xs:restriction base="xs:string"><xs:enumeration value="1"/></xs:restriction></xs:simpleType>
<xs:complexType name="Base"><xs:sequence><xs:element name="name" type="xs:string"/></xs:sequence></xs:complexType>
<xs:complexType name="More"><xs:complexContent><xs:extension base="t:Base"><xs:sequence>
  <xs:element name="extra" type="xs:int"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
<xs:complexType name="Money"><xs:simpleContent><xs:extension base="xs:decimal">
  <xs:attribute name="currency" type="xs:string"/></xs:extension></xs:simpleContent></xs:complexType>
<xs:complexType name="Tree"><xs:sequence><xs:element name="node" type="t:Tree" minOccurs="0" maxOccurs="unbounded"/>
  </xs:sequence><xs:attribute name="depth" type="xs:int"/></xs:complexType>
<xs:element name="answer"><xs:complexType><xs:sequence>
  <xs:element name="text" type="xs:string" minOccurs="0"/>
  <xs:element name="token" type="xs:token" minOccurs="0"/>
  <xs:element name="int" type="xs:int" minOccurs="0" nillable="true"/>
  <xs:element name="flag" type="xs:boolean" minOccurs="0"/>
  <xs:element name="kwh" type="xs:decimal" minOccurs="0"/>
  <xs:element name="day" type="xs:date" minOccurs="0"/>
  <xs:element name="at" type="xs:dateTime" minOccurs="0"/>
  <xs:element name="rate" type="xs:double" minOccurs="0"/>
  <xs:element name="some" type="t:Flag" minOccurs="0" maxOccurs="3"/>
  <xs:choice minOccurs="0" maxOccurs="unbounded"><xs:element name="a" type="xs:int"/>
    <xs:element name="b" type="xs:int"/>
  </xs:choice>
  <xs:element name="base" type="t:Base" minOccurs="0"/>
  <xs:element name="money" type="t:Money" minOccurs="0"/>
  <xs:element name="tree" type="t:Tree" minOccurs="0"/>
  <xs:element name="free" minOccurs="0"/>
  <xs:element name="ints" minOccurs="0"><xs:simpleType><xs:list itemType="xs:int"/></xs:simpleType></xs:element>
  <xs:any minOccurs="0" maxOccurs="unbounded" processContents="lax"/>
</xs:sequence></xs:complexType></xs:element>
"""
WSDL = f"""<wsdl:definitions targetNamespace="urn:t" xmlns:t="urn:t" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"
 xmlns:xs="http://www.w3.org/2001/XMLSchema"><wsdl:types>
 <xs:schema targetNamespace="urn:t" elementFormDefault="qualified">
{SCHEMA}</xs:schema></wsdl:types></wsdl:definitions>"""
LISTS: dict[str, Any] = {"some": [], "a": [], "b": []}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("wsdl") / "t.wsdl"
    file.write_text(WSDL)
    schema = read_wsdl(str(file), Documents(str(file), Path(file)), file).types
    answer = Reader(schema).of(schema.get_element("{urn:t}answer").type)
    head = '<answer xmlns="urn:t" xmlns:t="urn:t" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    head += ' xmlns:xs="http://www.w3.org/2001/XMLSchema">'
    return lambda inner: answer(etree.fromstring(f"{head}{inner}</answer>"))


@pytest.mark.parametrize(
    ("inner", "value"),
    [
        ("", {}),
        ("<text> a b </text>", {"text": " a b "}),
        ("<text/>", {"text": ""}),
        ("<text><![CDATA[<x>]]> &amp; 乡</text>", {"text": "<x> & 乡"}),
        ("<token> a </token>", {"token": "a"}),
        ("<token> </token>", {"token": None}),
        ("<int> -7 </int>", {"int": -7}),
        ("<int>+007</int>", {"int": 7}),
        ("<int>7.0</int>", {"int": "7.0"}),
        ("<int/>", {"int": None}),
        ('<int xsi:nil="true"/>', {"int": None}),
        ("<flag>true</flag>", {"flag": True}),
        ("<flag>0</flag>", {"flag": False}),
        ("<flag>Y</flag>", {"flag": "Y"}),
        ("<kwh> 12.50 </kwh>", {"kwh": "12.50"}),
        ("<day>2026-01-15</day>", {"day": "2026-01-15"}),
        ("<day>2026/1/15</day>", {"day": "2026/1/15"}),
        ("<at>2026-01-15T09:30:00+08:00</at>", {"at": "2026-01-15T09:30:00+08:00"}),
        ("<rate>1e-2</rate>", {"rate": 0.01}),
        ("<rate>INF</rate>", {"rate": None}),
        ("<rate>-</rate>", {"rate": "-"}),
        ("<some>1</some>", LISTS | {"some": ["1"]}),
        ("<a>1</a><b>2</b><a>3</a>", LISTS | {"a": [1, 3], "b": [2]}),
        ("<base><name>x</name></base>", {"base": {"name": "x"}}),
        ('<base xsi:type="t:More"><name>x</name><extra>1</extra></base>', {"base": {"name": "x", "extra": 1}}),
        ('<base xsi:type="t:Unknown"><name>x</name></base>', {"base": {"name": "x"}}),
        ('<money currency="CNY">7.10</money>', {"money": {"_value_1": "7.10", "currency": "CNY"}}),
        ('<tree depth="1"><node/></tree>', {"tree": {"node": [{"node": []}], "depth": 1}}),
        ('<free xsi:type="xs:int">7</free>', {"free": 7}),
        ("<free>7</free>", {"free": "7"}),
        ('<free k="1"><x>1</x><x>2</x> t</free>', {"free": {"@k": "1", "x": ["1", "2"]}}),
        ("<ints>1 2</ints>", {"ints": [1, 2]}),
        ("<new><x/></new>", {"new": {"x": None}}),
        ("<day>2026-01-15</day><text>late</text>", {"day": "2026-01-15", "text": "late"}),
        ('<text xmlns="">no namespace</text>', {"text": "no namespace"}),
        ("<int>1</int><int>2</int>", {"int": [1, 2]}),
    ],
)
def test_each_element_is_read_by_its_type_and_else_by_what_it_looks_like(read: Any, inner: str, value: Any) -> None:
    assert read(inner) == LISTS | value


def test_an_answer_of_countless_namespaces_is_none(read: Any) -> None:
    def declared(count: int) -> str:
        prefixes = "".join(f' xmlns:n{number}="u"' for number in range(count))
        return f'<base{prefixes} xsi:type="t:More"><name>x</name></base>'

    assert read(declared(200)) == LISTS | {"base": {"name": "x"}}
    with pytest.raises(AnswerError, match="more namespaces"):
        read(declared(300))
