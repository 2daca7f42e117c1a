//! What is done to a good request.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use crate::surface::Request;

/// A request that would be answered well.
pub(super) struct Good {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) authorization: String,
    pub(super) cookie: Option<String>,
    pub(super) body: Option<Value>,
}

/// Which route's request, and what is done to it.
#[derive(Debug, Clone)]
pub(super) struct Spoiled {
    pub(super) route: usize,
    edits: Vec<(Place, Edit)>,
    /// Of the body, before it becomes text.
    members: Vec<Member>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Authorization,
    Cookie,
    Body,
    ContentType,
}

/// A change of bytes.
#[derive(Debug, Clone)]
enum Edit {
    Insert(Index, Vec<u8>),
    Delete(Index, u8),
    Flip(Index, u8),
    Truncate(Index),
    /// A piece of it again, elsewhere.
    Copy(Index, u8, Index),
    Replace(Vec<u8>),
    /// The header once more.
    Twice,
    Remove,
}

/// A change of a JSON object.
#[derive(Debug, Clone)]
enum Member {
    Set(Index, Value),
    Remove(Index),
    Add(String, Value),
}

/// Pieces that mean something to some reader.
const WORDS: [&str; 28] = [
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    ";",
    "=",
    " ",
    "\t",
    ".",
    "%00",
    "%5F",
    "rt_",
    "dt_",
    "Bearer ",
    "__Host-Http-refresh_token=",
    "__Host-Http-device=",
    "null",
    "1e999",
    "\u{0}",
    "\u{202e}",
    "\u{ff20}",
    "../",
];

pub(super) fn spoiled(routes: usize) -> impl Strategy<Value = Spoiled> {
    let edits = prop::collection::vec((place(), edit()), 0..4);
    let members = prop::collection::vec(member(), 0..3);
    (0..routes, edits, members).prop_map(|(route, edits, members)| Spoiled { route, edits, members })
}

fn place() -> impl Strategy<Value = Place> {
    let few = 1;
    prop_oneof![
        4 => Just(Place::Authorization),
        4 => Just(Place::Cookie),
        4 => Just(Place::Body),
        few => Just(Place::ContentType),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<Index>;
    let bytes = || {
        prop_oneof![
            select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..8),
            // Longer than a body, a header or a token may be.
            (select(&[300_usize, 5_000, 9_000, 17_000][..]), any::<u8>())
                .prop_map(|(length, byte)| vec![byte; length]),
        ]
    };
    prop_oneof![
        4 => (index(), bytes()).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        4 => (index(), any::<u8>()).prop_map(|(at, length)| Edit::Delete(at, length)),
        8 => (index(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        2 => index().prop_map(Edit::Truncate),
        4 => (index(), any::<u8>(), index()).prop_map(|(from, length, to)| Edit::Copy(from, length, to)),
        2 => bytes().prop_map(Edit::Replace),
        1 => Just(Edit::Twice),
        1 => Just(Edit::Remove),
    ]
}

fn member() -> impl Strategy<Value = Member> {
    let name = select(
        &[
            "email",
            "password",
            "transport",
            "refresh_token",
            "device_name",
            "device_token",
            "id",
            "",
            "__proto__",
        ][..],
    );
    prop_oneof![
        4 => (any::<Index>(), value()).prop_map(|(at, value)| Member::Set(at, value)),
        1 => any::<Index>().prop_map(Member::Remove),
        2 => (name, value()).prop_map(|(name, value)| Member::Add(name.into(), value)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let odd = vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(u64::MAX),
        json!(1.5e300),
        json!(""),
        json!("\u{0}"),
        json!("a\u{0}@example.com"),
        json!("\u{202e}moc.elpmaxe@a"),
        json!("alice＠example.com"),
        json!("x".repeat(300)),
        json!("x".repeat(5_000)),
        json!([]),
        json!({}),
        json!([[[[[[[["deep"]]]]]]]]),
        json!("cookie"),
        json!("Body"),
    ];
    prop_oneof![
        3 => select(odd),
        1 => any::<String>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
    ]
}

impl Spoiled {
    pub(super) fn request(&self, good: &Good) -> Request {
        let body =
            good.body.clone().map(|body| self.members.iter().fold(body, |body, member| member.apply(body)));
        let body = body.map(|body| body.to_string());
        let places = [
            (Place::Authorization, "Authorization", Some(good.authorization.as_str())),
            (Place::Cookie, "Cookie", good.cookie.as_deref()),
            (Place::ContentType, "Content-Type", body.as_ref().map(|_| "application/json")),
        ];
        let mut request = Request::new(good.method, &good.path);
        for (place, name, value) in places {
            for value in self.values(place, value) {
                let visible =
                    value.into_iter().filter(|byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f));
                request = request.header(name, visible.collect::<Vec<_>>());
            }
        }
        // A body is there once or not at all.
        match self.values(Place::Body, body.as_deref()).into_iter().next() {
            Some(body) => request.body(body),
            None => request,
        }
    }

    /// What becomes of a value: none, itself spoilt, or two.
    fn values(&self, place: Place, good: Option<&str>) -> Vec<Vec<u8>> {
        let good: Vec<Vec<u8>> = good.map(|good| good.as_bytes().to_vec()).into_iter().collect();
        let edits = self.edits.iter().filter(|(at, _)| *at == place);
        edits.fold(good, |values, (_, edit)| edit.apply(values))
    }
}

impl Edit {
    fn apply(&self, mut values: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        match self {
            Edit::Remove => return Vec::new(),
            Edit::Replace(bytes) => return vec![bytes.clone()],
            Edit::Twice => values.extend(values.first().cloned()),
            _ => values.iter_mut().for_each(|value| self.change(value)),
        }
        values
    }

    fn change(&self, value: &mut Vec<u8>) {
        let at = |index: &Index| index.index(value.len() + 1);
        match self {
            Edit::Insert(index, bytes) => {
                let at = at(index);
                value.splice(at..at, bytes.iter().copied());
            }
            Edit::Delete(index, length) => {
                let from = at(index);
                let to = value.len().min(from + usize::from(*length));
                value.drain(from..to);
            }
            Edit::Flip(index, bit) => {
                let at = at(index);
                value.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
            }
            Edit::Truncate(index) => value.truncate(at(index)),
            Edit::Copy(from, length, to) => {
                let (from, to) = (at(from), at(to));
                let end = value.len().min(from + usize::from(*length));
                let piece = value[from..end].to_vec();
                value.splice(to..to, piece);
            }
            Edit::Replace(_) | Edit::Twice | Edit::Remove => {}
        }
    }
}

impl Member {
    fn apply(&self, mut body: Value) -> Value {
        let Some(members) = body.as_object_mut() else { return body };
        let names: Vec<String> = members.keys().cloned().collect();
        let name = |at: &Index| if names.is_empty() { String::new() } else { at.get(&names).clone() };
        match self {
            Member::Set(at, value) => members.insert(name(at), value.clone()),
            Member::Remove(at) => members.remove(&name(at)),
            Member::Add(name, value) => members.insert(name.clone(), value.clone()),
        };
        body
    }
}
