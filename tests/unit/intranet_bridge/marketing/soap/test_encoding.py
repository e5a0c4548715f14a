"""A WSDL of the style rpc/encoded is read without the web, and its types are as plain as others."""

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from intranet_bridge.marketing.soap.description import Documents, is_rpc, read_wsdl
from intranet_bridge.marketing.soap.encoding import LOCATION, SCHEMA
from intranet_bridge.marketing.soap.reader import Reader

WSDL = f"""<w:definitions targetNamespace="urn:b" xmlns:b="urn:b" xmlns:e="{LOCATION}" xmlns:w="http://schemas.xmlsoap.org/wsdl/"
  xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:x="http://www.w3.org/2001/XMLSchema">
 <w:types><x:schema targetNamespace="urn:b"><x:import namespace="{LOCATION}"/>
  <x:complexType name="Bills"><x:complexContent><x:restriction base="e:Array">
   <x:attribute ref="e:arrayType" w:arrayType="b:Bill[]"/></x:restriction></x:complexContent></x:complexType>
  <x:complexType name="Bill"><x:sequence>
   <x:element name="amount" type="e:int" nillable="true"/></x:sequence></x:complexType>
  <x:complexType name="Arrears"><x:sequence><x:element name="account" type="e:string"/>
   <x:element name="count" type="e:int"/><x:element name="bills" type="b:Bills"/></x:sequence></x:complexType>
 </x:schema></w:types>
 <w:message name="in"><w:part name="in0" type="e:string"/></w:message>
 <w:message name="out"><w:part name="owedReturn" type="b:Arrears"/></w:message>
 <w:portType name="P"><w:operation name="owed" parameterOrder="in0"><w:input message="b:in"/><w:output message="b:out"/>
 </w:operation></w:portType>
 <w:binding name="B" type="b:P"><s:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
  <w:operation name="owed"><s:operation soapAction=""/>
   <w:input><s:body use="encoded" encodingStyle="{LOCATION}" namespace="urn:b"/></w:input>
   <w:output><s:body use="encoded" encodingStyle="{LOCATION}" namespace="urn:b"/></w:output></w:operation></w:binding>
 <w:service name="S"><w:port name="P" binding="b:B"><s:address location="http://b.invalid/"/></w:port></w:service>
</w:definitions>"""


@pytest.fixture
def operation(tmp_path: Path) -> Any:
    file = tmp_path / "old.wsdl"
    file.write_text(WSDL)
    document = read_wsdl(str(file), Documents(str(file), file), file)
    return document, document.services["S"].ports["P"].binding.all()["owed"]


def test_the_schema_is_one() -> None:
    etree.XMLSchema(etree.fromstring(SCHEMA))


def test_a_text_is_sent_plainly(operation: Any) -> None:
    _, owed = operation
    assert is_rpc(owed.output)
    sent = owed.input.serialize(in0="321").content
    assert sent.findtext(".//in0") == "321"


def test_an_answer_is_read_by_its_types(operation: Any) -> None:
    document, owed = operation
    answer = etree.fromstring(
        "<r><owedReturn><account> 321 </account><count>2</count><bills><item><amount>7</amount></item></bills>"
        "</owedReturn></r>"
    )
    told = Reader(document.types).of(owed.output.body.type)(answer)
    assert told == {"owedReturn": {"account": " 321 ", "count": 2, "bills": [{"amount": "7"}]}}
