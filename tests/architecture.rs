//! Reads the sources and fails where a layer uses one above it, or a library it must not know.

use std::fs;
use std::path::{Path, PathBuf};

/// A layer's folder, and the first segments of the paths that may not occur in it. What is not listed may be used.
const LAYERS: [(&str, &[&str]); 4] = [
    (
        "domain",
        &[
            "crate::store",
            "crate::service",
            "crate::http",
            "crate::auth",
            "crate::config",
            "diesel",
            "r2d2",
            "actix_web",
            "tokio",
        ],
    ),
    ("store", &["crate::service", "crate::http", "crate::auth", "crate::config", "actix_web", "tokio"]),
    ("service", &["crate::http", "crate::auth", "crate::config", "actix_web", "tokio"]),
    ("http", &["crate::store", "crate::auth", "crate::config", "diesel", "diesel_migrations", "r2d2"]),
];

#[test]
fn no_layer_uses_one_above_it() {
    let mut upward = Vec::new();
    for (layer, forbidden) in LAYERS {
        let files = sources(&source_folder().join(layer));
        assert!(files.len() > 3, "the layer {layer} has moved");
        for file in files {
            let roots = path_roots(&read(&file));
            upward.extend(forbidden.iter().filter(|path| roots.iter().any(|root| root == *path)).map(
                |path| {
                    format!("{} uses {path}", file.strip_prefix(source_folder()).unwrap_or(&file).display())
                },
            ));
        }
    }
    assert!(upward.is_empty(), "arrows only go down:\n{}", upward.join("\n"));
}

#[test]
fn service_and_store_do_not_wait_asynchronously() {
    for file in
        ["store", "service", "domain"].into_iter().flat_map(|layer| sources(&source_folder().join(layer)))
    {
        let words = ["async fn", "async move", ".await"];
        let found = words.into_iter().find(|word| without_comments(&read(&file)).contains(word));
        assert_eq!(found, None, "{}", file.display());
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for file in sources(&source_folder()) {
        let text = read(&file);
        let generated = text.starts_with("// @generated");
        let documented = generated || text.starts_with("//! ") || text.starts_with("#![doc = include_str!");
        assert!(documented, "{} begins without a module comment", file.display());
    }
}

#[test]
fn uses_are_found_in_every_way_of_writing_them() {
    for (source, expected) in [
        ("use crate::store::Store;", "crate::store"),
        ("use crate::{domain::ids, store::Store};", "crate::store"),
        ("use crate::{\n    domain::{ids, user},\n    store::{self, Store},\n};", "crate::store"),
        ("fn f() -> crate::store::Store { todo!() }", "crate::store"),
        ("use super::super::store::Store;", "crate::store"),
        ("use diesel::prelude::*;", "diesel"),
        ("use {diesel::prelude::*, uuid::Uuid};", "diesel"),
        ("use ::diesel::prelude::*;", "diesel"),
        ("use diesel;", "diesel"),
        ("use diesel as d;", "diesel"),
        ("pub(crate) use diesel::PgConnection;", "diesel"),
        ("#[derive(diesel::Queryable)]", "diesel"),
        ("fn f(c: &mut diesel::PgConnection) {}", "diesel"),
    ] {
        assert!(path_roots(source).iter().any(|root| root == expected), "{source}: {:?}", path_roots(source));
    }
    for source in [
        "//! Uses [`Store`](crate::store::Store) and diesel::PgConnection.",
        "    // crate::store::Store",
        "let x = 1; // diesel::PgConnection",
        "use super::store_like::X;",
        "use crate::storehouse::X; use crate::domain::store::Y;",
        "let diesel = 1; mydiesel::f(); my::diesel::f();",
    ] {
        let roots = path_roots(source);
        assert!(!roots.iter().any(|root| root == "crate::store" || root == "diesel"), "{source}: {roots:?}");
    }
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every Rust file in a folder and below.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn without_comments(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Where the paths of a source begin: `diesel`, or `crate::store`. Two `super::` are read as `crate::`, because the
/// layers are one folder deep.
fn path_roots(source: &str) -> Vec<String> {
    let source = without_comments(source).replace("super::super::", "crate::");
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut roots = Vec::new();
    for (start, _) in source.match_indices(is_word).filter(|(start, _)| {
        let before = source[..*start].chars().next_back();
        !before.is_some_and(is_word)
    }) {
        let (before, rest) = source.split_at(start);
        let word: String = rest.chars().take_while(|c| is_word(*c)).collect();
        let continues = before.trim_end().ends_with("::") && !is_leading_colons(before);
        let follows = rest[word.len()..].trim_start();
        let is_use = follows.starts_with([';', ',', '}']) || follows.starts_with("as ");
        if !continues && (follows.starts_with("::") || is_use && begins_use(before)) {
            roots.extend(if word == "crate" { below(follows) } else { vec![word] });
        }
    }
    roots
}

/// Whether the colons at the end belong to no word before them, as in `::diesel`.
fn is_leading_colons(before: &str) -> bool {
    let rest = before.trim_end().trim_end_matches(':');
    !rest.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '>')
}

/// Whether a name that stands alone is an imported crate.
fn begins_use(before: &str) -> bool {
    before.trim_end().trim_end_matches(':').trim_end().ends_with("use")
}

/// The roots in what follows upon `crate`: one name, or a list of them in braces.
fn below(follows: &str) -> Vec<String> {
    let rest = follows.trim_start_matches(':').trim_start();
    let name = |text: &str| {
        let name: String =
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        format!("crate::{name}")
    };
    let Some(list) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let mut depth = 0;
    let mut starts = vec![0];
    for (index, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts.push(index + 1),
            _ => {}
        }
    }
    starts.into_iter().map(|start| name(&list[start..])).collect()
}
