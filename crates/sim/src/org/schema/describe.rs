//! Describe: the schema as the REST API tells it.

use serde_json::{Value as Json, json};

use super::{Computed, Field, Kind, Object, OnDelete, Schema, Slot};

/// `/sobjects`: all objects in short.
pub(crate) fn global(schema: &Schema, version: &str) -> Json {
    let objects: Vec<Json> =
        schema.objects().iter().map(|object| summary(object, version)).collect();
    json!({ "encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects })
}

/// What the global and the object's own describe share.
pub(crate) fn summary(object: &Object, version: &str) -> Json {
    let base = format!("/services/data/{version}/sobjects/{}", object.name);
    json!({
        "name": object.name,
        "label": object.label,
        "labelPlural": object.plural,
        "keyPrefix": object.prefix,
        "custom": object.custom(),
        "customSetting": false,
        "activateable": false,
        "associateEntityType": null,
        "associateParentEntity": null,
        "createable": object.writable,
        "updateable": object.writable,
        "deletable": object.writable,
        "deprecatedAndHidden": false,
        "feedEnabled": false,
        "hasSubtypes": false,
        "isInterface": false,
        "isSubtype": false,
        "layoutable": true,
        "mergeable": false,
        "mruEnabled": object.writable,
        "queryable": true,
        "replicateable": true,
        "retrieveable": true,
        "searchable": crate::org::sosl::searchable(object),
        "triggerable": object.writable,
        "undeletable": false,
        "urls": {
            "sobject": base,
            "describe": format!("{base}/describe"),
            "rowTemplate": format!("{base}/{{ID}}"),
        },
    })
}

/// `/sobjects/X/describe`: the object with its fields and its children.
pub(crate) fn full(schema: &Schema, object: &Object, version: &str) -> Json {
    let mut out = summary(object, version);
    let fields: Vec<Json> = object.fields.iter().map(field).collect();
    let children: Vec<Json> = schema
        .references_to(&object.name)
        .filter_map(|(child, index)| {
            let child = schema.objects().get(child)?;
            let field = child.fields.get(index)?;
            let reference = field.reference()?;
            Some(json!({
                "childSObject": child.name,
                "field": field.name,
                "relationshipName": reference.children,
                "cascadeDelete": reference.on_delete == OnDelete::Cascade,
                "restrictedDelete": reference.on_delete == OnDelete::Restrict,
                "deprecatedAndHidden": false,
                "junctionIdListNames": [],
                "junctionReferenceTo": [],
            }))
        })
        .collect();
    if let Some(map) = out.as_object_mut() {
        map.insert("fields".to_owned(), fields.into());
        map.insert("childRelationships".to_owned(), children.into());
        map.insert("recordTypeInfos".to_owned(), json!([]));
    }
    out
}

fn field(field: &Field) -> Json {
    let (length, precision, scale) = match &field.kind {
        Kind::Id | Kind::Reference(_) => (18, 0, 0),
        Kind::Text(n) | Kind::LongText(n) => (*n, 0, 0),
        Kind::Email => (80, 0, 0),
        Kind::Phone => (40, 0, 0),
        Kind::Url | Kind::Picklist { .. } => (255, 0, 0),
        Kind::AutoNumber(..) => (30, 0, 0),
        Kind::FullName => (121, 0, 0),
        Kind::Number(precision, scale) | Kind::Currency(precision, scale) => {
            (0, *precision, *scale)
        }
        Kind::Checkbox | Kind::Date | Kind::DateTime => (0, 0, 0),
    };
    let writable = field.writable;
    let reference = field.reference();
    let filterable = !matches!(field.kind, Kind::LongText(_));
    let has_default = field.kind == Kind::Checkbox
        || matches!(field.slot, Slot::OwnerId)
        || matches!(&field.kind, Kind::Picklist { values, .. } if values.iter().any(|(_, default)| *default));
    let mut out = json!({
        "name": field.name,
        "label": field.label,
        "inlineHelpText": if field.help.is_empty() { Json::Null } else { field.help.clone().into() },
        "type": type_name(field),
        "soapType": soap_type(&field.kind),
        "length": length,
        "byteLength": length * 3,
        "digits": 0,
        "precision": precision,
        "scale": scale,
        "custom": field.custom(),
        "createable": writable,
        "updateable": writable && !field.frozen,
        "nillable": !field.required && !matches!(field.kind, Kind::Checkbox | Kind::Id) && !system_required(field),
        "defaultedOnCreate": has_default || system_required(field),
        "defaultValue": if field.kind == Kind::Checkbox { field.default.into() } else { Json::Null },
        "unique": field.unique,
        "externalId": field.external_id,
        "idLookup": field.external_id || field.kind == Kind::Id,
        "caseSensitive": field.case_sensitive,
        "autoNumber": matches!(field.kind, Kind::AutoNumber(..)),
        "calculated": field.computed.is_some(),
        "nameField": field.name == "Name",
    });
    let more = json!({
        "filterable": filterable,
        "sortable": filterable,
        "groupable": filterable && !matches!(field.kind, Kind::Number(..) | Kind::Currency(..) | Kind::DateTime),
        "aggregatable": filterable,
        "permissionable": field.custom() && !field.required,
        "restrictedPicklist": matches!(field.kind, Kind::Picklist { restricted: true, .. }),
        "picklistValues": picklist(&field.kind),
        "referenceTo": reference.map_or_else(Vec::new, |r| vec![r.to.clone()]),
        "relationshipName": reference.map(|r| r.relationship.clone()),
        "relationshipOrder": reference.filter(|r| r.on_delete == OnDelete::Cascade && field.custom()).map(|_| 0),
        "cascadeDelete": reference.is_some_and(|r| r.on_delete == OnDelete::Cascade),
        "restrictedDelete": reference.is_some_and(|r| r.on_delete == OnDelete::Restrict),
    });
    if let (Some(out), Json::Object(more)) = (out.as_object_mut(), more) {
        out.extend(more);
        add_constants(out);
        if let Some(Computed::Formula { text, .. }) = &field.computed {
            out.insert("calculatedFormula".to_owned(), text.clone().into());
        }
    }
    out
}

/// What is the same for every field here, but must be there for clients that read describe into fixed types.
fn add_constants(out: &mut serde_json::Map<String, Json>) {
    const FALSE: [&str; 13] = [
        "writeRequiresMasterRead",
        "htmlFormatted",
        "namePointing",
        "deprecatedAndHidden",
        "dependentPicklist",
        "encrypted",
        "queryByDistance",
        "searchPrefilterable",
        "displayLocationInDecimal",
        "aiPredictionField",
        "polymorphicForeignKey",
        "highScaleNumber",
        "formulaTreatNullNumberAsZero",
    ];
    const NULL: [&str; 9] = [
        "calculatedFormula",
        "compoundFieldName",
        "controllerName",
        "defaultValueFormula",
        "extraTypeInfo",
        "filteredLookupInfo",
        "mask",
        "maskType",
        "referenceTargetField",
    ];
    out.extend(FALSE.iter().map(|name| ((*name).to_owned(), false.into())));
    out.extend(NULL.iter().map(|name| ((*name).to_owned(), Json::Null)));
}

fn system_required(field: &Field) -> bool {
    !matches!(field.slot, Slot::Stored(_))
}

fn picklist(kind: &Kind) -> Vec<Json> {
    let Kind::Picklist { values, .. } = kind else { return Vec::new() };
    let each = values.iter().map(|(value, default)| {
        json!({ "active": true, "defaultValue": default, "label": value, "validFor": null, "value": value })
    });
    each.collect()
}

/// The type's name in describe.
pub(crate) fn type_name(field: &Field) -> &'static str {
    match field.kind {
        Kind::Id => "id",
        Kind::Reference(_) => "reference",
        Kind::Text(_) | Kind::AutoNumber(..) | Kind::FullName => "string",
        Kind::LongText(_) => "textarea",
        Kind::Email => "email",
        Kind::Phone => "phone",
        Kind::Url => "url",
        Kind::Number(..) => "double",
        Kind::Currency(..) => "currency",
        Kind::Checkbox => "boolean",
        Kind::Date => "date",
        Kind::DateTime => "datetime",
        Kind::Picklist { .. } => "picklist",
    }
}

fn soap_type(kind: &Kind) -> &'static str {
    match kind {
        Kind::Id | Kind::Reference(_) => "tns:ID",
        Kind::Number(..) | Kind::Currency(..) => "xsd:double",
        Kind::Checkbox => "xsd:boolean",
        Kind::Date => "xsd:date",
        Kind::DateTime => "xsd:dateTime",
        _ => "xsd:string",
    }
}
