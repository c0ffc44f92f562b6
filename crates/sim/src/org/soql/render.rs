//! Writes what a query found, as the REST API's JSON and as Bulk CSV.

use sloe_core::ids::SfId;

use super::ast::Function;
use super::bind::{Output, Plan};
use super::filter::value_of;
use super::localized::localized;
use crate::org::data::{Database, Row, Value};

/// Writes the `attributes` every record begins with.
fn write_attributes(out: &mut Vec<u8>, kind: &str, version: &str, id: SfId) {
    out.extend_from_slice(b"\"attributes\":{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"url\":\"/services/data/");
    out.extend_from_slice(version.as_bytes());
    out.extend_from_slice(b"/sobjects/");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'/');
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b"\"}");
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Writes one record; `children` is called for each child subquery with its place among the plan's outputs.
pub(crate) fn write_record(
    out: &mut Vec<u8>,
    database: &Database,
    plan: &Plan,
    row: &Row,
    version: &str,
    children: &mut dyn FnMut(&mut Vec<u8>, usize, SfId),
) {
    out.push(b'{');
    write_attributes(out, &database.object(plan.object).name, version, row.id);
    Writer { database, plan, version }.write_level(out, row, &[]);
    for (place, output) in plan.outputs.iter().enumerate() {
        if let Output::Children { name, .. } = output {
            write_name(out, name);
            children(out, place, row.id);
        }
    }
    out.push(b'}');
}

struct Writer<'a> {
    database: &'a Database,
    plan: &'a Plan,
    version: &'a str,
}

impl Writer<'_> {
    /// Writes the fields whose path begins with `lead`, parents as nested objects, in the order they were selected.
    fn write_level(&self, out: &mut Vec<u8>, row: &Row, lead: &[String]) {
        let depth = lead.len();
        let mut written: Vec<&str> = Vec::new();
        for output in &self.plan.outputs {
            let Output::Column { column, formatted, .. } = output else { continue };
            let (Some(head), Some(name)) = (column.names.get(..depth), column.names.get(depth))
            else {
                continue;
            };
            if head != lead || written.contains(&name.as_str()) {
                continue;
            }
            written.push(name);
            write_name(out, name);
            let Some((object, reference)) = column.hops.get(depth) else {
                let field = self.database.object(column.object).fields.get(column.field);
                let value = field.map_or(Value::Null, |f| row.get(f.slot).into_owned());
                match formatted {
                    Some(zone) => localized(&value, field.map(|f| &f.kind), zone).write_json(out),
                    None => value.write_json(out),
                }
                continue;
            };
            self.write_parent(out, row, (*object, *reference), lead, name);
        }
    }

    fn write_parent(
        &self,
        out: &mut Vec<u8>,
        row: &Row,
        (object, reference): (usize, usize),
        lead: &[String],
        name: &str,
    ) {
        let field = self.database.object(object).fields.get(reference);
        let parent = field.and_then(|f| {
            let to = self.database.schema().find(&f.reference()?.to)?;
            self.database.table(to).get_live(row.get(f.slot).id()?).map(|parent| (to, parent))
        });
        let Some((to, parent)) = parent else {
            out.extend_from_slice(b"null");
            return;
        };
        out.push(b'{');
        write_attributes(out, &self.database.object(to).name, self.version, parent.id);
        let mut lead = lead.to_vec();
        lead.push(name.to_owned());
        self.write_level(out, parent, &lead);
        out.push(b'}');
    }
}

impl Plan {
    /// Writes one group of an aggregate query.
    pub(crate) fn write_group(&self, out: &mut Vec<u8>, values: &[Value]) {
        out.extend_from_slice(b"{\"attributes\":{\"type\":\"AggregateResult\"}");
        for (output, value) in self.outputs.iter().zip(values) {
            match output {
                Output::Column { name, .. } => {
                    write_name(out, name);
                    value.write_json(out);
                }
                Output::Aggregate { column, name, .. } => {
                    write_name(out, name);
                    // Counts and parts of dates are whole numbers in JSON, other numbers doubles.
                    let whole = column.reckoned.is_some()
                        || matches!(
                            column.function,
                            Some(Function::Count | Function::CountDistinct | Function::Grouping)
                        );
                    match value {
                        Value::Number(n) if whole => {
                            out.extend_from_slice(format!("{n:.0}").as_bytes());
                        }
                        _ => value.write_json(out),
                    }
                }
                Output::Children { .. } => {}
            }
        }
        out.push(b'}');
    }
}

/// The header of a Bulk query's CSV.
pub(crate) fn csv_columns(plan: &Plan) -> Vec<String> {
    let columns = plan.outputs.iter().filter_map(|output| match output {
        Output::Column { column, .. } => Some(column.names.join(".")),
        Output::Aggregate { .. } | Output::Children { .. } => None,
    });
    columns.collect()
}

/// One record of a Bulk query's CSV.
pub(crate) fn csv_values(database: &Database, plan: &Plan, row: &Row) -> Vec<String> {
    let columns = plan.outputs.iter().filter_map(|output| match output {
        Output::Column { column, formatted, .. } => {
            let value = value_of(database, row, column);
            Some(match formatted {
                Some(zone) => {
                    let kind = column.kind(database);
                    localized(&value, kind.as_ref(), zone).to_text().into_owned()
                }
                None => value.to_text().into_owned(),
            })
        }
        Output::Aggregate { .. } | Output::Children { .. } => None,
    });
    columns.collect()
}
