//! Progress on a terminal; nothing where there is none.

use indicatif::{ProgressBar, ProgressStyle};

pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(what: &str, of: u64) -> Self {
        let bar = ProgressBar::new(of);
        // The template is fixed and good; without it the bar looks plainer.
        if let Ok(style) =
            ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {elapsed}")
        {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        Self(bar)
    }

    pub(super) fn at(&self, position: u64) {
        self.0.set_position(position);
    }

    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
