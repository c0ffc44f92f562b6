//! What the storm ran on, for its report: figures mean little without it.

use serde::Serialize;

/// The machine, as far as the system tells.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Machine {
    /// What its processor is called.
    pub processor: Option<String>,
    /// Processors that this process may use.
    pub cores: Option<usize>,
    /// Gibibytes of memory.
    pub memory_gib: Option<f64>,
    /// The system's kernel.
    pub system: Option<String>,
}

impl Machine {
    /// This one.
    pub(super) fn here() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            processor: value(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            memory_gib: value(&read("/proc/meminfo"), "MemTotal").and_then(|text| gib(&text)),
            system: system(&read("/proc/version")),
        }
    }

    /// In a sentence.
    #[must_use]
    pub fn words(&self) -> String {
        let cores = self.cores.map(|cores| match cores {
            1 => "1 core".to_owned(),
            cores => format!("{cores} cores"),
        });
        let memory = self.memory_gib.map(|gib| format!("{gib:.0} GiB of memory"));
        let parts = [self.processor.clone(), cores, memory, self.system.clone()];
        let known: Vec<String> = parts.into_iter().flatten().collect();
        if known.is_empty() { "not known".to_owned() } else { known.join(", ") }
    }
}

/// The value of the first line `name : value`.
fn value(text: &str, name: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find_map(|(key, value)| (key.trim() == name).then(|| value.trim().to_owned()))
}

fn gib(text: &str) -> Option<f64> {
    let kib: f64 = text.strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib / 1024.0 / 1024.0)
}

/// `Linux 6.1.0` of `Linux version 6.1.0 (…)`.
fn system(version: &str) -> Option<String> {
    let (name, rest) = version.split_once(" version ")?;
    Some(format!("{name} {}", rest.split_whitespace().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_tells_is_read_and_what_it_does_not_is_left_out() {
        let machine = Machine {
            processor: value("processor : 0\nmodel name\t: Xeon @ 2.8GHz\n", "model name"),
            cores: Some(2),
            memory_gib: value("MemTotal:       25165824 kB\n", "MemTotal").and_then(|t| gib(&t)),
            system: system("Linux version 6.1.0-18 (debian@x) #1 SMP"),
        };
        let words = "Xeon @ 2.8GHz, 2 cores, 24 GiB of memory, Linux 6.1.0-18";
        assert_eq!(machine.words(), words);
        assert_eq!(Machine::default().words(), "not known");
    }
}
