//! Every page and state of the public site with believable content, written
//! into a folder to be looked at and checked by hand:
//! `cargo run -p sloe-web --example gallery -- /tmp/gallery`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod events;
mod orders;
mod orgs;
mod rest;

use std::fs;
use std::path::Path;

use sloe_web::site::assets;

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "/tmp/gallery".to_owned());
    let folder = Path::new(&folder);
    fs::create_dir_all(folder.join("assets/org")).expect("the folder can be written");
    for name in ["site.css", "site.js", "sloe.svg"] {
        let file = assets::href(name).trim_start_matches('/');
        fs::write(folder.join(file), assets::content(name).unwrap()).unwrap();
    }
    for (slug, look) in orgs::looks() {
        fs::write(folder.join(format!("assets/org/{slug}.css")), look.stylesheet()).unwrap();
    }
    let pages = events::pages().into_iter().chain(orders::pages()).chain(rest::pages());
    let mut names = Vec::new();
    for (name, html) in pages {
        println!("{:>7} bytes  {name}", html.len());
        fs::write(folder.join(&name), html).unwrap();
        names.push(name);
    }
    fs::write(folder.join("pages.txt"), names.join("\n")).unwrap();
}
