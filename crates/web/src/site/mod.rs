//! The public site: what registrants see. Server-rendered, complete without
//! JavaScript; `view` says what a page shows, `templates/` how, `words` what
//! the pages without a form say.

pub mod assets;
pub mod calendar;
pub mod color;
pub mod look;
pub mod markup;
pub mod prose;
pub mod qr;
pub mod view;
pub mod when;
pub mod words;
