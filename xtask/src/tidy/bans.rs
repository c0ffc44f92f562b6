//! Words that may not stand in certain places, each with what to write instead.

use super::Fault;
use super::source::{Source, is_test_file, line_of, words};
use super::tree::File;

/// In which part of a file the word counts.
#[derive(Clone, Copy)]
enum Part {
    /// Rust code, neither comment nor literal.
    Code,
    /// Comments of Rust files, and all of the other files that people write.
    Prose,
    /// Everything.
    Text,
}

struct Ban {
    word: &'static str,
    part: Part,
    /// Whether the rule holds in this file; tests inside a file are `tests`.
    files: fn(&str) -> bool,
    tests: bool,
    what: &'static str,
    instead: &'static str,
}

/// Files of crates/web that may name a status code: refusals are the errors', and pages say that all is well.
const STATUS_CODES: [&str; 3] =
    ["crates/web/src/error.rs", "crates/web/src/error/", "crates/web/src/site/"];

/// Where the environment is read: the composition root, and tools that never ship.
const ENVIRONMENT: [&str; 2] = ["crates/cli/src/platform", "xtask/"];

const REMINDER: &str = "a reminder in a comment is forgotten";
const DO_NOW: &str = "do it now, or say what holds today";
const HOST: &str = "names a package registry's host";
const BY_CONFIG: &str = "leave it to the tool's own configuration, so that mirrors work";

const BANS: [Ban; 15] = [
    unfinished("todo!"),
    unfinished("unimplemented!"),
    unfinished("dbg!"),
    reminder("TODO"),
    reminder("FIXME"),
    reminder("XXX"),
    reminder("HACK"),
    Ban {
        word: "#[ignore",
        part: Part::Code,
        files: |_| true,
        tests: true,
        what: "a test that doesn't run proves nothing",
        instead: "mend it or delete it",
    },
    Ban {
        word: "env::",
        part: Part::Code,
        files: |path| !under(path, &ENVIRONMENT),
        tests: false,
        what: "the environment is read in one folder only",
        instead: "read it in crates/cli/src/platform and pass the value",
    },
    Ban {
        word: "StatusCode",
        part: Part::Code,
        files: |path| path.starts_with("crates/web/src/") && !under(path, &STATUS_CODES),
        tests: false,
        what: "status codes are chosen in one file only",
        instead: "answer with a value that crates/web/src/error.rs turns into a status",
    },
    // Split, so that the rule doesn't find itself.
    host(concat!("crates", ".io")),
    host(concat!("npmjs", ".")),
    host(concat!("pypi", ".org")),
    host(concat!("pythonhosted", ".org")),
    host(concat!("rubygems", ".org")),
];

const fn unfinished(word: &'static str) -> Ban {
    Ban {
        word,
        part: Part::Code,
        files: |_| true,
        tests: false,
        what: "unfinished code doesn't ship",
        instead: "finish it, or leave the whole part out",
    }
}

const fn reminder(word: &'static str) -> Ban {
    Ban { word, part: Part::Prose, files: prose, tests: true, what: REMINDER, instead: DO_NOW }
}

const fn host(word: &'static str) -> Ban {
    let files = |path: &str| path != "Cargo.lock" && !path.ends_with("/Cargo.lock");
    Ban { word, part: Part::Text, files, tests: true, what: HOST, instead: BY_CONFIG }
}

/// Files in which people write, or wrote: not what came whole from elsewhere.
fn prose(path: &str) -> bool {
    let ends = [".rs", ".md", ".html", ".css", ".js", ".toml", ".sql", ".xml", "/run"];
    ends.iter().any(|end| path.ends_with(end))
        && !path.ends_with(".min.js")
        && !path.split('/').any(|part| part == "vendor")
}

fn under(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

pub(super) fn check(files: &[File], sources: &[Source]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for ban in &BANS {
        for file in files.iter().filter(|file| (ban.files)(&file.path)) {
            let source = sources.iter().find(|source| source.path == file.path);
            let Some(text) = part(ban.part, file, source) else { continue };
            let lines = words(text, ban.word).map(|at| line_of(text, at));
            let found = lines.filter(|line| ban.tests || !is_test(file, source, *line));
            faults.extend(found.map(|line| {
                let what = format!("`{}`: {}", ban.word, ban.what);
                Fault::new(&file.path, line, what, ban.instead)
            }));
        }
    }
    faults
}

fn part<'t>(part: Part, file: &'t File, source: Option<&'t Source>) -> Option<&'t str> {
    match (part, source) {
        (Part::Code, source) => source.map(|source| source.code.as_str()),
        (Part::Prose, Some(source)) => Some(&source.comments),
        (Part::Prose, None) | (Part::Text, _) => Some(&file.text),
    }
}

fn is_test(file: &File, source: Option<&Source>, line: usize) -> bool {
    source.map_or_else(|| is_test_file(&file.path), |source| source.is_test(line))
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        let files = [File { path: path.to_owned(), text: text.to_owned() }];
        check(&files, &source::all(&files)).iter().map(Fault::to_string).collect()
    }

    fn lines(path: &str, text: &str) -> Vec<String> {
        let line = |fault: &String| fault.split(':').nth(1).unwrap().to_owned();
        faults(path, text).iter().map(line).collect()
    }

    const PRODUCT: &str = "crates/engine/src/a.rs";

    #[test]
    fn unfinished_code_is_found_outside_tests_only() {
        let text = "fn a() { todo!() }\nfn b() { unimplemented!() }\nfn c() { dbg!(1); }\n\
                    #[cfg(test)]\nmod tests { fn d() { todo!() } }\n";
        assert_eq!(lines(PRODUCT, text), ["1", "2", "3"]);
        assert_eq!(lines("crates/engine/tests/a.rs", text), [""; 0]);
        assert_eq!(lines(PRODUCT, "fn a() { print(\"todo!\") } // todo!\n"), [""; 0]);
    }

    #[test]
    fn reminders_are_found_in_comments_and_pages_but_not_in_texts() {
        let word = concat!("TO", "DO");
        assert_eq!(lines(PRODUCT, &format!("fn a() {{}} // {word} later\n")), ["1"]);
        assert_eq!(lines(PRODUCT, &format!("const A: &str = \"{word}\";\n")), [""; 0]);
        assert_eq!(lines("crates/web/src/site/a.html", &format!("<p>\n{word}")), ["2"]);
        assert_eq!(lines("crates/web/static/vendor/a.js", word), [""; 0]);
        assert_eq!(lines("docs/a.md", &format!("{word}S are fine")), [""; 0]);
    }

    #[test]
    fn an_ignored_test_is_found_in_tests_too() {
        assert_eq!(lines("crates/engine/tests/a.rs", "#[test]\n#[ignore]\nfn a() {}\n"), ["2"]);
    }

    #[test]
    fn the_environment_is_read_in_one_folder() {
        let text = "use std::env;\nfn a() { env::var(\"A\"); std::env::args(); }\n";
        assert_eq!(lines(PRODUCT, text), ["2", "2"]);
        assert_eq!(lines("crates/cli/src/platform/mod.rs", text), [""; 0]);
        assert_eq!(lines("crates/cli/tests/a.rs", text), [""; 0]);
        assert_eq!(lines(PRODUCT, "const A: &str = env!(\"CARGO_PKG_VERSION\");"), [""; 0]);
    }

    #[test]
    fn status_codes_stand_in_one_file() {
        let text = "use axum::http::StatusCode;\n";
        assert_eq!(lines("crates/web/src/api/hold.rs", text), ["1"]);
        assert_eq!(lines("crates/web/src/error.rs", text), [""; 0]);
        assert_eq!(lines("crates/sim/src/org.rs", text), [""; 0]);
    }

    #[test]
    fn a_registry_host_is_found_anywhere_but_in_the_lock() {
        let text = format!("# from {}\n", concat!("crates", ".io"));
        assert_eq!(lines("deny.toml", &text), ["1"]);
        assert_eq!(lines(PRODUCT, &format!("//! A {text}")), ["1"]);
        assert_eq!(lines("Cargo.lock", &text), [""; 0]);
    }

    #[test]
    fn a_fault_says_what_to_do_instead() {
        let found = faults(PRODUCT, "fn a() { dbg!(1); }\n");
        let expected = "crates/engine/src/a.rs:1: `dbg!`: unfinished code doesn't ship; \
                        finish it, or leave the whole part out";
        assert_eq!(found, [expected]);
    }
}
