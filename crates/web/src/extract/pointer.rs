//! Where in a body a value is. Links on the stack: a request without faults
//! pays nothing for them.

use std::fmt;

/// A JSON pointer (RFC 6901).
#[derive(Clone, Copy)]
pub(crate) enum Pointer<'p> {
    /// The whole body.
    Root,
    /// A field of what the pointer before leads to.
    Field(&'p Pointer<'p>, &'p str),
    /// An entry, from 0.
    Entry(&'p Pointer<'p>, usize),
}

impl Pointer<'_> {
    /// The field `name` in here.
    pub(crate) fn field<'n>(&'n self, name: &'n str) -> Pointer<'n> {
        Pointer::Field(self, name)
    }

    /// The entry `index` in here.
    pub(crate) fn entry(&self, index: usize) -> Pointer<'_> {
        Pointer::Entry(self, index)
    }
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(before, name) => {
                write!(f, "{before}/{}", name.replace('~', "~0").replace('/', "~1"))
            }
            Self::Entry(before, index) => write!(f, "{before}/{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_the_rfc_says() {
        let root = Pointer::Root;
        let lines = root.field("li/n~es");
        assert_eq!(lines.entry(3).to_string(), "/li~1n~0es/3");
        assert_eq!(root.to_string(), "");
    }
}
