//! Reads Sloe's SFDX object files (`salesforce/force-app/**/objects`), which are built into the program.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::{Field, Kind, Object, OnDelete, Reference, Rule};
use crate::org::formula::Formula;

#[derive(rust_embed::RustEmbed)]
#[folder = "../../salesforce/force-app/main/default/objects"]
struct Files;

/// One XML element: its name, its own text and its children.
#[derive(Debug, Default)]
struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |c| c.text.trim())
    }

    fn is(&self, name: &str) -> bool {
        self.text_of(name) == "true"
    }

    fn number(&self, name: &str) -> Result<u32, String> {
        self.text_of(name).parse().map_err(|_| format!("<{name}> isn't a number"))
    }
}

/// Reads every object of Sloe's package, with its fields and rules.
///
/// Key prefixes are left empty; the schema gives them.
///
/// # Errors
/// A sentence naming the file that isn't what it should be.
pub(super) fn objects() -> Result<Vec<Object>, String> {
    let mut paths: Vec<String> = Files::iter().map(|path| path.replace('\\', "/")).collect();
    paths.sort_by_key(|path| (creation_order(path), path.clone()));
    let mut objects: Vec<Object> = Vec::new();
    for path in paths.iter().filter(|path| path.ends_with(".object-meta.xml")) {
        let name = path.split('/').next().unwrap_or_default();
        let mut object = read_object(name, &load(path)?).map_err(|e| format!("{path}: {e}"))?;
        let detail = read_members(&mut object, &paths)?;
        object.push_stamps(!detail);
        objects.push(object);
    }
    Ok(objects)
}

/// Adds the object's fields and rules; answers whether it is the detail of a master.
fn read_members(object: &mut Object, paths: &[String]) -> Result<bool, String> {
    let folder = format!("{}/", object.name);
    for path in paths.iter().filter(|path| path.starts_with(&folder)) {
        if path.ends_with(".field-meta.xml") {
            let field = read_field(&load(path)?).map_err(|e| format!("{path}: {e}"))?;
            object.push_stored(field);
        } else if path.ends_with(".validationRule-meta.xml") {
            let element = load(path)?;
            if element.is("active") {
                let rule = read_rule(&element).map_err(|e| format!("{path}: {e}"))?;
                object.rules.push(rule);
            }
        }
    }
    Ok(object.is_detail())
}

/// Parents before children, so that key prefixes follow the order an install would give.
fn creation_order(path: &str) -> usize {
    const ORDER: [&str; 5] = [
        "Sloe_Event__c",
        "Sloe_Item__c",
        "Sloe_Session__c",
        "Sloe_Attendee__c",
        "Sloe_Session_Attendee__c",
    ];
    let name = path.split('/').next().unwrap_or_default();
    ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len())
}

fn load(path: &str) -> Result<Element, String> {
    let file = Files::get(path).ok_or_else(|| format!("{path}: missing"))?;
    let text = std::str::from_utf8(&file.data).map_err(|e| format!("{path}: {e}"))?;
    parse(text).map_err(|e| format!("{path}: {e}"))
}

fn parse(text: &str) -> Result<Element, String> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(tag) => {
                open.push(Element { name: name_of(tag.name()), ..Element::default() });
            }
            Event::Empty(tag) => {
                let element = Element { name: name_of(tag.name()), ..Element::default() };
                if let Some(parent) = open.last_mut() {
                    parent.children.push(element);
                }
            }
            Event::End(_) => {
                let element = open.pop().ok_or("an element is closed that was never opened")?;
                let parent = open.last_mut().ok_or("an element is closed that was never opened")?;
                parent.children.push(element);
            }
            Event::Text(chunk) => push_text(&mut open, &chunk.xml10_content()),
            Event::CData(chunk) => push_text(&mut open, &chunk.xml10_content()),
            Event::GeneralRef(entity) => {
                let char_ref = entity.resolve_char_ref().map_err(|e| e.to_string())?;
                let name = entity.xml10_content();
                match (char_ref, quick_xml::escape::resolve_xml_entity(&name)) {
                    (Some(c), _) => push_text(&mut open, c.encode_utf8(&mut [0; 4])),
                    (None, Some(text)) => push_text(&mut open, text),
                    (None, None) => return Err(format!("unknown entity &{name};")),
                }
            }
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) => {}
        }
    }
    open.pop()
        .and_then(|root| root.children.into_iter().next())
        .ok_or_else(|| "no element in it".to_owned())
}

fn name_of(name: quick_xml::name::QName<'_>) -> String {
    String::from_utf8_lossy(name.as_ref().as_ref()).into_owned()
}

fn push_text(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn read_object(name: &str, element: &Element) -> Result<Object, String> {
    let mut object =
        Object::new(name, element.text_of("label"), element.text_of("pluralLabel"), "");
    let name_field = element.child("nameField").ok_or("no <nameField>")?;
    let label = name_field.text_of("label");
    let field = match name_field.text_of("type") {
        "Text" => {
            let mut field = Field::new("Name", label, Kind::Text(80));
            field.required = true;
            field
        }
        "AutoNumber" => {
            let format = name_field.text_of("displayFormat");
            let (prefix, rest) = format.split_once('{').ok_or("a display format needs {0…}")?;
            let mut field =
                Field::new("Name", label, Kind::AutoNumber(prefix.to_owned(), rest.len() - 1));
            field.writable = false;
            field
        }
        other => return Err(format!("unknown type of name field {other}")),
    };
    object.push_stored(field);
    Ok(object)
}

fn read_field(element: &Element) -> Result<Field, String> {
    let name = element.text_of("fullName");
    let mut field = Field::new(name, element.text_of("label"), read_kind(name, element)?);
    element.text_of("inlineHelpText").clone_into(&mut field.help);
    field.required = element.is("required") || element.text_of("type") == "MasterDetail";
    field.unique = element.is("unique");
    field.external_id = element.is("externalId");
    field.case_sensitive = element.is("caseSensitive");
    field.default = element.is("defaultValue");
    field.frozen =
        element.text_of("type") == "MasterDetail" && !element.is("reparentableMasterDetail");
    Ok(field)
}

fn read_kind(name: &str, element: &Element) -> Result<Kind, String> {
    let length = || element.number("length").map(|n| n as usize);
    let digits = || Ok::<_, String>((element.number("precision")?, element.number("scale")?));
    Ok(match element.text_of("type") {
        "Text" => Kind::Text(length()?),
        "LongTextArea" => Kind::LongText(length()?),
        "Email" => Kind::Email,
        "Phone" => Kind::Phone,
        "Url" => Kind::Url,
        "Number" => digits().map(|(precision, scale)| Kind::Number(precision, scale))?,
        "Currency" => digits().map(|(precision, scale)| Kind::Currency(precision, scale))?,
        "Checkbox" => Kind::Checkbox,
        "Date" => Kind::Date,
        "DateTime" => Kind::DateTime,
        "Picklist" => read_picklist(element)?,
        "Lookup" => Kind::Reference(read_reference(name, element, lookup_delete(element)?)),
        "MasterDetail" => Kind::Reference(read_reference(name, element, OnDelete::Cascade)),
        other => return Err(format!("the simulated org doesn't know fields of type {other}")),
    })
}

fn lookup_delete(element: &Element) -> Result<OnDelete, String> {
    match element.text_of("deleteConstraint") {
        "SetNull" | "" => Ok(OnDelete::Clear),
        "Restrict" => Ok(OnDelete::Restrict),
        "Cascade" => Ok(OnDelete::Cascade),
        other => Err(format!("unknown <deleteConstraint> {other}")),
    }
}

fn read_reference(name: &str, element: &Element, on_delete: OnDelete) -> Reference {
    let children = element.text_of("relationshipName");
    Reference {
        to: element.text_of("referenceTo").to_owned(),
        relationship: name
            .strip_suffix("__c")
            .map_or_else(|| name.to_owned(), |stem| format!("{stem}__r")),
        children: (!children.is_empty()).then(|| format!("{children}__r")),
        on_delete,
    }
}

fn read_picklist(element: &Element) -> Result<Kind, String> {
    let set = element.child("valueSet").ok_or("no <valueSet>")?;
    let definition = set.child("valueSetDefinition").ok_or("no <valueSetDefinition>")?;
    let values = definition
        .children
        .iter()
        .filter(|c| c.name == "value")
        .map(|value| (value.text_of("fullName").to_owned(), value.is("default")))
        .collect();
    Ok(Kind::Picklist { values, restricted: set.is("restricted") })
}

fn read_rule(element: &Element) -> Result<Rule, String> {
    let field = element.text_of("errorDisplayField");
    Ok(Rule {
        name: element.text_of("fullName").to_owned(),
        formula: Formula::parse(element.text_of("errorConditionFormula"))?,
        message: element.text_of("errorMessage").to_owned(),
        field: (!field.is_empty()).then(|| field.to_owned()),
    })
}
