//! How many registrations a second nodes take of one hot event on MongoDB,
//! each with sealed details and an order's document; and what MongoDB itself
//! takes of the same writes.
//!
//! `cargo run --release -p sloe-web --example node_rate URI HOW [SECONDS] [WAITING]`
//! where HOW is `bare` (the writes alone), `one` (one node), `led` (three, of
//! which one decides for all, over HTTP), or `apart` (three that don't reach each
//! other). The database must be new. Defaults: 5 s, 512 waiting at all nodes
//! together. Prints one JSON object.

mod bare;
mod node;
#[path = "../../../engine/examples/stage/mod.rs"]
mod stage;

use std::sync::Arc;
use std::time::Duration;

use sloe_store::api::Store;
use sloe_store::mongo::{Bounded, Mongo};
use stage::Failure;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let (uri, how) = args.next().zip(args.next()).ok_or("say where, and how")?;
    let mut number = |default: u64| args.next().map_or(Ok(default), |text| text.parse());
    let (duration, waiting) = (Duration::from_secs(number(5)?), number(512)?);
    Mongo::migrate(&uri)?;
    let (nodes, led) = match how.as_str() {
        "bare" => (0, false),
        "one" => (1, false),
        "led" => (3, true),
        "apart" => (3, false),
        _ => return Err(format!("{how} is none of bare, one, led and apart").into()),
    };
    let told = if nodes == 0 {
        bare::run(&uri, duration, waiting)?
    } else {
        // The driver's own runtime must not be begun or ended within another one.
        let open = |_| Ok(Arc::new(Bounded::new(Mongo::open(&uri)?)) as Arc<dyn Store>);
        let stores = (0..nodes).map(open).collect::<Result<Vec<_>, Failure>>()?;
        let runtime = tokio::runtime::Runtime::new()?;
        let told = runtime.block_on(node::run(&stores, led, duration, waiting))?;
        drop((runtime, stores));
        told
    };
    println!("{told}");
    Ok(())
}
