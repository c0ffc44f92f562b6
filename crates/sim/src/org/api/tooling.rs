//! `/tooling/query`: the validation rules of objects, which is all that is here of the Tooling API.

use axum::http::Method;
use serde_json::{Map, Value as Json, json};

use super::reply::{ApiError, Call, Reply};
use crate::org::data::Database;
use crate::org::schema::{Object, Rule};
use crate::org::soql;
use crate::org::soql::ast::{Comparison, Condition, Literal, Path, Select};

/// Answers a query of `ValidationRule`.
pub(crate) fn answer(database: &Database, call: &Call, rest: &[&str]) -> Result<Reply, ApiError> {
    if rest != ["query"] || call.method != Method::GET {
        return Err(ApiError::unsupported("Tooling API beyond queries"));
    }
    let text = call.parameter("q").unwrap_or_default();
    let query = soql::parse(text).map_err(|e| ApiError::new(400, e.code, e.message))?;
    if !query.from.eq_ignore_ascii_case("ValidationRule") {
        return Err(ApiError::unsupported("Tooling API objects other than ValidationRule"));
    }
    let mut records = Vec::new();
    for object in database.schema().objects() {
        for rule in &object.rules {
            if query.filter.as_ref().map_or(Ok(true), |filter| holds(filter, object, rule))? {
                records.push(record(&query.select, object, rule, call)?);
            }
        }
    }
    let size = records.len();
    let body = json!({ "size": size, "totalSize": size, "done": true, "records": records });
    Ok(Reply::json(200, &body))
}

fn holds(condition: &Condition, object: &Object, rule: &Rule) -> Result<bool, ApiError> {
    let is = |path: &Path, literal: &Literal| {
        let value = value(path, object, rule)?;
        Ok::<_, ApiError>(match literal {
            Literal::Null => value.is_null(),
            Literal::Bool(wanted) => value == *wanted,
            Literal::Text(wanted) => {
                value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(wanted))
            }
            _ => false,
        })
    };
    match condition {
        Condition::All(all) => {
            all.iter().try_fold(true, |so, one| Ok(so && holds(one, object, rule)?))
        }
        Condition::Any(any) => {
            any.iter().try_fold(false, |so, one| Ok(so || holds(one, object, rule)?))
        }
        Condition::Not(one) => Ok(!holds(one, object, rule)?),
        Condition::Compare(path, Comparison::Equal, literal) => is(path, literal),
        Condition::Compare(path, Comparison::Differs, literal) => Ok(!is(path, literal)?),
        Condition::In { path, negated, values } => {
            let mut among = false;
            for literal in values {
                among |= is(path, literal)?;
            }
            Ok(among != *negated)
        }
        Condition::Compare(..) | Condition::InQuery { .. } => {
            Err(ApiError::unsupported("such conditions in the Tooling API"))
        }
    }
}

fn record(select: &[Select], object: &Object, rule: &Rule, call: &Call) -> Result<Json, ApiError> {
    let url = |name: &str| format!("/services/data/{}/tooling/sobjects/{name}", call.version);
    let kind = |name: &str| json!({ "type": name, "url": url(name) });
    let mut record = Map::new();
    record.insert("attributes".to_owned(), kind("ValidationRule"));
    for selected in select {
        let Select::Field { path, .. } = selected else {
            return Err(ApiError::unsupported("aggregates in the Tooling API"));
        };
        let value = value(path, object, rule)?;
        match path.parts.as_slice() {
            [parent, field] => {
                let mut inner = Map::new();
                inner.insert("attributes".to_owned(), kind("EntityDefinition"));
                inner.insert(field.clone(), value);
                record.insert(parent.clone(), Json::Object(inner));
            }
            path => {
                record.insert(path.concat(), value);
            }
        }
    }
    Ok(Json::Object(record))
}

fn value(path: &Path, object: &Object, rule: &Rule) -> Result<Json, ApiError> {
    let name = path.parts.join(".");
    Ok(match name.to_ascii_lowercase().as_str() {
        // The schema holds active rules only.
        "active" => true.into(),
        "validationname" => rule.name.clone().into(),
        "errormessage" => rule.message.clone().into(),
        "errordisplayfield" => rule.field.clone().into(),
        "entitydefinition.qualifiedapiname" => object.name.clone().into(),
        _ => {
            let message = format!("No such column '{name}' on entity 'ValidationRule'.");
            return Err(ApiError::new(400, "INVALID_FIELD", message));
        }
    })
}
