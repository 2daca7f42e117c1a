//! SECURITY.md keeps its word: each requirement stands in it once, and each test that it names exists.

use std::fs;

const STATUSES: [&str; 3] = ["met", "not yet", "not met by design"];

/// The cells of the rows of the requirements: number, requirement, status, and what shows it.
fn rows(document: &str) -> Vec<[&str; 4]> {
    document.lines().filter_map(cells).filter(|[number, ..]| number.parse::<u32>().is_ok()).collect()
}

fn cells(line: &str) -> Option<[&str; 4]> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    cells.try_into().ok()
}

/// The tests that a cell names, as `path/of/file.rs::name_of_test`.
fn named_tests(cell: &str) -> Vec<(&str, &str)> {
    cell.split('`')
        .filter(|quoted| quoted.contains(".rs::"))
        .filter_map(|test| test.rsplit_once("::"))
        .collect()
}

fn document() -> String {
    fs::read_to_string("SECURITY.md").unwrap()
}

#[test]
fn every_requirement_stands_in_the_table_once() {
    let document = document();
    let numbers: Vec<u32> = rows(&document).iter().map(|[number, ..]| number.parse().unwrap()).collect();
    assert_eq!(numbers, (1..=70).collect::<Vec<_>>());
}

#[test]
fn every_status_is_one_of_three_and_met_is_shown_by_a_test() {
    for [number, _, status, shown_by] in rows(&document()) {
        assert!(STATUSES.contains(&status), "{number}: {status}");
        assert!(status != "met" || !named_tests(shown_by).is_empty(), "{number} names no test");
        assert!(!shown_by.is_empty(), "{number} says nothing");
        assert!(!shown_by.contains("TODO"), "{number} is not finished");
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let document = document();
    let mut count = 0;
    for [number, _, _, shown_by] in rows(&document) {
        for (file, test) in named_tests(shown_by) {
            let source = fs::read_to_string(file).unwrap_or_else(|error| panic!("{number}: {file}: {error}"));
            assert!(source.contains(&format!("fn {test}(")), "{number}: there is no {test} in {file}");
            count += 1;
        }
    }
    assert!(count > 100, "only {count} tests are named");
}
