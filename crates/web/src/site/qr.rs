//! QR codes as inline SVG: dark on white in both themes, with the quiet zone
//! that scanners need (4 modules, ISO/IEC 18004 §6.3.8).

use std::fmt::Write as _;

use fast_qr::{ECL, QRBuilder};

use super::markup::Markup;

/// Empty modules around the symbol.
const QUIET: usize = 4;

/// The symbol for `code` (a ticket's opaque code) at error correction level M.
/// `None` if `code` is longer than a QR symbol holds (about 2,300 bytes).
///
/// The picture is hidden from assistive technology: the same code stands in
/// text beside it.
#[must_use]
pub fn svg(code: &str) -> Option<Markup> {
    let symbol = QRBuilder::new(code).ecl(ECL::M).build().ok()?;
    let side = symbol.size + 2 * QUIET;
    let mut path = String::new();
    for y in 0..symbol.size {
        let row = &symbol[y];
        let mut x = 0;
        while x < symbol.size {
            let run = row[x..symbol.size].iter().take_while(|module| module.value()).count();
            if run > 0 {
                let _ = write!(path, "M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET);
            }
            x += run.max(1);
        }
    }
    Some(Markup::vouched(format!(
        r##"<svg class="qr" viewBox="0 0 {side} {side}" shape-rendering="crispEdges" aria-hidden="true" focusable="false"><path fill="#fff" d="M0 0h{side}v{side}H0z"/><path fill="#000" d="{path}"/></svg>"##
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::svg;

    #[test]
    fn the_symbol_has_its_finder_pattern_inside_the_quiet_zone() {
        let html = svg("SLOE-7K3M9QXZ").unwrap().to_string();
        assert!(html.contains("M4 4h7v1h-7z"), "{html}");
    }

    #[test]
    fn a_code_that_fits_no_symbol_is_refused() {
        assert!(svg(&"x".repeat(3000)).is_none());
    }
}
