//! Plots as SVG, small enough to be read and to be mailed: no script, no font
//! of their own, colors by the page's style.

use std::fmt::Write as _;

use super::words::{figure, milliseconds};

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 40.0;
/// About so many lines across.
const TICKS: f64 = 4.0;

/// How the values of a plot are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// From 0, evenly.
    Counts,
    /// Milliseconds, each power of ten as high as the next.
    Times,
}

/// One line: a value for each slot, a gap where there is none.
pub(super) struct Line {
    /// The class that gives its color, `c1` to `c6`.
    pub(super) class: &'static str,
    pub(super) values: Vec<Option<f64>>,
}

/// Lines over time.
pub(super) struct Plot {
    /// What it shows, for those who can't see it.
    pub(super) title: &'static str,
    /// What the values are.
    pub(super) unit: &'static str,
    pub(super) scale: Scale,
    /// Seconds of a slot.
    pub(super) slot: f64,
    /// Seconds in all.
    pub(super) seconds: f64,
    pub(super) lines: Vec<Line>,
}

/// Where values lie on the picture.
struct Frame {
    scale: Scale,
    low: f64,
    high: f64,
    seconds: f64,
}

impl Frame {
    fn x(&self, seconds: f64) -> f64 {
        let share = (seconds / self.seconds.max(1e-9)).clamp(0.0, 1.0);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Counts => value / self.high.max(1e-9),
            Scale::Times => {
                let value = value.max(self.low);
                (value / self.low).log10() / (self.high / self.low).log10().max(1e-9)
            }
        };
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }

    /// The values at which lines go across, with what they are called.
    fn marks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Counts => {
                let step = even_step(self.high / TICKS);
                steps(self.high, step).map(|value| (value, figure(value))).collect()
            }
            Scale::Times => {
                let mut marks = Vec::new();
                let mut value = self.low;
                while value <= self.high * 1.001 {
                    marks.push((value, milliseconds(value)));
                    value *= 10.0;
                }
                marks
            }
        }
    }
}

impl Plot {
    /// The picture.
    pub(super) fn svg(&self) -> String {
        let values = || self.lines.iter().flat_map(|line| line.values.iter().flatten().copied());
        let most = values().fold(0.0_f64, f64::max);
        let (low, high) = match self.scale {
            Scale::Counts => (0.0, most.max(1.0) * 1.05),
            Scale::Times => {
                let least = values().filter(|value| *value > 0.0).fold(most, f64::min);
                let low = 10_f64.powf(least.max(0.01).log10().floor());
                (low, 10_f64.powf(most.max(low * 2.0).log10().ceil()))
            }
        };
        let frame = Frame { scale: self.scale, low, high, seconds: self.seconds };
        let mut svg = open(self.title);
        for (value, name) in frame.marks() {
            across(&mut svg, frame.y(value), &name);
        }
        self.times(&mut svg, &frame);
        for line in &self.lines {
            // Writing to a String can't fail.
            let _ = write!(
                svg,
                "<path class=\"line {}\" d=\"{}\"/>",
                line.class,
                self.path(line, &frame)
            );
        }
        let unit = self.unit;
        axis_name(&mut svg, unit);
        svg.push_str("</svg>");
        svg
    }

    /// A level for each slot; a gap where there is no value.
    fn path(&self, line: &Line, frame: &Frame) -> String {
        let mut path = String::new();
        let mut on = false;
        let mut from = 0.0;
        for value in &line.values {
            let to = from + self.slot;
            match value {
                Some(value) => {
                    let y = frame.y(*value);
                    let (x, end) = (frame.x(from), frame.x(to));
                    let _ = match on {
                        true => write!(path, "V{y:.1}H{end:.1}"),
                        false => write!(path, "M{x:.1} {y:.1}H{end:.1}"),
                    };
                    on = true;
                }
                None => on = false,
            }
            from = to;
        }
        path
    }

    /// The time axis.
    fn times(&self, svg: &mut String, frame: &Frame) {
        let (unit, name) = match self.seconds {
            seconds if seconds >= 7_200.0 => (3_600.0, "hours since the begin"),
            seconds if seconds >= 150.0 => (60.0, "minutes since the begin"),
            _ => (1.0, "seconds since the begin"),
        };
        let all = self.seconds / unit;
        let bottom = HEIGHT - BOTTOM;
        for mark in steps(all, even_step(all / 5.0)) {
            let x = frame.x(mark * unit);
            let _ = write!(
                svg,
                "<path class=\"tick\" d=\"M{x:.1} {bottom}v4\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" class=\"middle\">{}</text>",
                bottom + 16.0,
                figure(mark)
            );
        }
        below(svg, name);
    }
}

/// Bars side by side, each with its name; empty names are not shown.
pub(super) fn bars(title: &str, (unit, along): (&str, &str), values: &[(String, f64)]) -> String {
    let most = values.iter().map(|(_, value)| *value).fold(0.0_f64, f64::max);
    let frame = Frame { scale: Scale::Counts, low: 0.0, high: most.max(1.0) * 1.05, seconds: 1.0 };
    let mut svg = open(title);
    for (value, name) in frame.marks() {
        across(&mut svg, frame.y(value), &name);
    }
    // There are few bars.
    #[allow(clippy::cast_precision_loss)]
    let each = 1.0 / values.len().max(1) as f64;
    let bottom = HEIGHT - BOTTOM;
    let mut from = 0.0;
    for (name, value) in values {
        let (x, end, y) = (frame.x(from), frame.x(from + each), frame.y(*value));
        let _ = write!(
            svg,
            "<rect class=\"bar c1\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            x + 0.5,
            (end - x - 1.0).max(0.5),
            (bottom - y).max(0.0)
        );
        if !name.is_empty() {
            let _ = write!(
                svg,
                "<path class=\"tick\" d=\"M{x:.1} {bottom}v4\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" class=\"middle\">{}</text>",
                bottom + 16.0,
                escaped(name)
            );
        }
        from += each;
    }
    below(&mut svg, along);
    axis_name(&mut svg, unit);
    svg.push_str("</svg>");
    svg
}

fn open(title: &str) -> String {
    let bottom = HEIGHT - BOTTOM;
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{}</title>\
         <path class=\"axis\" d=\"M{LEFT} {bottom}H{}\"/>",
        escaped(title),
        WIDTH - RIGHT
    )
}

/// A line across with its value's name.
fn across(svg: &mut String, y: f64, name: &str) {
    let _ = write!(
        svg,
        "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{}\"/>\
         <text x=\"{}\" y=\"{:.1}\" class=\"end\">{}</text>",
        WIDTH - RIGHT,
        LEFT - 6.0,
        y + 4.0,
        escaped(name)
    );
}

/// The name of the axis along the bottom.
fn below(svg: &mut String, name: &str) {
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    let y = HEIGHT - 6.0;
    let name = escaped(name);
    let _ = write!(svg, "<text x=\"{middle}\" y=\"{y}\" class=\"middle name\">{name}</text>");
}

/// The name of the axis at the left, upright.
fn axis_name(svg: &mut String, name: &str) {
    let middle = f64::midpoint(TOP, HEIGHT - BOTTOM);
    let _ = write!(
        svg,
        "<text transform=\"translate(11 {middle}) rotate(-90)\" class=\"middle name\">{}</text>",
        escaped(name)
    );
}

/// The smallest of 1, 2, 5 times a power of ten that is not below this.
fn even_step(least: f64) -> f64 {
    let least = least.max(1e-3);
    let power = 10_f64.powf(least.log10().floor());
    let fits = [1.0, 2.0, 5.0].into_iter().find(|part| part * power >= least * 0.999);
    fits.unwrap_or(10.0) * power
}

/// 0, one step, two steps, as far as this.
fn steps(most: f64, step: f64) -> impl Iterator<Item = f64> {
    (0..100_u32).map(move |n| f64::from(n) * step).take_while(move |value| *value <= most * 1.001)
}

/// A text as XML has it.
fn escaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '"' => plain.push_str("&quot;"),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn well_formed(svg: &str) {
        let mut reader = quick_xml::Reader::from_str(svg);
        while reader.read_event().unwrap() != quick_xml::events::Event::Eof {}
    }

    #[test]
    fn a_plot_has_a_level_for_each_slot_and_gaps_where_nothing_was() {
        let values = vec![Some(0.0), Some(100.0), None, Some(50.0)];
        let plot = Plot {
            title: "What & when",
            unit: "a second",
            scale: Scale::Counts,
            slot: 1.0,
            seconds: 4.0,
            lines: vec![Line { class: "c1", values }],
        };
        let svg = plot.svg();
        well_formed(&svg);
        assert!(svg.contains("<title>What &amp; when</title>") && svg.contains(">seconds since"));
        // Two strokes: before and after the gap. The axis begins at the left bottom.
        assert!(svg.contains("d=\"M66.0 180.0H157.0V18.1H248.0M339.0 99.0H430.0\""), "{svg}");
    }

    #[test]
    fn times_go_by_powers_of_ten_and_even_nothing_can_be_plotted() {
        let plot = |values| Plot {
            title: "t",
            unit: "u",
            scale: Scale::Times,
            slot: 1.0,
            seconds: 2.0,
            lines: vec![Line { class: "c1", values }],
        };
        let svg = plot(vec![Some(2.0), Some(300.0)]).svg();
        for mark in [">1 ms<", ">10 ms<", ">100 ms<", ">1 s<"] {
            assert!(svg.contains(mark), "{svg}");
        }
        for values in [Vec::new(), vec![None], vec![Some(0.0)]] {
            let svg = plot(values).svg();
            well_formed(&svg);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn bars_are_as_high_as_their_values_and_names_are_escaped() {
        let svg = bars("t", ("visits", "ms"), &[("<1>".to_owned(), 10.0), (String::new(), 5.0)]);
        well_formed(&svg);
        assert!(svg.contains("&lt;1&gt;") && svg.matches("<rect").count() == 2, "{svg}");
    }

    #[test]
    fn steps_are_even() {
        let found = [0.0003, 0.9, 1.1, 2.5, 7.0, 120.0].map(even_step);
        assert_eq!(found.map(|step| format!("{step}")), ["0.001", "1", "2", "5", "10", "200"]);
    }
}
