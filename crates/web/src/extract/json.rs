//! JSON as it was sent: texts borrowed from the body, fields in order, doubled
//! ones kept, depth bounded. What it means is for [`super::read`].

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// How deep values may nest; no request needs more than five levels.
const MAX_DEPTH: u8 = 16;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number written without fraction or exponent.
    Whole(i64),
    /// Any other number.
    Fraction,
    /// A text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Json<'a>>),
    /// An object: fields as they came.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Reads one value and nothing after it.
    ///
    /// # Errors
    /// A sentence with the position.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, String> {
        let mut source = serde_json::Deserializer::from_slice(body);
        let value = Level(0).deserialize(&mut source);
        value.and_then(|value| source.end().map(|()| value)).map_err(|error| told(&error))
    }

    /// What kind of value it is, with its article.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Whole(_) => "a number",
            Self::Fraction => "a number that is not whole or too large",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

fn told(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "The body ends in the middle of a value",
        serde_json::error::Category::Data => "The body nests deeper than 16 levels",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
            "The body is not valid JSON in UTF-8"
        }
    };
    format!("{what}: line {}, column {}.", error.line(), error.column())
}

/// Reads a value at this depth.
#[derive(Clone, Copy)]
struct Level(u8);

impl Level {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.0 < MAX_DEPTH { Ok(Self(self.0 + 1)) } else { Err(E::custom("too deep")) }
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Json<'de>, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool)
    }

    fn visit_i64<E>(self, n: i64) -> Result<Json<'de>, E> {
        Ok(Json::Whole(n))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Json<'de>, E> {
        Ok(i64::try_from(n).map_or(Json::Fraction, Json::Whole))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Fraction)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Json<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(value) = source.next_element_seed(inner)? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Json<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut fields = Vec::new();
        while let Some(name) = source.next_key_seed(Name)? {
            fields.push((name, source.next_value_seed(inner)?));
        }
        Ok(Json::Object(fields))
    }
}

/// Reads a field's name, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Cow<'de, str>, D::Error> {
        source.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_keep_what_was_sent() {
        let body = r#"{"a":[1,-2,1.0,18446744073709551615,1e3],"a":"x\n","b":{"c":null,"d":true}}"#;
        let Json::Object(fields) = Json::parse(body.as_bytes()).unwrap() else { unreachable!() };
        let [(_, numbers), (twice, text), (_, inner)] = fields.as_slice() else { unreachable!() };
        assert_eq!(
            *numbers,
            Json::List(vec![
                Json::Whole(1),
                Json::Whole(-2),
                Json::Fraction,
                Json::Fraction,
                Json::Fraction
            ])
        );
        assert_eq!((twice.as_ref(), text), ("a", &Json::Text("x\n".into())));
        let inner_fields = vec![("c".into(), Json::Null), ("d".into(), Json::Bool)];
        assert_eq!(*inner, Json::Object(inner_fields));
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_position() {
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(Json::parse(deep(16).as_bytes()).is_ok());
        let cases: [(&[u8], &str); 9] = [
            (b"", "The body ends in the middle of a value: line 1, column 0."),
            (b"{\"a\":1", "The body ends in the middle of a value: line 1, column 6."),
            (b"{\n\"a\":tru}", "The body is not valid JSON in UTF-8: line 2, column 8."),
            (b"{} {}", "The body is not valid JSON in UTF-8: line 1, column 4."),
            (b"\"\xff\"", "The body is not valid JSON in UTF-8: line 1, column 2."),
            (b"\"\\ud800\"", "The body is not valid JSON in UTF-8: line 1, column 8."),
            (b"\xef\xbb\xbf{}", "The body is not valid JSON in UTF-8: line 1, column 1."),
            (b"[1e999]", "The body is not valid JSON in UTF-8: line 1, column 6."),
            (
                deep(17).leak().as_bytes(),
                "The body nests deeper than 16 levels: line 1, column 18.",
            ),
        ];
        for (body, said) in cases {
            assert_eq!(Json::parse(body).unwrap_err(), said, "{}", String::from_utf8_lossy(body));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in "[\\[\\]{}\":,0-9eE.+tfn\\\\ -]{0,60}") {
            let _ = Json::parse(&bytes);
            let ours = Json::parse(text.as_bytes()).is_ok();
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert_eq!(ours, theirs, "{}", text);
        }
    }
}
