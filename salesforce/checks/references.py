"""Checks that what the package's files name is there, and is what it is named as.

python checks/references.py

Found are fields, objects, tabs, pages, components, classes, groups, client apps and credentials
that a file names and the package lacks, a client app's key or secret in a file, permissions on
fields that Salesforce refuses to list (required and master-detail ones), descriptions of permission
sets that are too long, lookups that Sloe's user would not see because it may not read what they lead
to, layouts that leave a field
out or do not require a required one, fields of the package that nobody may see, and filters by a
choice that its picklist lacks. An org says so when somebody deploys; here there is no org. Each
fault is a line; one of them ends it with 1.
"""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

SOURCE = Path("force-app/main/default")
NS = {"m": "http://soap.sforce.com/2006/04/metadata"}
# Of Salesforce itself: on every record, and what list views and related lists call the name.
OWN_FIELDS = {"Name", "NAME", "OwnerId", "CreatedById", "LastModifiedById"}
OWN_OBJECTS = {"Account", "Contact", "Lead", "UserExternalCredential"}
OWN_BUTTONS = {"Edit", "Delete"}
# Without the one, Salesforce grants no rights to the other.
PARENTS = {"Contact": "Account"}
# Characters that Salesforce keeps of a permission set's description.
MOST_DESCRIBED = 255
# Those of one user, who has no rights from elsewhere.
ALONE = ("Sloe_Integration", "Sloe_Invitations")


class Package:
    """What is there."""

    def __init__(self):
        self.fields = {}
        self.faults = []
        for path in SOURCE.glob("objects/*/fields/*.field-meta.xml"):
            fields = self.fields.setdefault(path.parts[-3], {})
            fields[path.name.removesuffix(".field-meta.xml")] = ET.parse(path).getroot()

    def files(self, folder, suffix):
        for path in sorted(SOURCE.rglob(f"{folder}/*.{suffix}-meta.xml")):
            yield path, ET.parse(path).getroot()

    def names(self, folder, suffix):
        return {path.name.removesuffix(f".{suffix}-meta.xml") for path, _ in self.files(folder, suffix)}

    def components(self):
        return {path.parent.name for path in SOURCE.glob("lwc/*/*.js-meta.xml")}

    def expect(self, path, name, known, what):
        if name not in known:
            self.faults.append(f"{path}: no {what} {name}")

    def expect_field(self, path, owner, name):
        if name not in OWN_FIELDS:
            self.expect(path, name, self.fields.get(owner, {}), f"field of {owner}:")


def texts(node, path):
    return [found.text for found in node.findall(path, NS)]


def is_required(field):
    kind = field.findtext("m:type", "", NS)
    return kind == "MasterDetail" or field.findtext("m:required", "", NS) == "true"


def check_lookups(package):
    """A lookup is hidden from whoever may not read what it leads to."""
    files = list(package.files("permissionsets", "permissionset"))
    ours = [(path, root) for path, root in files if path.name.split(".")[0] in ALONE]
    grants = [g for _, root in ours for g in root.findall("m:objectPermissions", NS)]
    granted = {g.findtext("m:object", "", NS): g.findtext("m:allowRead", "", NS) for g in grants}
    readable = {name for name, read in granted.items() if read == "true"}
    for path, root in ours:
        listed = texts(root, "m:fieldPermissions/m:field")
        for owner, name in (field.split(".") for field in listed):
            field = package.fields.get(owner, {}).get(name, root)
            for target in texts(field, "m:referenceTo"):
                package.expect(path, target, readable, f"Read for {owner}.{name} on")
    for name in readable:
        package.expect(SOURCE, PARENTS.get(name, name), readable, f"Read for {name} on")


def check_permission_sets(package):
    seen = set()
    for path, root in package.files("permissionsets", "permissionset"):
        described = len(root.findtext("m:description", "", NS))
        if described > MOST_DESCRIBED:
            package.faults.append(f"{path}: a description of {described} characters, {MOST_DESCRIBED} at most")
        listed = texts(root, "m:fieldPermissions/m:field")
        for name in listed:
            owner, field = name.split(".")
            package.expect_field(path, owner, field)
            if is_required(package.fields[owner].get(field, root)):
                package.faults.append(f"{path}: {name} is required, so it may not be listed")
        seen.update(listed)
        objects = set(package.fields) | OWN_OBJECTS
        for name in texts(root, "m:objectPermissions/m:object"):
            package.expect(path, name, objects, "object")
        for name in texts(root, "m:classAccesses/m:apexClass"):
            package.expect(path, name, package.names("classes", "cls"), "class")
        for name in texts(root, "m:tabSettings/m:tab"):
            package.expect(path, name, package.names("tabs", "tab"), "tab")
        for name in texts(root, "m:applicationVisibilities/m:application"):
            package.expect(path, name, package.names("applications", "app"), "app")
        for name in texts(root, "m:externalCredentialPrincipalAccesses/m:externalCredentialPrincipal"):
            package.expect(path, name, principals(package), "principal")
    for owner, fields in package.fields.items():
        for name in (name for name, field in fields.items() if not is_required(field)):
            if f"{owner}.{name}" not in seen:
                package.faults.append(f"{owner}.{name}: no permission set lets anybody see it")


def principals(package):
    parameters = "m:externalCredentialParameters[m:parameterType='NamedPrincipal']/m:parameterName"
    return {
        f"{path.name.split('.')[0]}-{name}"
        for path, root in package.files("externalCredentials", "externalCredential")
        for name in texts(root, parameters)
    }


def check_views(package):
    for path, root in package.files("listViews", "listView"):
        owner = path.parts[-3]
        for name in texts(root, "m:columns") + texts(root, "m:filters/m:field"):
            package.expect_field(path, owner, name)
        for rule in root.findall("m:filters", NS):
            field = package.fields[owner].get(rule.findtext("m:field", "", NS))
            choices = texts(field, ".//m:valueSetDefinition/m:value/m:fullName") if field is not None else []
            if choices:
                package.expect(path, rule.findtext("m:value", "", NS), choices, "choice")
    for path, root in package.files("compactLayouts", "compactLayout"):
        for name in texts(root, "m:fields"):
            package.expect_field(path, path.parts[-3], name)
    for path, root in package.files("objects/*", "object"):
        for name in texts(root, "m:compactLayoutAssignment"):
            package.expect(path, name, package.names("compactLayouts", "compactLayout"), "compact layout")
        for name in texts(root, "m:actionOverrides/m:content"):
            package.expect(path, name, package.names("flexipages", "flexipage"), "page")


def check_layouts(package):
    laid_out = set()
    for path, root in package.files("layouts", "layout"):
        owner = path.name.split("-")[0]
        laid_out.add(owner)
        items = root.findall(".//m:layoutItems", NS)
        behaviors = {i.findtext("m:field", "", NS): i.findtext("m:behavior", "", NS) for i in items}
        for name in behaviors:
            package.expect_field(path, owner, name)
        for name, field in package.fields.get(owner, {}).items():
            package.expect(path, name, behaviors, "place for the field")
            if is_required(field) and behaviors.get(name) != "Required":
                package.faults.append(f"{path}: {name} is required, the layout does not say so")
        for related in root.findall("m:relatedLists", NS):
            child, lookup = related.findtext("m:relatedList", "", NS).split(".")
            for name in [lookup, *texts(related, "m:fields"), *texts(related, "m:sortField")]:
                package.expect_field(path, child, name)
        for name in texts(root, ".//m:platformActionListItems/m:actionName"):
            actions = package.names("quickActions", "quickAction") | OWN_BUTTONS
            package.expect(path, name, actions, "action")
    for owner in package.fields:
        package.expect(owner, owner, laid_out, "layout for")


def check_pages(package):
    for path, root in package.files("flexipages", "flexipage"):
        for name in texts(root, ".//m:componentInstance/m:componentName"):
            if ":" not in name:
                package.expect(path, name, package.components(), "component")
        for name in texts(root, "m:sobjectType"):
            package.expect(path, name, package.fields, "object")
    for path, root in package.files("quickActions", "quickAction"):
        package.expect(path, path.name.split(".")[0], package.fields, "object")
        for name in texts(root, "m:lightningWebComponent"):
            package.expect(path, name, package.components(), "component")
    for path, root in package.files("tabs", "tab"):
        for name in texts(root, "m:flexiPage"):
            package.expect(path, name, package.names("flexipages", "flexipage"), "page")
        if root.findtext("m:customObject", "", NS) == "true":
            package.expect(path, path.name.split(".")[0], package.fields, "object")
    for path, root in package.files("applications", "app"):
        for name in texts(root, "m:tabs"):
            package.expect(path, name, package.names("tabs", "tab"), "tab")


def check_sharing(package):
    for path, root in package.files("sharingRules", "sharingRules"):
        package.expect(path, path.name.split(".")[0], package.fields, "object")
        for name in texts(root, ".//m:group"):
            package.expect(path, name, package.names("groups", "group"), "group")
    for path in sorted(Path("change-events").rglob("*.platformEventChannelMember-meta.xml")):
        name = ET.parse(path).getroot().findtext("m:selectedEntity", "", NS)
        package.expect(path, name.replace("__ChangeEvent", "__c"), package.fields, "object")


def check_client_app(package):
    """The settings name the app, and none holds what must stay secret."""
    folder = Path("client-app/main/default")
    apps = {path.name.split(".")[0] for path in folder.glob("externalClientApps/*.eca-meta.xml")}
    for path in sorted(folder.glob("extlClntApp*/*-meta.xml")):
        root = ET.parse(path).getroot()
        package.expect(path, root.findtext("m:externalClientApplication", "", NS), apps, "external client app")
        for name in ("consumerKey", "consumerSecret"):
            if root.find(f"m:{name}", NS) is not None:
                package.faults.append(f"{path}: <{name}> must not lie in a file")


def check_calls(package):
    """From the component's import to the class, from there to the credential and its secret."""
    classes = {path.stem: path.read_text() for path in SOURCE.glob("classes/*.cls")}
    for path in sorted(SOURCE.glob("lwc/*/*.js")):
        for name, method in re.findall(r"@salesforce/apex/(\w+)\.(\w+)", path.read_text()):
            exposed = re.findall(r"@AuraEnabled\s+public static \S+ (\w+)\(", classes.get(name, ""))
            package.expect(path, method, exposed, f"method for components in {name}:")
    credentials = package.names("namedCredentials", "namedCredential")
    for name, text in classes.items():
        for called in re.findall(r"'callout:(\w+)", text):
            package.expect(name, called, credentials, "named credential")
    secrets = package.names("externalCredentials", "externalCredential")
    for path, root in package.files("namedCredentials", "namedCredential"):
        for name in texts(root, ".//m:externalCredential"):
            package.expect(path, name, secrets, "external credential")
    for path, root in package.files("externalCredentials", "externalCredential"):
        for value in texts(root, ".//m:parameterValue"):
            for name in re.findall(r"\$Credential\.(\w+)\.", value):
                package.expect(path, name, {path.name.split(".")[0]}, "credential of its own:")


def main():
    package = Package()
    if not package.fields:
        sys.exit("no object is here")
    checks = [
        check_permission_sets,
        check_lookups,
        check_views,
        check_layouts,
        check_pages,
        check_sharing,
        check_client_app,
        check_calls,
    ]
    for check in checks:
        check(package)
    for fault in package.faults:
        print(fault, file=sys.stderr)
    print(f"{sum(map(len, package.fields.values()))} fields and all that names them: {len(package.faults)} faults")
    sys.exit(1 if package.faults else 0)


main()
