//! P16: what a request costs must not grow with what is known. The platform's
//! CPU time for each request says that better than a rate: others who use the
//! machine at the same time hardly change it.

use super::crowd::{first_item, held, load, storm};
use super::outage;
use super::process::{Scratch, median};
use super::progress::Bar;
use super::table::Row;
use super::world::{World, field, known_seed};

/// Events of the two platforms.
const FEW: usize = 10;
const MANY: usize = 10_000;
/// Rounds of what takes turns; the median counts.
const ROUNDS: u64 = 3;
/// Orders before the first and the second measurement.
const ORDERS: [u64; 2] = [1_000, 1_000_000];
/// Registrations of each.
const MEASURED: u64 = 20_000;
/// What a cost may grow to.
const FLAT: f64 = 1.1;

/// What something costs a server, in a round of the measurement.
type Cost = fn(&World, u64) -> Result<f64, String>;

pub(super) fn run(scratch: &Scratch, rows: &mut Vec<Row>) -> Result<(), String> {
    let few = World::start(scratch, "known-few", &known_seed(FEW))?;
    known(&few, scratch, rows)?;
    orders(&few, scratch, rows)
}

/// With many events known, of what it is with few.
fn known(few: &World, scratch: &Scratch, rows: &mut Vec<Row>) -> Result<(), String> {
    let many = World::start(scratch, "known-many", &known_seed(MANY))?;
    let kinds: [(&str, Cost); 2] =
        [("registration", registration), ("event page", |world, _| page(world, "hot"))];
    let bar = Bar::new("P16 rounds", ROUNDS * 2);
    for (step, (what, cost)) in (0..).zip(kinds) {
        let mut both = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            both.0.push(cost(few, round)?);
            both.1.push(cost(&many, round)?);
            bar.at(step * ROUNDS + round);
        }
        let (with_few, with_many) = (median(both.0), median(both.1));
        let what = format!("CPU of a {what}, 10,000 events known, of that with 10");
        rows.push(Row::at_most("P16", &what, with_many / with_few, "×", FLAT));
    }
    bar.end();
    Ok(())
}

/// Microseconds of CPU time for each registration on the hot event.
fn registration(world: &World, seed: u64) -> Result<f64, String> {
    let event = world.event("hot")?;
    let path = format!("/api/v1/events/{}/registrations", field(&event, "id"));
    let (item, seed) = (first_item(&event)?, seed.to_string());
    cost(world, &["--path", &path, "--item", &item, "--seed", &seed])
}

/// The same for each look at an event's page.
fn page(world: &World, slug: &str) -> Result<f64, String> {
    cost(world, &["--path", &format!("/bench/{slug}")])
}

fn cost(world: &World, words: &[&str]) -> Result<f64, String> {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    world.rest()?;
    let before = world.cpu()?;
    let load = load(&world.site, &words)?;
    Ok((world.cpu()? - before) * 1e6 / load.answers.max(1.0))
}

/// With many orders of one event, of what it is with few: from the request
/// until the order is in the org.
fn orders(world: &World, scratch: &Scratch, rows: &mut Vec<Row>) -> Result<(), String> {
    // Those of the other measurements are on their way still.
    outage::arrived(world, 0, |_| Ok(()))?;
    let bar = Bar::new("P16 orders", ORDERS[1] + MEASURED);
    let (mut there, mut costs, mut pages) = (0, Vec::new(), Vec::new());
    for before in ORDERS {
        register(world, scratch, before - there)?;
        bar.at(before);
        world.rest()?;
        let cpu = world.cpu()?;
        register(world, scratch, MEASURED)?;
        there = before + MEASURED;
        #[allow(clippy::cast_precision_loss)]
        costs.push((world.cpu()? - cpu) * 1e6 / MEASURED as f64);
        pages.push(page(world, "orders")?);
        bar.at(there);
    }
    bar.end();
    let kinds = [("registration and its way to the org", costs), ("event page", pages)];
    for (what, costs) in kinds {
        let [few, many] = costs.as_slice() else { return Err("a cost is missing".to_owned()) };
        let what = format!("CPU of a {what}, 1,000,000 orders, of that with 1,000");
        rows.push(Row::at_most("P16", &what, many / few, "×", FLAT));
    }
    Ok(())
}

/// Lets so many register, and waits until they are in the org.
fn register(world: &World, scratch: &Scratch, people: u64) -> Result<(), String> {
    let (arrived, file) = (world.org_stats()?.0, scratch.path("orders.json"));
    let mut command = storm(world, "bench/orders", people);
    held(command.args(["--burst", "--read-back", "0", "--json"]).arg(&file), &file)?;
    outage::arrived(world, arrived + people, |_| Ok(()))
}
