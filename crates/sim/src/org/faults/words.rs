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
                all.push(format!("calls take {} to {} ms longer", least.round(), most.round()));
            }
            Latency::Uniform(fixed, _) => {
                all.push(format!("calls take {} ms longer", fixed.round()));
            }
            Latency::LogNormal { p50, p99 } => all.push(format!(
                "calls take {} ms longer, one in a hundred over {} ms",
                p50.round(),
                p99.round()
            )),
        }
        let (record, chunk) = self.pace;
        let paces = [
            (record > 0.0).then(|| format!("{record} ms each")),
            (chunk > 0.0).then(|| format!("{chunk} ms per 200")),
        ];
        let paces: Vec<String> = paces.into_iter().flatten().collect();
        if !paces.is_empty() {
            all.push(format!("written rows take {}", paces.join(" and ")));
        }
        let whom = self.whom();
        let all = all.join(", ");
        if all.is_empty() || whom.is_empty() { all } else { format!("{all} ({whom})") }
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
    }
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1000.0).round() / 10.0)
}
