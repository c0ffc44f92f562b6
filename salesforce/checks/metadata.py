"""Holds every metadata file of the package against Salesforce's own description of metadata.

python checks/metadata.py

The description is the Metadata WSDL that comes with simple-salesforce. Found are elements that do
not exist (a typing error, or one of another type), elements that are missing or there twice,
values that are no boolean, number or known choice, and files whose name says something else than
their content. Such a file converts without complaint and fails only when somebody deploys it.
What refers to what is checked by references.py. Each fault is a line; one of them ends it with 1.
"""

import importlib.util
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

XSD = "{http://www.w3.org/2001/XMLSchema}"
METADATA = "http://soap.sforce.com/2006/04/metadata"
ROOTS = ["force-app", "change-events", "client-app"]
# What a file's suffix is called in the description, where it isn't the same word.
TYPES = {
    "app": "CustomApplication",
    "cls": "ApexClass",
    "eca": "ExternalClientApplication",
    "ecaGlblOauth": "ExtlClntAppGlobalOauthSettings",
    "ecaOauth": "ExtlClntAppOauthSettings",
    "field": "CustomField",
    "js": "LightningComponentBundle",
    "object": "CustomObject",
    "tab": "CustomTab",
}
PATTERNS = {
    "xsd:boolean": r"true|false",
    "xsd:int": r"-?\d+",
    "xsd:double": r"-?\d+(\.\d+)?",
}
# Opaque to the description: Salesforce checks it when it deploys.
OPAQUE = {"targetConfigs"}


class Description:
    """The types of the WSDL: elements by type, choices by type."""

    def __init__(self, path):
        self.elements = {}
        self.bases = {}
        self.choices = {}
        for schema in ET.parse(path).iter(f"{XSD}schema"):
            for kind in schema.findall(f"{XSD}complexType"):
                self.elements[kind.get("name")] = list(kind.iter(f"{XSD}element"))
                base = kind.find(f".//{XSD}extension")
                if base is not None:
                    self.bases[kind.get("name")] = local(base.get("base"))
            for kind in schema.findall(f"{XSD}simpleType"):
                values = kind.iter(f"{XSD}enumeration")
                self.choices[kind.get("name")] = {value.get("value") for value in values}

    def elements_of(self, kind):
        """Every element of a type and of what it extends, by name."""
        found = {}
        while kind in self.elements:
            for element in self.elements[kind]:
                found.setdefault(element.get("name"), element)
            kind = self.bases.get(kind)
        return found

    def extends_metadata(self, kind):
        while kind in self.bases:
            kind = self.bases[kind]
        return kind == "Metadata"


def local(name):
    return name.split(":")[-1]


def faults_of(node, kind, described, path):
    """What is wrong with a node of this type, and with all below it."""
    known = described.elements_of(kind)
    names = [child.tag.split("}")[-1] for child in node]
    for name in dict.fromkeys(names):
        if name not in known:
            yield f"{path}: {kind} has no element <{name}>"
        elif names.count(name) > 1 and known[name].get("maxOccurs", "1") == "1":
            yield f"{path}: <{name}> is there {names.count(name)} times, {kind} has it once"
    for name, element in known.items():
        if element.get("minOccurs", "1") != "0" and name not in names:
            yield f"{path}: {kind} needs <{name}>"
    for child, name in zip(node, names):
        if name in known and name not in OPAQUE:
            yield from faults_of_value(child, known[name].get("type"), described, f"{path} <{name}>")


def faults_of_value(node, kind, described, path):
    value = (node.text or "").strip()
    if local(kind) in described.elements and kind.startswith("tns:"):
        yield from faults_of(node, local(kind), described, path)
        return
    if len(node):
        yield f"{path}: a {local(kind)} has no elements in it"
    if local(kind) in described.choices and value not in described.choices[local(kind)]:
        yield f"{path}: {local(kind)} has no choice {value}"
    if kind in PATTERNS and not re.fullmatch(PATTERNS[kind], value):
        yield f"{path}: {value} is no {local(kind)}"


def faults_of_file(path, described):
    try:
        root = ET.parse(path).getroot()
    except ET.ParseError as error:
        return [f"{path}: {error}"]
    suffix = path.name.removesuffix("-meta.xml").split(".")[-1]
    namespace, _, kind = root.tag.removeprefix("{").rpartition("}")
    wanted = TYPES.get(suffix, suffix)
    if namespace != METADATA:
        return [f"{path}: <{kind}> is not of the namespace {METADATA}"]
    if kind.lower() != wanted.lower():
        return [f"{path}: holds <{kind}>, its name says {wanted}"]
    if not described.extends_metadata(kind):
        return [f"{path}: Salesforce knows no metadata of type {kind}"]
    faults = list(faults_of(root, kind, described, str(path)))
    full_name = root.findtext(f"{{{METADATA}}}fullName")
    if full_name is not None and path.name != f"{full_name}.{suffix}-meta.xml":
        faults.append(f"{path}: calls itself {full_name}")
    return faults


def main():
    package = importlib.util.find_spec("simple_salesforce")
    described = Description(Path(package.origin).with_name("metadata.wsdl"))
    files = sorted(file for root in ROOTS for file in Path(root).rglob("*-meta.xml"))
    if not files:
        sys.exit("no metadata file is here")
    faults = [fault for file in files for fault in faults_of_file(file, described)]
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(files)} metadata files checked, {len(faults)} faults")
    sys.exit(1 if faults else 0)


main()
