//! Who the visitors are: names in many scripts, each with an address of its
//! own under example.org, all following from a seed.

/// First and last names of one language; they are combined freely.
struct Names {
    first: &'static [&'static str],
    last: &'static [&'static str],
    /// Written between two family names.
    joint: &'static str,
}

const NAMES: [Names; 12] = [
    Names {
        first: &["Ada", "Grace", "Oliver", "Maya", "Noah", "Ivy", "Theo", "Ruth", "Leo", "Esther"],
        last: &["Whitfield", "Okafor", "Mensah", "Harper", "Sinclair", "Boateng", "Lowe", "Reid"],
        joint: "-",
    },
    Names {
        first: &["Zoë", "François", "Élodie", "Anaïs", "Loïc", "Noémie", "Jérôme", "Océane"],
        last: &["Lefèvre", "Garçon", "Bélanger", "Mézières", "Côté", "Desrosiers", "Nguyên", "Roy"],
        joint: "-",
    },
    Names {
        first: &[
            "Jürgen",
            "Käthe",
            "Björn",
            "Søren",
            "Åsa",
            "Jiří",
            "Žofie",
            "Łukasz",
            "Małgorzata",
        ],
        last: &["Müller", "Großmann", "Ødegård", "Lindström", "Dvořák", "Wiśniewski", "Kovačević"],
        joint: "-",
    },
    Names {
        first: &["Νίκος", "Ελένη", "Γιώργος", "Μαρία", "Δημήτρης", "Σοφία", "Κώστας", "Άννα"],
        last: &["Παπαδόπουλος", "Νικολάου", "Γεωργίου", "Βλάχος", "Ιωάννου", "Καραγιάννης"],
        joint: "-",
    },
    Names {
        first: &["Олена", "Тарас", "Дмитро", "Ганна", "Богдан", "Ірина", "Йосип", "Любов"],
        last: &["Шевченко", "Коваленко", "Бондар", "Мельник", "Ткачук", "Їжакевич", "Гнатюк"],
        joint: "-",
    },
    Names {
        first: &["أحمد", "فاطمة", "يوسف", "ليلى", "عمر", "نور", "خالد", "مريم"],
        last: &["الحسيني", "المنصوري", "حداد", "بن علي", "القاسم", "السيد", "عبد الله"],
        joint: " ",
    },
    Names {
        first: &["נועה", "דוד", "תמר", "יונתן", "שירה", "אריאל", "מיכל", "איתי"],
        last: &["כהן", "לוי", "מזרחי", "פרידמן", "ביטון", "אזולאי", "שפירא"],
        joint: "-",
    },
    Names {
        first: &["अनन्या", "आरव", "प्रिया", "विवान", "दीपिका", "ईशान", "मीरा", "कबीर"],
        last: &["शर्मा", "वर्मा", "पटेल", "गुप्ता", "सिंह", "अय्यर", "चौधरी"],
        joint: " ",
    },
    Names {
        first: &["伟", "芳", "秀英", "子涵", "浩然", "雨桐", "建国", "思琪"],
        last: &["王", "李", "张", "刘", "陈", "欧阳", "司马"],
        joint: "",
    },
    Names {
        first: &["さくら", "陽翔", "美咲", "蓮", "葵", "大輔", "ゆい", "健太"],
        last: &["佐藤", "鈴木", "高橋", "田中", "渡辺", "小林", "山口"],
        joint: "・",
    },
    Names {
        first: &["서연", "민준", "지우", "도윤", "하은", "예준", "수아", "지호"],
        last: &["김", "이", "박", "최", "정", "남궁", "황보"],
        joint: "",
    },
    Names {
        first: &["Thảo", "Dũng", "Ayşe", "Çağlar", "İbrahim", "Ọláyínká", "Ngũgĩ", "Siôn", "Ōtara"],
        last: &["Nguyễn", "Trần", "Yıldız", "Öztürk", "Adébáyò", "Kamau", "Llŷr", "Te Rangi"],
        joint: " ",
    },
];

/// One attendee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// First name.
    pub first_name: String,
    /// Last name; now and then two.
    pub last_name: String,
    /// An address that nobody else has.
    pub email: String,
}

/// Everybody who comes, by number.
#[derive(Clone, Debug)]
pub struct Crowd {
    seed: u64,
    run: String,
}

impl Crowd {
    /// The crowd of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Addresses and request ids name the run; half of the seed's digest does.
        let run = format!("{:08x}", mixed(seed) >> 32);
        Self { seed, run }
    }

    /// Every address of this crowd begins so, and none of another.
    #[must_use]
    pub fn email_prefix(&self) -> String {
        format!("storm-{}-", self.run)
    }

    /// The request id under which a visitor asks, however often.
    #[must_use]
    pub fn request_id(&self, visitor: u64, step: &str) -> String {
        format!("storm-{}-{visitor}-{step}", self.run)
    }

    /// Whoever comes with `visitor` at `place`, counted from 1.
    #[must_use]
    pub fn person(&self, visitor: u64, place: u16) -> Person {
        let mut dice = self.dice(visitor, u64::from(place));
        let first_of = |list: &'static [&'static str], number: u64| -> &'static str {
            let length = list.len() as u64;
            usize::try_from(number % length.max(1)).ok().and_then(|at| list.get(at)).unwrap_or(&"X")
        };
        let names = &NAMES[usize::try_from(visitor % NAMES.len() as u64).unwrap_or(0)];
        let first_name = first_of(names.first, dice.next()).to_owned();
        let mut last_name = first_of(names.last, dice.next()).to_owned();
        if dice.next().is_multiple_of(4) {
            last_name = format!("{last_name}{}{}", names.joint, first_of(names.last, dice.next()));
        }
        Person { first_name, last_name, email: self.email(visitor, place) }
    }

    /// Their address.
    #[must_use]
    pub fn email(&self, visitor: u64, place: u16) -> String {
        format!("storm-{}-{visitor}.{place}@example.org", self.run)
    }

    /// The dice of one visitor, for one purpose.
    #[must_use]
    pub fn dice(&self, visitor: u64, purpose: u64) -> Dice {
        Dice(mixed(self.seed ^ mixed(visitor ^ mixed(purpose))))
    }
}

/// A small generator of numbers that look random (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }
}

fn mixed(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn nobody_shares_an_address_and_the_same_seed_is_the_same_crowd() {
        let crowd = Crowd::new(7);
        let mut seen = HashSet::new();
        for visitor in 0..5_000 {
            for place in 1..=2 {
                let person = crowd.person(visitor, place);
                assert_eq!(person, Crowd::new(7).person(visitor, place));
                assert!(person.email.starts_with(&crowd.email_prefix()));
                assert!(person.email.ends_with("@example.org") && person.email.is_ascii());
                assert!(seen.insert(person.email));
            }
        }
        assert!(!Crowd::new(8).email(1, 1).starts_with(&crowd.email_prefix()));
    }

    #[test]
    fn names_come_in_many_scripts_and_fit_the_org() {
        let crowd = Crowd::new(1);
        let people: Vec<Person> = (0..1_200).map(|visitor| crowd.person(visitor, 1)).collect();
        let in_latin = people.iter().filter(|p| p.last_name.is_ascii()).count();
        assert!(in_latin < people.len() / 4, "{in_latin}");
        for person in &people {
            assert!(person.first_name.encode_utf16().count() <= 40, "{person:?}");
            assert!(person.last_name.encode_utf16().count() <= 80, "{person:?}");
            assert!(!person.first_name.is_empty() && !person.last_name.is_empty());
        }
    }
}
