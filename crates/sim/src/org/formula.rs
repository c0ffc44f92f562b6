//! Formulas of validation rules and fields: a small grammar of Salesforce's formula language, read once and evaluated
//! per record.
//!
//! What it knows: fields, numbers, texts, `TRUE`/`FALSE`/`NULL`, comparisons, `&&`, `||`, `!`, `+`, `-`, `*`, `/`,
//! `&`, and the functions of [`FUNCTIONS`]. A formula outside of it is refused when the org starts, never guessed at.

use std::cmp::Ordering;

use super::data::Value;

/// The functions and how many arguments each takes (least, most).
const FUNCTIONS: [(&str, usize, usize); 13] = [
    ("AND", 1, 64),
    ("OR", 1, 64),
    ("NOT", 1, 1),
    ("ISBLANK", 1, 1),
    ("ISNEW", 0, 0),
    ("ISCHANGED", 1, 1),
    ("PRIORVALUE", 1, 1),
    ("ISPICKVAL", 2, 2),
    ("IF", 3, 3),
    ("MAX", 1, 64),
    ("MIN", 1, 64),
    ("BLANKVALUE", 2, 2),
    ("TEXT", 1, 1),
];

/// How deep a formula may nest.
const DEPTH: usize = 64;

/// A formula that has been read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Formula(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Literal(Value),
    Field(String),
    Call(&'static str, Vec<Node>),
    Binary(Op, Box<Node>, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Equal,
    Differs,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Times,
    Over,
    Join,
    And,
    Or,
}

/// The record a formula looks at.
pub(crate) trait Subject {
    /// The field's value as it would be saved.
    fn value(&self, field: &str) -> Value;
    /// The field's value before; none if the record is new.
    fn prior(&self, field: &str) -> Option<Value>;
}

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    /// A sentence saying what it doesn't know and where.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let tokens = scan(text)?;
        let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
        let node = parser.either()?;
        match parser.tokens.get(parser.at) {
            None => Ok(Self(node)),
            Some(token) => Err(format!("formula: {token:?} is not expected here")),
        }
    }

    /// Every field it names.
    pub(crate) fn fields(&self) -> Vec<&str> {
        fn collect<'a>(node: &'a Node, out: &mut Vec<&'a str>) {
            match node {
                Node::Literal(_) => {}
                Node::Field(name) => out.push(name),
                Node::Call(_, arguments) => arguments.iter().for_each(|a| collect(a, out)),
                Node::Binary(_, left, right) => {
                    collect(left, out);
                    collect(right, out);
                }
            }
        }
        let mut out = Vec::new();
        collect(&self.0, &mut out);
        out
    }

    /// Whether it asks what a record was before.
    pub(crate) fn looks_back(&self) -> bool {
        fn looks(node: &Node) -> bool {
            match node {
                Node::Literal(_) | Node::Field(_) => false,
                Node::Call("ISNEW" | "ISCHANGED" | "PRIORVALUE", _) => true,
                Node::Call(_, arguments) => arguments.iter().any(looks),
                Node::Binary(_, left, right) => looks(left) || looks(right),
            }
        }
        looks(&self.0)
    }

    /// What the formula makes of this record.
    pub(crate) fn value(&self, subject: &dyn Subject) -> Value {
        evaluate(&self.0, subject)
    }

    /// Whether the formula holds for this record.
    pub(crate) fn holds(&self, subject: &dyn Subject) -> bool {
        truth(&evaluate(&self.0, subject))
    }
}

fn truth(value: &Value) -> bool {
    matches!(value, Value::Bool(true))
}

fn evaluate(node: &Node, subject: &dyn Subject) -> Value {
    match node {
        Node::Literal(value) => value.clone(),
        Node::Field(name) => subject.value(name),
        Node::Call(name, arguments) => call(name, arguments, subject),
        Node::Binary(op, left, right) => binary(*op, left, right, subject),
    }
}

fn call(name: &str, arguments: &[Node], subject: &dyn Subject) -> Value {
    let first = arguments.first();
    let value = || first.map_or(Value::Null, |node| evaluate(node, subject));
    let prior = || match first {
        // On a new record Salesforce's prior value is the value itself.
        Some(Node::Field(field)) => subject.prior(field).unwrap_or_else(|| subject.value(field)),
        _ => Value::Null,
    };
    match name {
        "AND" => Value::Bool(arguments.iter().all(|node| truth(&evaluate(node, subject)))),
        "OR" => Value::Bool(arguments.iter().any(|node| truth(&evaluate(node, subject)))),
        "NOT" => Value::Bool(!truth(&value())),
        "ISBLANK" => Value::Bool(value().is_null()),
        "ISNEW" => Value::Bool(subject.prior("Id").is_none()),
        "ISCHANGED" => Value::Bool(value() != prior()),
        "PRIORVALUE" => prior(),
        "ISPICKVAL" => {
            let wanted = arguments.get(1).map_or(Value::Null, |node| evaluate(node, subject));
            Value::Bool(value() == wanted)
        }
        "TEXT" => Value::Text(match value() {
            // Unlike the API, formulas write whole numbers without a point.
            Value::Number(n) => n.to_string().into(),
            other => other.to_text().into(),
        }),
        "IF" | "BLANKVALUE" | "MAX" | "MIN" => choice(name, arguments, subject),
        _ => Value::Null,
    }
}

/// The functions that give one of their arguments.
fn choice(name: &str, arguments: &[Node], subject: &dyn Subject) -> Value {
    let nth = |n: usize| arguments.get(n).map_or(Value::Null, |node| evaluate(node, subject));
    let wanted = if name == "MAX" { Ordering::Greater } else { Ordering::Less };
    match name {
        "IF" => nth(if truth(&nth(0)) { 1 } else { 2 }),
        "BLANKVALUE" => Some(nth(0)).filter(|value| !value.is_null()).unwrap_or_else(|| nth(1)),
        _ => (1..arguments.len()).map(nth).fold(nth(0), |best, next| {
            if next.compare(&best, true) == Some(wanted) { next } else { best }
        }),
    }
}

fn binary(op: Op, left: &Node, right: &Node, subject: &dyn Subject) -> Value {
    let left_value = evaluate(left, subject);
    match op {
        Op::And => return Value::Bool(truth(&left_value) && truth(&evaluate(right, subject))),
        Op::Or => return Value::Bool(truth(&left_value) || truth(&evaluate(right, subject))),
        _ => {}
    }
    let right_value = evaluate(right, subject);
    if let (Value::Number(a), Value::Number(b)) = (&left_value, &right_value) {
        match op {
            Op::Plus => return Value::Number(a + b),
            Op::Minus => return Value::Number(a - b),
            Op::Times => return Value::Number(a * b),
            // Where a person would see #Error!, the API has nothing.
            Op::Over if *b == 0.0 => return Value::Null,
            Op::Over => return Value::Number(a / b),
            _ => {}
        }
    }
    if op == Op::Join {
        return Value::Text((left_value.to_text() + &*right_value.to_text()).into());
    }
    let order = left_value.compare(&right_value, true);
    Value::Bool(match op {
        Op::Equal => left_value == right_value,
        Op::Differs => left_value != right_value,
        Op::Less => order == Some(Ordering::Less),
        Op::LessOrEqual => order.is_some_and(Ordering::is_le),
        Op::Greater => order == Some(Ordering::Greater),
        Op::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        Op::Plus | Op::Minus | Op::Times | Op::Over | Op::Join | Op::And | Op::Or => {
            return Value::Null;
        }
    })
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Number(f64),
    Text(String),
    Op(Op),
    Not,
    Open,
    Close,
    Comma,
}

fn scan(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut then = |wanted: char| chars.next_if_eq(&wanted).is_some();
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '+' => Token::Op(Op::Plus),
            '-' => Token::Op(Op::Minus),
            '*' => Token::Op(Op::Times),
            '/' => Token::Op(Op::Over),
            '&' if then('&') => Token::Op(Op::And),
            '&' => Token::Op(Op::Join),
            '|' if then('|') => Token::Op(Op::Or),
            '=' => {
                then('=');
                Token::Op(Op::Equal)
            }
            '!' if then('=') => Token::Op(Op::Differs),
            '!' => Token::Not,
            '<' if then('=') => Token::Op(Op::LessOrEqual),
            '<' if then('>') => Token::Op(Op::Differs),
            '<' => Token::Op(Op::Less),
            '>' if then('=') => Token::Op(Op::GreaterOrEqual),
            '>' => Token::Op(Op::Greater),
            '"' | '\'' => {
                let inner: String = chars.by_ref().take_while(|inner| *inner != c).collect();
                Token::Text(inner)
            }
            c if c.is_ascii_digit() => {
                let mut number = c.to_string();
                while let Some(next) = chars.next_if(|n| n.is_ascii_digit() || *n == '.') {
                    number.push(next);
                }
                Token::Number(
                    number.parse().map_err(|_| format!("formula: {number} isn't a number"))?,
                )
            }
            c if c.is_ascii_alphabetic() => {
                let mut name = c.to_string();
                while let Some(next) = chars.next_if(|n| n.is_ascii_alphanumeric() || *n == '_') {
                    name.push(next);
                }
                Token::Name(name)
            }
            other => return Err(format!("formula: {other:?} is not known")),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn take(&mut self, wanted: &Token) -> bool {
        let hit = self.tokens.get(self.at) == Some(wanted);
        self.at += usize::from(hit);
        hit
    }

    fn take_op(&mut self, wanted: &[Op]) -> Option<Op> {
        match self.tokens.get(self.at) {
            Some(Token::Op(op)) if wanted.contains(op) => {
                self.at += 1;
                Some(*op)
            }
            _ => None,
        }
    }

    fn chain(
        &mut self,
        ops: &[Op],
        next: fn(&mut Self) -> Result<Node, String>,
    ) -> Result<Node, String> {
        let mut left = next(self)?;
        while let Some(op) = self.take_op(ops) {
            left = Node::Binary(op, Box::new(left), Box::new(next(self)?));
        }
        Ok(left)
    }

    fn either(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(format!("formula: nested deeper than {DEPTH}"));
        }
        let node = self.chain(&[Op::Or], |p| p.chain(&[Op::And], Self::comparison));
        self.depth -= 1;
        node
    }

    fn comparison(&mut self) -> Result<Node, String> {
        let left = self.sum()?;
        let ops =
            [Op::Equal, Op::Differs, Op::Less, Op::LessOrEqual, Op::Greater, Op::GreaterOrEqual];
        let Some(op) = self.take_op(&ops) else { return Ok(left) };
        let right = self.sum()?;
        Ok(Node::Binary(op, Box::new(left), Box::new(right)))
    }

    fn sum(&mut self) -> Result<Node, String> {
        self.chain(&[Op::Plus, Op::Minus, Op::Join], |p| {
            p.chain(&[Op::Times, Op::Over], Self::primary)
        })
    }

    fn primary(&mut self) -> Result<Node, String> {
        let token = self.tokens.get(self.at).cloned().ok_or("formula: it ends too early")?;
        self.at += 1;
        match token {
            Token::Number(n) => Ok(Node::Literal(Value::Number(n))),
            Token::Text(text) => Ok(Node::Literal(Value::Text(text.into()))),
            Token::Not => {
                let inner = self.nested(Self::primary)?;
                Ok(Node::Call("NOT", vec![inner]))
            }
            Token::Open => {
                let inner = self.either()?;
                self.take(&Token::Close)
                    .then_some(inner)
                    .ok_or_else(|| "formula: a ) is missing".to_owned())
            }
            Token::Name(name) if self.take(&Token::Open) => self.function(&name),
            Token::Name(name) => Ok(match name.to_ascii_uppercase().as_str() {
                "TRUE" => Node::Literal(Value::Bool(true)),
                "FALSE" => Node::Literal(Value::Bool(false)),
                "NULL" => Node::Literal(Value::Null),
                _ => Node::Field(name),
            }),
            other => Err(format!("formula: {other:?} is not expected here")),
        }
    }

    fn nested(&mut self, next: fn(&mut Self) -> Result<Node, String>) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(format!("formula: nested deeper than {DEPTH}"));
        }
        let node = next(self);
        self.depth -= 1;
        node
    }

    fn function(&mut self, name: &str) -> Result<Node, String> {
        let upper = name.to_ascii_uppercase();
        let Some((known, least, most)) = FUNCTIONS.iter().find(|(known, ..)| *known == upper)
        else {
            return Err(format!("formula: the simulated org doesn't know the function {name}"));
        };
        let mut arguments = Vec::new();
        if !self.take(&Token::Close) {
            loop {
                arguments.push(self.either()?);
                if self.take(&Token::Close) {
                    break;
                }
                if !self.take(&Token::Comma) {
                    return Err(format!("formula: {name}( is not closed"));
                }
            }
        }
        if !(*least..=*most).contains(&arguments.len()) {
            return Err(format!("formula: {name} takes {least} to {most} arguments"));
        }
        if matches!(*known, "PRIORVALUE" | "ISCHANGED")
            && !matches!(arguments.first(), Some(Node::Field(_)))
        {
            return Err(format!("formula: {name} takes a field"));
        }
        Ok(Node::Call(known, arguments))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct Versions(Option<f64>, Option<Option<f64>>);

    impl Subject for Versions {
        fn value(&self, _: &str) -> Value {
            self.0.map_or(Value::Null, Value::Number)
        }
        fn prior(&self, _: &str) -> Option<Value> {
            self.1.map(|prior| prior.map_or(Value::Null, Value::Number))
        }
    }

    #[test]
    fn a_lower_version_than_stored_is_refused_and_a_higher_or_equal_one_is_not() {
        let rule = Formula::parse("AND(NOT(ISNEW()), PRIORVALUE(V__c) > V__c)").unwrap();
        assert!(rule.holds(&Versions(Some(1.0), Some(Some(2.0)))));
        assert!(!rule.holds(&Versions(Some(2.0), Some(Some(2.0)))));
        assert!(!rule.holds(&Versions(Some(3.0), Some(Some(2.0)))));
        assert!(!rule.holds(&Versions(Some(1.0), None)));
    }

    #[test]
    fn operators_bind_as_in_salesforce() {
        let rule = Formula::parse("FALSE && FALSE || V__c + 1 - 1 = 5").unwrap();
        assert!(rule.holds(&Versions(Some(5.0), None)));
        assert!(!rule.holds(&Versions(Some(6.0), None)));
        let value = |text: &str| Formula::parse(text).unwrap().value(&Versions(Some(5.0), None));
        for (text, wanted) in [
            ("2 + 3 * V__c - 4 / 2", Value::Number(15.0)),
            ("V__c / 0", Value::Null),
            ("IF(V__c > 4, MAX(1, V__c, 2), 0)", Value::Number(5.0)),
            ("BLANKVALUE(NULL, MIN(7, V__c + 1))", Value::Number(6.0)),
            ("'n' & TEXT(V__c) & \"!\"", Value::Text("n5!".into())),
        ] {
            assert_eq!(value(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_the_grammar_does_not_know_is_refused_by_name() {
        let error = Formula::parse("REGEX(Name, \"a\")").unwrap_err();
        assert!(error.contains("REGEX"), "{error}");
        for bad in ["", "(", "AND(", "PRIORVALUE(1)", "1 2", "NOT()", "#"] {
            assert!(Formula::parse(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[A-Z()!&|<>=+\\-\"',. 0-9a-z_]{0,200}") {
            let _ = Formula::parse(&text);
        }

        #[test]
        fn deep_nesting_is_refused_and_not_a_crash(n in 100_usize..5000) {
            proptest::prop_assert!(Formula::parse(&"(".repeat(n)).is_err());
            proptest::prop_assert!(Formula::parse(&"!".repeat(n)).is_err());
        }
    }
}
