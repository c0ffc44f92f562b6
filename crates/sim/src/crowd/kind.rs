//! Who comes: kinds of visitors, how many of each, and which way they take.

use serde::Serialize;

use super::Mode;
use super::people::{Crowd, Dice};

/// What a visitor is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Registers.
    Registrants,
    /// Reads the page and what is left, comes back to see whether it changed, and goes.
    Lookers,
    /// Holds seats and is never seen again.
    Abandoners,
    /// Registers, and sends every form twice at the same time.
    DoubleClickers,
    /// Registers, loads every page again and again, goes back and sends the form once more.
    Reloaders,
    /// A program without manners: forged ids, bad bodies, one address.
    Bots,
}

impl Kind {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 6] = [
        Self::Registrants,
        Self::Lookers,
        Self::Abandoners,
        Self::DoubleClickers,
        Self::Reloaders,
        Self::Bots,
    ];

    /// Its name in scenarios and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registrants => "registrants",
            Self::Lookers => "lookers",
            Self::Abandoners => "abandoners",
            Self::DoubleClickers => "double-clickers",
            Self::Reloaders => "reloaders",
            Self::Bots => "bots",
        }
    }

    /// What they do, for a report's reader.
    #[must_use]
    pub const fn does(self) -> &'static str {
        match self {
            Self::Registrants => "register",
            Self::Lookers => "look and go",
            Self::Abandoners => "hold seats and leave",
            Self::DoubleClickers => "send every form twice at once",
            Self::Reloaders => "register, reload, go back",
            Self::Bots => "forge ids, send bad bodies",
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// How many of each kind come, by weight, and how those who register do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    kinds: [u32; 6],
    ways: [u32; 3],
}

/// Keeps these dice apart from those that choose wishes and names.
const PURPOSE: u64 = u64::MAX - 1;

impl Mix {
    /// By weight: kinds in the order of [`Kind::ALL`], ways in that of
    /// [`Mode::ALL`]. Weights that are all 0 mean the first only.
    #[must_use]
    pub const fn new(kinds: [u32; 6], ways: [u32; 3]) -> Self {
        Self { kinds, ways }
    }

    /// Everybody registers, and in the same way.
    #[must_use]
    pub const fn registrants(mode: Mode) -> Self {
        let ways = match mode {
            Mode::Api => [1, 0, 0],
            Mode::Hold => [0, 1, 0],
            Mode::Html => [0, 0, 1],
        };
        Self { kinds: [1, 0, 0, 0, 0, 0], ways }
    }

    /// Which kind a visitor is and which way it takes; always the same for the same number.
    #[must_use]
    pub fn of(&self, crowd: &Crowd, visitor: u64) -> (Kind, Mode) {
        let mut dice = crowd.dice(visitor, PURPOSE);
        let kind = Kind::ALL.get(draw(&self.kinds, &mut dice)).copied();
        let way = Mode::ALL.get(draw(&self.ways, &mut dice)).copied();
        (kind.unwrap_or(Kind::Registrants), way.unwrap_or(Mode::Api))
    }

    /// Weight of a kind.
    #[must_use]
    pub fn weight(&self, kind: Kind) -> u32 {
        self.kinds.get(kind.index()).copied().unwrap_or(0)
    }

    /// Weight of a way.
    #[must_use]
    pub fn way(&self, mode: Mode) -> u32 {
        self.ways.get(mode as usize).copied().unwrap_or(0)
    }

    /// The way that everybody takes, if there is only one and everybody registers.
    #[must_use]
    pub fn only_way(&self) -> Option<Mode> {
        let others = self.kinds.iter().skip(1).any(|weight| *weight > 0);
        let mut ways = Mode::ALL.into_iter().filter(|mode| self.way(*mode) > 0);
        let first = ways.next().unwrap_or(Mode::Api);
        (!others && ways.next().is_none()).then_some(first)
    }

    /// Whether somebody walks through the site, whose pages have names.
    #[must_use]
    pub fn needs_page(&self) -> bool {
        let walks = [Kind::Registrants, Kind::Abandoners, Kind::DoubleClickers];
        self.weight(Kind::Lookers) > 0
            || self.weight(Kind::Reloaders) > 0
            || (self.way(Mode::Html) > 0 && walks.into_iter().any(|kind| self.weight(kind) > 0))
    }
}

/// Draws by weight; 0 where all weights are 0.
fn draw(weights: &[u32], dice: &mut Dice) -> usize {
    let all: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut left = dice.below(all);
    for (at, weight) in weights.iter().enumerate() {
        match left.checked_sub(u64::from(*weight)) {
            Some(rest) => left = rest,
            None => return at,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_ways_come_by_weight_and_the_same_seed_is_the_same_crowd() {
        let mix = Mix::new([40, 30, 10, 10, 10, 0], [1, 1, 2]);
        let crowd = Crowd::new(5);
        let (mut kinds, mut html) = ([0; 6], 0);
        for visitor in 0..10_000 {
            let (kind, mode) = mix.of(&crowd, visitor);
            assert_eq!((kind, mode), mix.of(&Crowd::new(5), visitor));
            kinds[kind.index()] += 1;
            html += u32::from(mode == Mode::Html);
        }
        for (count, weight) in kinds.iter().zip([40, 30, 10, 10, 10, 0]) {
            assert!((weight * 90..=weight * 110).contains(count), "{kinds:?}");
        }
        assert!((4_700..5_300).contains(&html), "{html}");
        let other: Vec<_> = (0..100).map(|visitor| mix.of(&Crowd::new(6), visitor)).collect();
        assert_ne!(other, (0..100).map(|v| mix.of(&crowd, v)).collect::<Vec<_>>());
    }

    #[test]
    fn a_mix_knows_whether_it_needs_pages_and_whether_it_is_one() {
        assert_eq!(Mix::registrants(Mode::Hold).only_way(), Some(Mode::Hold));
        assert!(!Mix::registrants(Mode::Api).needs_page());
        assert!(Mix::registrants(Mode::Html).needs_page());
        let bots = Mix::new([1, 0, 0, 0, 0, 1], [1, 0, 0]);
        assert!(bots.only_way().is_none() && !bots.needs_page());
        assert!(Mix::new([1, 1, 0, 0, 0, 0], [1, 0, 0]).needs_page());
    }
}
