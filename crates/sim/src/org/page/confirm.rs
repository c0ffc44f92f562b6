//! The question before a record is deleted: what goes with it, and what keeps it.

use askama::Template;
use sloe_core::ids::SfId;

use super::view::{Frame, frame, grouped, title};
use crate::org::data::Database;
use crate::org::schema::OnDelete;
use crate::org::state::State as Org;

/// The question.
#[derive(Template)]
#[template(path = "org/confirm.html")]
pub(super) struct Confirm {
    frame: Frame,
    id: String,
    name: String,
    /// What the deletion does to other records, a sentence each.
    effects: Vec<String>,
    /// Why it will be refused, a sentence each.
    obstacles: Vec<String>,
}

/// What is asked before this record is deleted.
pub(super) fn confirm(org: &Org, database: &Database, number: usize, id: SfId) -> Confirm {
    let object = database.object(number);
    let name = database
        .table(number)
        .get_live(id)
        .map_or_else(|| id.to_string(), |row| title(database, object, row));
    let (mut effects, mut obstacles) = (Vec::new(), Vec::new());
    for (child, index) in database.schema().references_to(&object.name) {
        let shape = database.object(child);
        let count = database.table(child).children(index, id).map_or(0, Iterator::count);
        let field = shape.fields.get(index).and_then(|field| Some((field, field.reference()?)));
        let Some((field, reference)) = field.filter(|_| count > 0) else { continue };
        let what = if count == 1 { &shape.label } else { &shape.plural }.to_lowercase();
        let (many, verb) =
            (grouped(&count.to_string()), |one, more| if count == 1 { one } else { more });
        match reference.on_delete {
            OnDelete::Cascade => {
                effects.push(format!("{many} {what} {} deleted with it.", verb("is", "are")));
            }
            OnDelete::Clear => effects.push(format!(
                "{many} {what} {} an empty {} afterwards.",
                verb("has", "have"),
                field.label
            )),
            OnDelete::Restrict => obstacles.push(format!(
                "{many} {what} {} to it, and must be deleted first.",
                verb("belongs", "belong")
            )),
        }
    }
    let heading = format!("Delete {name}?");
    Confirm {
        frame: frame(org, database, &heading, &object.name, None),
        id: id.to_string(),
        name,
        effects,
        obstacles,
    }
}
