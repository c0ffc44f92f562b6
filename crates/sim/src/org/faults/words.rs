//! What a rule does, for people.

use super::luck::Latency;
use super::rule::{End, Rule};

impl Rule {
    /// What it does and whom it hits; empty if it does nothing.
    pub(super) fn summary(&self) -> String {
        let mut all = Vec::new();
        if self.outage {
            all.push("every call is refused".to_owned());
        }
        for (end, share) in &self.ends {
            all.push(told(end, *share, &self.refusal.code));
        }
        let rows: f64 = self.rows.iter().map(|(_, share)| share).sum();
        if rows > 0.0 {
            all.push(format!("{} of written rows fail", percent(rows)));
        }
        match self.latency {
            Latency::Uniform(_, most) if most <= 0.0 => {}
            Latency::Uniform(least, most) if least < most => {
                all.push(format!("calls take {} to {} longer", time(least), time(most)));
            }
            Latency::Uniform(fixed, _) => {
                all.push(format!("calls take {} longer", time(fixed)));
            }
            Latency::LogNormal { p50, p99 } => all.push(format!(
                "half of the calls take over {} longer, one in a hundred over {}",
                time(p50),
                time(p99)
            )),
        }
        let (record, chunk) = self.pace;
        let paces = [
            (record > 0.0).then(|| format!("{} each", time(record))),
            (chunk > 0.0).then(|| format!("{} per 200", time(chunk))),
        ];
        let paces: Vec<String> = paces.into_iter().flatten().collect();
        if !paces.is_empty() {
            all.push(format!("written rows take {}", paces.join(" and ")));
        }
        let whom = self.whom();
        let all = all.join(", ");
        if all.is_empty() || whom.is_empty() { all } else { format!("{all} ({whom})") }
    }

    /// Whether its hits are counted: slow rows are slow, but nothing hits them.
    pub(super) fn counts(&self) -> bool {
        self.outage || self.latency.is_any() || !self.ends.is_empty() || !self.rows.is_empty()
    }

    fn whom(&self) -> String {
        let mut whom = [&self.kinds[..], &self.methods, &self.objects].concat();
        whom.extend(self.path.clone());
        if self.skip > 0 {
            whom.push(format!("after {}", self.skip));
        }
        whom.extend(self.times.map(|times| format!("{times} times")));
        whom.join(", ")
    }
}

fn told(end: &End, share: f64, usual: &str) -> String {
    let share = percent(share);
    match end {
        End::Fails(failure) if failure.code == usual => format!("{share} of calls fail"),
        End::Fails(failure) => format!("{share} of calls fail with {}", failure.code),
        End::Stalls => format!("{share} of calls are not answered"),
        End::CutBefore => format!("{share} of calls are cut off"),
        End::CutAfter => format!("{share} of calls are done and not answered"),
        End::CutWithin => format!("{share} of answers are cut in the middle"),
        End::StallsWithin => format!("{share} of answers stop in the middle"),
        End::Late => format!("{share} of calls are done and answered later"),
    }
}

/// `250 ms`, `1.5 s`.
fn time(ms: f64) -> String {
    if ms < 1000.0 { format!("{} ms", ms.round()) } else { format!("{} s", ms.round() / 1000.0) }
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1000.0).round() / 10.0)
}
